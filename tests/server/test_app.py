"""The server: page, API, health, metrics and options."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from heritage.core.image_io import decode, encode_jpeg
from heritage.errors import ConfigError
from heritage.inference.checkpoint import load_checkpoint
from heritage.prediction.decision_rule import DecisionRule, read_decision_rule
from heritage.prediction.predictor import Predictor
from heritage.reports.figures import as_data_url
from heritage.server.limits import Limits
from heritage.server.schemas import ModelInfo, PredictionResponses
from heritage.server.server import allowed_hosts, listen
from tests.conftest import Command, patch
from tests.server.running import LIMITS, serving


@pytest.fixture(scope="module")
def address(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(calibrated, tmp_path_factory.mktemp("cache")) as address:
        yield address


def jpeg(class_index: int, seed: int = 99) -> bytes:
    return encode_jpeg(patch(class_index, seed))


def test_the_api_agrees_with_the_network(address: str, calibrated: Path) -> None:
    reply = httpx.post(f"{address}/predict", files={"picture": ("vase.jpg", jpeg(1), "image/jpeg")})
    assert reply.status_code == 200
    (result,) = PredictionResponses.model_validate_json(reply.content).pictures
    trained = load_checkpoint(calibrated)
    predictor = Predictor(trained, read_decision_rule(trained.folder), device="cpu")
    import torch

    pixels = predictor.prepare(decode(jpeg(1), at_least=32))
    expected = predictor.predict_batch(torch.from_numpy(pixels.copy())[None]).probabilities[0]
    ranking = {entry.label: entry.probability for entry in result.ranking}
    np.testing.assert_allclose([ranking[name] for name in trained.classes], expected, atol=1e-4)
    assert result.name == "vase.jpg"
    assert result.unsure == (max(expected) < 0.5)
    assert result.prediction == ("unsure" if result.unsure else trained.classes[int(expected.argmax())])


def test_an_image_may_be_the_body_and_several_may_be_in_a_form(address: str) -> None:
    plain = httpx.post(f"{address}/predict", content=jpeg(2), headers={"content-type": "image/jpeg"})
    files = [("picture", (f"{k}.jpg", jpeg(k), "image/jpeg")) for k in (2, 0, 1)]
    files.insert(1, ("picture", ("bad.jpg", b"no picture", "image/jpeg")))
    several = httpx.post(f"{address}/predict", files=files).json()["pictures"]
    assert [one["name"] for one in several] == ["2.jpg", "bad.jpg", "0.jpg", "1.jpg"]
    assert several[1]["error"]["code"] == "not_a_picture"
    assert several[1]["prediction"] is None
    (alone,) = plain.json()["pictures"]
    for one, other in zip(alone["ranking"], several[0]["ranking"], strict=True):
        assert one["label"] == other["label"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)


def test_similar_objects_and_saliency_are_added_on_request(address: str, tree: Path) -> None:
    known = (tree / "islam" / "003.jpg").read_bytes()
    query = "saliency=true&similar=true"
    (found,) = httpx.post(f"{address}/predict?{query}", files={"picture": known}).json()["pictures"]
    first = found["similar"][0]
    assert first["similarity"] == pytest.approx(1, abs=1e-3)
    assert first["label"] == "islam"
    assert len({one["thumbnail"] for one in found["similar"]}) == len(found["similar"]) == 6
    thumbnail = httpx.get(f"{address}/{first['thumbnail']}")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert np.abs(decode(thumbnail.content).astype(int) - decode(known)).mean() < 12
    prefix, _, png = found["saliency"].partition(",")
    assert prefix == "data:image/png;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (256, 256, 4)
    assert picture[..., 3].max() > 100


def test_the_overlay_is_opaque_where_the_saliency_is_high() -> None:
    strength = np.zeros((32, 32), np.float32)
    strength[24:, 24:] = 1
    png = base64.b64decode(as_data_url(strength, side=64).partition(",")[2])
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    opaque = picture[..., 3]
    assert opaque[56:, 56:].min() > 150
    assert opaque[:40, :40].max() == 0


def test_the_openapi_document_describes_the_responses(address: str) -> None:
    document = httpx.get(f"{address}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in schemas
    reply = httpx.post(f"{address}/predict", files={"picture": jpeg(0)}).json()
    assert set(reply) == set(schemas["PredictionResponses"]["properties"])
    assert set(reply["pictures"][0]) == set(schemas["PredictionResponse"]["properties"])
    for path, methods in document["paths"].items():
        for method in methods:
            place = address + path.format(number=0, row=0)
            found = httpx.request(method, place)
            assert found.status_code != 404 or found.json()["error"]["code"] == "no_verdicts"
    refused = httpx.post(f"{address}/predict", content=b"x", headers={"content-type": "text/plain"})
    assert str(refused.status_code) in document["paths"]["/predict"]["post"]["responses"]


def test_the_page_loads_from_this_server_only(address: str) -> None:
    page = httpx.get(address)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    linked = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert {"page.css", "page.js", "icon.svg", "openapi.json"} <= set(linked)
    for name in linked:
        found = httpx.get(f"{address}/{name}")
        assert found.status_code == 200
        assert found.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", found.text)
    assert "style=" not in page.text, "the content security policy forbids it"
    about = ModelInfo.model_validate_json(httpx.get(f"{address}/about").content)
    assert about.calibrated
    assert about.threshold == 0.5
    assert not about.all_unsure
    assert about.probabilities.startswith("The probabilities are calibrated")
    assert about.notes == []
    assert not about.drawn
    assert not about.examples_drawn
    assert len(about.examples) == 6
    for example in about.examples:
        assert decode(httpx.get(f"{address}/{example}").content).shape == (40, 40, 3)


def test_no_address_redirects(address: str) -> None:
    response = httpx.get(f"{address}/about/", follow_redirects=False)
    assert response.status_code == 404
    assert "location" not in response.headers


def test_health_and_metrics_are_reported(address: str) -> None:
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    httpx.get(f"{address}/secret/path")
    text = httpx.get(f"{address}/metrics").text
    assert 'heritage_requests_total{path="/health",status="200"}' in text
    assert 'path="other",status="404"' in text
    assert "secret" not in text
    assert "heritage_batch_pictures_count" in text
    assert "heritage_predictions_total" in text
    assert re.search(r"^heritage_upload_bytes_held 0\.0$", text, re.MULTILINE)


def test_concurrent_requests_share_batches(address: str) -> None:
    async def send_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=40)) as client:
            return await asyncio.gather(
                *(client.post(f"{address}/predict", files={"picture": jpeg(k % 6, k)}) for k in range(40))
            )

    before = batches(address)
    assert {reply.status_code for reply in asyncio.run(send_all())} == {200}
    after = batches(address)
    assert after["sum"] - before["sum"] == 40
    assert after["count"] - before["count"] < 40


def batches(address: str) -> dict[str, float]:
    text = httpx.get(f"{address}/metrics").text
    return {
        name: float(re.search(rf"^heritage_batch_pictures_{name} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("sum", "count")
    }


def test_accepted_hosts_depend_on_the_address() -> None:
    assert allowed_hosts("127.0.0.1", None) == frozenset({"localhost", "127.0.0.1", "[::1]"})
    assert allowed_hosts("0.0.0.0", None) is None  # noqa: S104
    assert allowed_hosts("0.0.0.0", ["Museum.example.org"]) == frozenset({"museum.example.org", "0.0.0.0"})  # noqa: S104


def test_a_port_in_use_is_refused() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(ConfigError, match="port=0 for any"):
        listen("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["port=99999"], "port=99999"),
        (["limits.megapixels=1000"], "lower it"),
        (["limits.megabytes=0"], "limits.megabytes=0"),
        (["limits.held_megabytes=1"], "raise it"),
        (["limits.megabits=1"], "did you mean 'megabytes'?"),
        (["similar=maybe"], "similar=maybe"),
        (["host=no.such.host.invalid"], "no such address"),
    ],
)
def test_wrong_input_ends_in_one_line(
    heritage: Command, run_folder: Path, words: list[str], message: str
) -> None:
    done = heritage("serve", f"ckpt={run_folder}", *words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_the_decision_rule_is_printed() -> None:
    assert str(DecisionRule()) == "not calibrated: run heritage evaluate; never unsure"
    rule = str(DecisionRule(1.5, 0.6))
    assert rule == "not calibrated: run heritage evaluate; unsure below 60.0 % probability"
    assert Limits(**LIMITS).megabytes == 4
