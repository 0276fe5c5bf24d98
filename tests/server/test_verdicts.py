"""Verdicts: what is written, by whom, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from heritage.core.image_io import encode_jpeg
from heritage.core.verdicts import COLUMNS, read_verdicts
from heritage.errors import ConfigError
from heritage.server import verdicts
from heritage.server.schemas import ClassProbability, RequestRefused, VerdictRequest
from heritage.server.verdicts import JudgedPrediction, VerdictFile
from tests.server.running import running, stub_app

ID = "a" * 64


def jpeg(level: int) -> bytes:
    return encode_jpeg(np.full((8, 8, 3), level, np.uint8))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verdicts") / "verdicts.csv"


@pytest.fixture(scope="module")
def address(file: Path) -> Iterator[str]:
    with running(stub_app(verdicts=file)) as address:
        yield address


def predicted(address: str, *pictures: tuple[str, bytes], query: str = "") -> dict[str, Any]:
    files = [("picture", (name, data, "image/jpeg")) for name, data in pictures]
    content: dict[str, Any] = httpx.post(f"{address}/predict{query}", files=files).json()
    return content


def judge(address: str, **verdict: Any) -> httpx.Response:
    headers = verdict.pop("headers", {})
    return httpx.post(f"{address}/verdicts", json=verdict, headers=headers)


def test_a_verdict_is_one_inert_line(address: str, file: Path) -> None:
    name = predicted(address, ("=cmd|' C calc'!A0.jpg", jpeg(10)))["pictures"][0]["id"]
    assert name == hashlib.sha256(jpeg(10)).hexdigest()
    reply = judge(address, id=name, verdict="wrong", label="asian", reviewer="+1\r\n@Ann")
    assert (reply.status_code, reply.json()) == (200, {"saved": 1})
    row = rows(file)[-1]
    assert tuple(row) == COLUMNS
    assert row["sha256"] == name
    assert row["bytes"] == str(len(jpeg(10)))
    assert row["file"].startswith("'=cmd|'"), "a spreadsheet must not run it"
    assert row["reviewer"] == "'+1@Ann"
    assert (row["prediction"], row["probability"], row["unsure"]) == ("egyptian", "0.750000", "false")
    assert (row["verdict"], row["class"]) == ("wrong", "asian")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["time"])
    (read,) = [one for one in read_verdicts(file, ["egyptian", "asian"]) if one.sha256 == name]
    assert (read.reviewer, read.label) == ("+1@Ann", "asian")
    assert read.file.startswith("=")


def test_an_object_has_a_line_for_each_photograph(address: str, file: Path) -> None:
    content = predicted(address, ("front.jpg", jpeg(30)), ("back.jpg", jpeg(40)), query="?object=true")
    assert content["object"]["views"] == 2
    assert judge(address, id=content["object"]["id"], verdict="right").json() == {"saved": 2}
    front, back = rows(file)[-2:]
    assert (front["file"], back["file"]) == ("front.jpg", "back.jpg")
    assert front["class"] == back["class"] == "egyptian"
    assert judge(address, id=content["pictures"][0]["id"], verdict="unknown").status_code == 200
    assert rows(file)[-1]["class"] == ""


@pytest.mark.parametrize(
    ("verdict", "status", "code"),
    [
        ({"id": "0" * 64, "verdict": "right"}, 409, "unknown_prediction"),
        ({"id": "0" * 64, "verdict": "maybe"}, 400, "bad_verdict"),
        ({"id": "../../etc", "verdict": "right"}, 400, "bad_verdict"),
        ({"id": "0" * 64, "verdict": "wrong", "label": "nonsense"}, 400, "unknown_class"),
        ({"id": "0" * 64, "verdict": "right", "more": 1}, 400, "bad_verdict"),
        ({"id": "0" * 64, "verdict": "right", "reviewer": "x" * 101}, 400, "bad_verdict"),
        ({"id": "0" * 64, "verdict": "right", "reviewer": "x" * 9000}, 413, "too_large"),
        ({"id": "0" * 64, "verdict": "right", "headers": {"origin": "https://evil.example"}}, 403,
         "cross_site"),
        ({"id": "0" * 64, "verdict": "right", "headers": {"content-type": "text/plain"}}, 415,
         "unsupported_media_type"),
    ],
)  # fmt: skip
def test_bad_verdicts_are_refused(
    address: str, file: Path, verdict: dict[str, Any], status: int, code: str
) -> None:
    before = file.read_bytes()
    reply = judge(address, **verdict)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert file.read_bytes() == before


def test_verdicts_need_a_place_and_are_rate_limited(tmp_path: Path) -> None:
    with running(stub_app()) as address:
        assert judge(address, id=ID, verdict="right").json()["error"]["code"] == "no_verdicts"
        assert httpx.get(f"{address}/about").json()["verdicts"] is False
    with running(stub_app(verdicts=tmp_path / "v.csv", verdicts_per_minute=2)) as address:
        codes = [judge(address, id=ID, verdict="right").status_code for _ in range(4)]
        assert codes == [409, 409, 429, 429]
        assert predicted(address, ("x.jpg", jpeg(1)))["pictures"], "predictions are not limited by it"


PREDICTION = JudgedPrediction(
    (verdicts._Image(ID, 5, "naïve vase.jpg"),),
    ClassProbability(label="egyptian", probability=0.5),
    unsure=False,
)
VERDICT = VerdictRequest(id=ID, verdict="right")


def test_many_writers_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    files = [VerdictFile(path, "net"), VerdictFile(path, "net")]  # as two servers

    def write(number: int) -> None:
        for _ in range(5):
            files[number % 2].append(PREDICTION, VERDICT)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["file"] for row in rows(path)] == ["naïve vase.jpg"] * 30


def test_half_a_line_of_a_crash_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    file = VerdictFile(path, "net")
    file.append(PREDICTION, VERDICT)
    whole = path.read_bytes()
    path.write_bytes(whole + b'2026-01-01T00:00:00Z,"half')
    file.append(PREDICTION, VERDICT)
    assert path.read_bytes().startswith(whole)
    assert len(rows(path)) == 2


def test_a_file_that_was_moved_away_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    file = VerdictFile(path, "net")
    file.append(PREDICTION, VERDICT)
    path.rename(tmp_path / "replayed.csv")
    assert file.append(PREDICTION, VERDICT) == 1
    assert [row["sha256"] for row in rows(path)] == [ID]
    path.unlink()
    tmp_path.joinpath("verdicts.csv").mkdir()
    with pytest.raises(RequestRefused, match="could not be saved"):
        file.append(PREDICTION, VERDICT)


def test_a_file_that_is_full_or_changed_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "verdicts.csv"
    file = VerdictFile(path, "net")
    before = path.read_bytes()
    monkeypatch.setattr(verdicts, "MAX_VERDICTS_BYTES", len(before) + 50)
    with pytest.raises(RequestRefused, match="full"):
        file.append(PREDICTION, VERDICT)
    assert path.read_bytes() == before
    path.write_text("time;sha256\n", encoding="utf-8")
    with pytest.raises(RequestRefused, match="could not be saved"):
        file.append(PREDICTION, VERDICT)
    assert path.read_text(encoding="utf-8") == "time;sha256\n"
    with pytest.raises(ConfigError, match="not a file of verdicts"):
        VerdictFile(path, "net")
