"""Requests that schemathesis makes of the OpenAPI document get the responses that it describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from heritage.core.image_io import encode_jpeg
from heritage.server.limits import Limits
from heritage.server.openapi import openapi
from tests.server.running import LIMITS, running, stub_app

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT = openapi(Limits(**LIMITS))
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(stub_app()) as address:
        yield address


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_responses_are_as_documented(address: str, path: str, method: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    if mode is GenerationMode.NEGATIVE and "parameters" not in DOCUMENT["paths"][path][method]:
        pytest.skip("it takes nothing that could be invalid")

    statuses: set[str] = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=5, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def check(case: Any) -> None:
        response = case.call_and_validate(base_url=address, checks=CHECKS)
        statuses.add(str(response.status_code))

    check()
    assert statuses
    assert statuses <= DOCUMENT["paths"][path][method]["responses"].keys()


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "multipart/form-data"])
def test_every_documented_kind_of_body_is_accepted(address: str, kind: str) -> None:
    body = DOCUMENT["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert kind in body or "image/*" in body
    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    sent: dict[str, Any] = {"content": jpeg, "headers": {"content-type": kind}}
    if kind == "multipart/form-data":
        sent = {"files": {"picture": jpeg}}
    assert httpx.post(f"{address}/predict?saliency=true&similar=false", **sent).status_code == 200


def test_every_address_is_documented(address: str) -> None:
    for path in ("/", "/page.css", "/page.js", "/icon.svg", "/openapi.json"):
        assert httpx.get(f"{address}{path}").status_code == 200  # the page, and the document itself
    routes = {path for path, _ in OPERATIONS}
    assert routes == {
        "/predict", "/verdicts", "/about", "/health", "/metrics", "/examples/{number}.jpg",
        "/objects/{row}.jpg",
    }  # fmt: skip
