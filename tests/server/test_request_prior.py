"""Class frequencies of a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import heritage
from heritage.core.image_io import decode, encode_jpeg
from heritage.inference.checkpoint import load_checkpoint
from heritage.prediction.predictor import Predictor
from heritage.prediction.read_rule import read_rule
from heritage.server.limits import Limits
from heritage.server.request_prior import parse_prior, rule_for
from heritage.server.schemas import RequestRefused
from heritage.server.server import ServeOptions, build_app
from tests.conftest import patch
from tests.prediction.test_prior import with_validation
from tests.server.running import LIMITS, running, serving


@pytest.fixture(scope="module")
def folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_validation(run_folder, tmp_path_factory.mktemp("prior") / "run")[0]


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(folder, tmp_path_factory.mktemp("cache")) as address:
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


def test_notes_of_a_request_replace_those_of_the_servers_prior(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = str(tmp_path_factory.mktemp("cache"))
    options = ServeOptions(
        str(folder), [], "127.0.0.1", 0, None, False, cache, None, 16, "cpu", None
    )  # fmt: skip
    trained = load_checkpoint(folder)
    rule = read_rule([trained], prior={"islam": 80})
    app = build_app(Predictor(trained, rule, device="cpu"), options, Limits(**LIMITS))
    with running(app) as address:
        for query, expected in (({}, "islam 80.0 %"), ({"prior": '{"islam": 50}'}, "islam 50.0 %")):
            reply = httpx.post(
                f"{address}/predict", params=query, files={"picture": encode_jpeg(patch(1, 99))}
            )
            notes = [note for note in reply.json()["notes"] if "class frequencies" in note]
            assert len(notes) == 1
            assert expected in notes[0]


def test_prediction_sets_are_not_given_for_other_frequencies(folder: Path) -> None:
    trained = load_checkpoint(folder)
    rule = read_rule([trained]).with_sets(0.9, trained.classes)
    assert rule.sets is not None
    assert rule.sets.thresholds is not None
    moved = rule_for(rule, {"islam": 80}, trained.classes)
    assert "No prediction sets: they are promised for the class frequencies of validation." in moved.notes()
