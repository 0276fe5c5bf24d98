"""Runs against the demo museum with faulty lists, records and responses."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from heritage.core.manifest import Manifest
from heritage.demo.server import Response, json_response
from heritage.errors import CollectionError
from tests.collection import faults
from tests.collection.demo_collection import (
    API,
    COLLECTION,
    expected,
    names,
    objects_of,
    owner_of,
    picture_path,
)
from tests.collection.faults import HTML, WALL, FaultyMuseum
from tests.collection.runs import met, printed, retry_policy, rows, session


def test_temporary_errors_cost_only_requests(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    kinds = [
        faults.status(429, Retry_After="0"), faults.status(500), faults.reset, faults.truncated(300),
        faults.status(403, WALL, **HTML), faults.status(503, b"<html>", **HTML),
    ]  # fmt: skip
    for number, object_id in enumerate(expected()):
        museum.once(f"{API}/{object_id}", kinds[number % 4])
        museum.once(picture_path(object_id), kinds[(number + 1) % 4])
    victim = objects_of("asian")[0]
    museum.once(f"{API}/{victim}", kinds[4])
    museum.once(picture_path(victim), kinds[5])
    session(met(base), tmp_path, retry_policy=retry_policy(attempts=5)).collect()
    stored = rows(tmp_path, "SELECT object_id FROM images WHERE state = 'stored'")
    assert {owner_of(object_id) for (object_id,) in stored} == set(expected())


def test_scattered_bot_walls_do_not_end_the_run(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    walled = [*expected()][::9]
    for number, object_id in enumerate(walled):
        path = f"{API}/{object_id}" if number % 2 else picture_path(object_id)
        museum.once(path, faults.status(200, WALL, **HTML))
    assert len(walled) > 8
    session(met(base), tmp_path, retry_policy=retry_policy(wall_pause=0.01)).collect()
    stored = rows(tmp_path, "SELECT object_id FROM images WHERE state = 'stored'")
    assert {owner_of(object_id) for (object_id,) in stored} == set(expected())


@pytest.mark.parametrize("walled", ["/", f"{API}/", "/images/"])
def test_a_bot_wall_that_stays_ends_the_run(
    museum: FaultyMuseum, base: str, tmp_path: Path, walled: str
) -> None:
    """Also if it hides only the records or only the photographs of one host."""
    session(met(base), tmp_path, limit=2, retry_policy=retry_policy(wall_pause=0.01)).collect()
    stored = rows(tmp_path, "SELECT count(*) FROM images WHERE state = 'stored'")
    museum.always(walled, faults.status(200, WALL, **HTML))
    with pytest.raises(CollectionError, match=r"3 times in a row"):
        session(met(base), tmp_path, limit=20, retry_policy=retry_policy(wall_pause=0.01)).collect()
    assert rows(tmp_path, "SELECT count(*) FROM images WHERE state = 'stored'") >= stored


def test_failures_are_recorded_and_retried_on_demand(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    record, picture, broken, refused = objects_of("islam")[:4]
    museum.once(f"{API}/{refused}", faults.status(302, Location="https://elsewhere.example/"))
    museum.once(f"{API}/{record}", faults.status(404, b'{"message":"Not a valid object"}'))
    museum.once(picture_path(picture), faults.status(404, b"", **HTML))
    museum.once(picture_path(broken), *[faults.status(500)] * 3)
    run = session(met(base), tmp_path, classes=["islam"])
    run.collect()
    assert rows(tmp_path, "SELECT state, error FROM objects WHERE object_id = ?", record) == [
        ("gone", "status 404 (Not a valid object)")
    ]
    assert rows(tmp_path, "SELECT state FROM objects WHERE object_id = ?", refused) == [("refused",)]
    states = dict(rows(tmp_path, "SELECT object_id, state FROM images"))
    assert (states[picture], states[broken]) == ("gone", "failed")
    assert "retry=failed" in printed(run)
    before = museum.requested.copy()
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert museum.requested == before
    session(met(base), tmp_path, classes=["islam"], retry="failed", dry_run=True).collect()
    again = (
        "SELECT state, error FROM objects WHERE state = 'listed' "
        "UNION ALL SELECT state, error FROM images WHERE state = 'wanted'"
    )
    assert sorted(rows(tmp_path, again)) == [("listed", None)] * 2 + [("wanted", None)] * 2
    session(met(base), tmp_path, classes=["islam"], retry="failed").collect()
    assert names(tmp_path) == {f"4_MET_{i}.jpg" for i in objects_of("islam")}
    # Objects excluded by their own record are not requested again.
    closed = [i for i in COLLECTION.ids if COLLECTION.class_of(i) == "islam" and not COLLECTION.is_public(i)]
    assert closed
    assert all(museum.requested[f"{API}/{i}"] == 1 for i in closed)


def test_a_missing_photograph_makes_room_for_another(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    for object_id in objects_of("orient")[:6]:
        museum.always(picture_path(object_id), faults.status(404))
    number = len(objects_of("orient")) - 6
    session(met(base), tmp_path, classes=["orient"], limit=number).collect()
    assert len(names(tmp_path)) == number


def instead(other: Response, _: Response) -> Response:
    return other


def test_ids_and_urls_cannot_leave_the_folder_or_the_museum(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    victims = objects_of("islam")[:3]
    urls = [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://museum.demo/images/../../secret",
    ]
    for victim, url in zip(victims, urls, strict=True):
        response = json_response(COLLECTION.met_record(int(victim)) | {"primaryImageSmall": url})
        museum.always(f"{API}/{victim}", functools.partial(instead, response))

    def listed(response: Response) -> Response:
        parsed = json.loads(response.body)
        return json_response(
            {"total": 1, "objectIDs": [*parsed["objectIDs"], "../../etc/passwd", None, 1.5, -3, True]}
        )

    museum.once(API, *[listed] * 20)
    session(met(base), tmp_path / "in", classes=["islam"]).collect()
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    found = dict(rows(tmp_path / "in", "SELECT object_id, state FROM images"))
    assert [found[victim] for victim in victims] == ["refused", "refused", "gone"]
    assert not [path for path in museum.requested if "passwd" in path or "meta-data" in path]


def test_a_record_of_another_object_is_rejected(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    victim, other = objects_of("islam")[:2]
    museum.always(f"{API}/{victim}", lambda _: json_response(COLLECTION.met_record(int(other))))
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert rows(tmp_path, "SELECT state FROM objects WHERE object_id = ?", victim) == [("failed",)]


def test_three_bot_walls_end_the_run_and_keep_its_photographs(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path, limit=1).collect()
    museum.always("/images/", faults.status(403, WALL, **HTML))
    with pytest.raises(CollectionError, match="run the same command again"):
        session(met(base), tmp_path, limit=3).collect()
    museum._always.clear()
    session(met(base), tmp_path, limit=3).collect()
    assert len(names(tmp_path)) == 18


def test_a_full_disk_is_reported(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device", "images")

    monkeypatch.setattr("heritage.collection.storage.os.fsync", full)
    with pytest.raises(CollectionError, match="No space left on device"):
        session(met(base), tmp_path).collect()


URL = b'"primaryImageSmall": "http://museum.demo/images/'
POISON: dict[str, tuple[bytes, str, str]] = {
    "URL too long": (URL + b"a" * 80_000 + b'"', "images", "a URL of 80,0"),
    "half a character in a URL": (URL + rb'\ud800.jpg"', "images", "404"),
    "half a character in a text": (rb'"title": "a \ud800 b"', "", ""),
    "a year beyond all years": (b'"objectBeginDate": 1000000000000', "objects", "not a year"),
    "a year of 5,000 digits": (b'"objectBeginDate": "' + b"9" * 5_000 + b'"', "objects", "not a year"),
    "brackets without an end": (b'"tags": ' + b"[" * 200_000 + b"]" * 200_000, "objects", "not JSON"),
}  # fmt: skip


def test_no_record_can_end_the_run(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    victims = dict(zip(POISON, objects_of("asian"), strict=False))
    for name, victim in victims.items():
        raw = json.dumps(COLLECTION.met_record(int(victim))).encode()
        # The last of two equal keys counts.
        other = Response(200, raw[:-1] + b", " + POISON[name][0] + b"}", {"Content-Type": "application/json"})
        museum.always(f"{API}/{victim}", functools.partial(instead, other))
    session(met(base), tmp_path, classes=["asian"]).collect()
    for name, (_, table, reason) in POISON.items():
        if table:
            question = f"SELECT error FROM {table} WHERE object_id = ?"  # noqa: S608
            ((error,),) = rows(tmp_path, question, victims[name])
            assert reason in error, name
    unharmed = set(objects_of("asian")) - {v for name, v in victims.items() if POISON[name][1]}
    assert names(tmp_path) == {f"6_MET_{i}.jpg" for i in unharmed}


def test_the_manifest_is_written_if_bot_walls_end_the_run(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path, classes=["islam"], limit=2).collect()
    (tmp_path / "manifest.parquet").unlink()
    (tmp_path / "ATTRIBUTION.md").unlink()
    museum.always("/images/", faults.status(403, WALL, **HTML))
    with pytest.raises(CollectionError, match="run the same command again"):
        session(met(base), tmp_path, limit=3).collect()
    assert len(Manifest.read(tmp_path).column("file")) == 2
    assert "4_MET_" in (tmp_path / "ATTRIBUTION.md").read_text()
