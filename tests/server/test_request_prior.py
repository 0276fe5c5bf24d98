"""Class frequencies of a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import heritage
from heritage.core.image_io import decode, encode_jpeg
from heritage.server.request_prior import parse_prior
from heritage.server.schemas import RequestRefused
from tests.conftest import patch
from tests.prediction.test_prior import with_validation
from tests.server.running import serving


@pytest.fixture(scope="module")
def folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_validation(run_folder, tmp_path_factory.mktemp("prior") / "run")[0]


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(folder, tmp_path_factory.mktemp("cache"), coverage=0.9) as address:
        yield address


def test_a_request_names_other_class_frequencies(address: str, folder: Path) -> None:
    picture = encode_jpeg(patch(1, 99))
    for prior in (None, "uniform", {"islam": 80}):
        query = {} if prior is None else {"prior": prior if isinstance(prior, str) else '{"islam": 80}'}
        reply = httpx.post(
            f"{address}/predict", params={**query, "object": "true"}, files={"picture": picture}
        )
        assert reply.status_code == 200, reply.text
        expected = heritage.load(folder, device="cpu", prior=prior).predict(decode(picture, at_least=32))
        for one in (reply.json()["pictures"][0], reply.json()["object"]):
            ranking = {entry["label"]: entry["probability"] for entry in one["ranking"]}
            assert ranking == pytest.approx(dict(expected.probabilities), abs=1e-4)
            assert one["unsure"] == expected.unsure
        shares = reply.json()["prior"]
        assert (shares is None) == (prior is None)
        assert (shares or {}).get("islam") == {None: None, "uniform": pytest.approx(1 / 6)}.get(
            prior if not isinstance(prior, dict) else "", pytest.approx(0.8)
        )


def test_a_request_with_a_prior_gets_no_set_and_the_reason(address: str, folder: Path) -> None:
    picture = encode_jpeg(patch(1, 99))
    without, under = (
        httpx.post(f"{address}/predict", params=query, files={"picture": picture}).json()
        for query in ({}, {"prior": "uniform"})
    )
    network = heritage.load(folder, device="cpu", coverage=0.9)
    expected = network.predict(decode(picture, at_least=32)).prediction_set
    assert without["pictures"][0]["prediction_set"] == list(expected or ())
    assert under["pictures"][0]["prediction_set"] is None
    reason = "No prediction sets: they are promised for the class frequencies of validation."
    assert under["notes"] == [*without["notes"], reason, under["notes"][-1]]
    assert "islam 16.7 %" in under["notes"][-1]


def test_the_notes_are_on_the_requests_frequencies_and_not_the_servers(folder: Path, tmp_path: Path) -> None:
    with serving(folder, tmp_path, prior={"islam": 0.9}) as address:
        notes = httpx.post(
            f"{address}/predict", params={"prior": "uniform"}, files={"picture": encode_jpeg(patch(1, 99))}
        ).json()["notes"]
    (frequencies,) = [note for note in notes if "class frequencies" in note]
    assert "islam 16.7 %" in frequencies


@pytest.mark.parametrize(
    "prior",
    ["", "estimate", "[]", "{}", '{"maya": 1}', '{"islam": NaN}', "[" * 4000, "x" * 5000, '{"islam": true}'],
)
def test_what_is_no_prior_is_refused(address: str, prior: str) -> None:
    reply = httpx.post(
        f"{address}/predict", params={"prior": prior}, files={"picture": encode_jpeg(patch(1, 99))}
    )
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "bad_query"
    assert "prior" in reply.json()["error"]["message"]


def test_queries_are_parsed() -> None:
    assert parse_prior(None) is None
    assert parse_prior("uniform") == "uniform"
    assert parse_prior('{"islam": 0.5}') == {"islam": 0.5}
    with pytest.raises(RequestRefused):
        parse_prior("3")
