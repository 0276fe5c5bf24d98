"""Later runs: changed photographs, records and rules."""

from __future__ import annotations

import functools
import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from heritage.collection.ledger_rows import StoredFile
from heritage.collection.storage import PhotoStorage
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
    picture_path,
)
from tests.collection.faults import HTML, WALL, FaultyMuseum, jpeg
from tests.collection.runs import met, printed, rows, rules, session


def test_refresh_replaces_changed_photographs_only(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(met(base), tmp_path, classes=["islam"]).collect()
    victim, damaged = objects_of("islam")[:2]
    new = jpeg(1234)
    museum.always(picture_path(victim), faults.body(new))
    museum.always(picture_path(damaged), faults.body(b"\xff\xd8\xff" + bytes(100)))
    before = (tmp_path / "images" / f"4_MET_{damaged}.jpg").read_bytes()
    museum.requests.clear()
    threads: set[str] = set()

    def write(self: PhotoStorage, *given: Any) -> StoredFile:
        threads.add(threading.current_thread().name.partition("_")[0])
        return written(self, *given)

    written = PhotoStorage.write
    monkeypatch.setattr(PhotoStorage, "write", write)
    run = session(met(base), tmp_path, classes=["islam"], refresh=True)
    run.collect()
    assert threads == {"validate"}, "a photograph was decoded on the event loop"
    assert "Replaced, as they have changed: 1 photograph." in printed(run)
    assert (tmp_path / "images" / f"4_MET_{victim}.jpg").read_bytes() == new
    assert (tmp_path / "images" / f"4_MET_{damaged}.jpg").read_bytes() == before
    manifest = Manifest.read(tmp_path)
    digests = dict(zip(manifest.column("object_id"), manifest.column("sha256"), strict=True))
    assert digests[victim] == hashlib.sha256(new).hexdigest()
    pictures = [request for request in museum.requests if request.path.endswith(".jpg")]
    assert len(pictures) == len(objects_of("islam"))
    assert all("if-none-match" in request.headers for request in pictures)


def test_bot_walls_end_a_refresh_with_an_error(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, limit=3).collect()
    museum.always("/images/", faults.status(403, WALL, **HTML))
    with pytest.raises(CollectionError, match="run the same command again"):
        session(met(base), tmp_path, limit=3, refresh=True).collect()


def test_since_requests_changed_records_only(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    moved = objects_of("islam")[0]
    asian = COLLECTION.met_record(int(moved)) | {"isPublicDomain": False}
    museum.always(f"{API}/{moved}", lambda _: json_response(asian))

    def changed(_: Response) -> Response:
        return json_response({"total": 1, "objectIDs": [int(moved)]})

    nothing = json_response({"total": 0, "objectIDs": []})
    before = museum.requested.copy()
    museum.requests.clear()
    museum.always(API, lambda response: changed(response) if _last_department(museum) == "14" else nothing)
    session(met(base), tmp_path, since="last").collect()
    assert museum.requested - before == {API: 7, f"{API}/{moved}": 1}
    assert all("metadataDate" in r.query for r in museum.requests if r.path == API)
    assert moved not in Manifest.read(tmp_path).column("object_id")


def test_changed_records_of_full_classes_are_read_and_their_photographs_stay(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path, limit=5).collect()
    before = set(Manifest.read(tmp_path).column("object_id"))
    released, unreachable = sorted(before)[:2]
    withheld = COLLECTION.met_record(int(released)) | {"isPublicDomain": False}
    museum.always(f"{API}/{released}", lambda _: json_response(withheld))
    museum.always(f"{API}/{unreachable}", faults.status(500))
    museum.requested.clear()
    # Nothing is lost if the run ends after the listing.
    session(met(base), tmp_path, limit=5, since="2020-01-01", dry_run=True).collect()
    assert dict(rows(tmp_path, "SELECT state, count(*) FROM objects GROUP BY state"))["changed"] == len(
        before
    )
    session(met(base), tmp_path, limit=5).collect()
    requested = {object_id for object_id in before if museum.requested[f"{API}/{object_id}"]}
    assert requested == before, "a changed record was not read because its class is full"
    after = set(Manifest.read(tmp_path).column("object_id"))
    assert before - after == {released}
    museum._always.clear()
    session(met(base), tmp_path, limit=5, retry="failed").collect()
    assert set(Manifest.read(tmp_path).column("object_id")) >= before - {released}
    assert not rows(tmp_path, "SELECT * FROM objects WHERE state IN ('failed', 'changed')")


def _last_department(museum: FaultyMuseum) -> str:
    return museum.requests[-1].query["departmentIds"] if museum.requests else ""


def test_new_rules_relabel_without_a_request(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    before = museum.requested.copy()
    plain = rules()
    swapped = [
        rule.model_copy(
            update={
                "class_name": {"islam": "asian", "asian": "islam"}.get(str(rule.class_name), rule.class_name)
            }
        )
        for rule in plain._rules
    ]
    other = type(plain)(name="swapped", classes=list(plain.classes), rules=swapped)
    session(met(base), tmp_path, rules=other).collect()
    assert museum.requested == before
    swap = {"islam": "asian", "asian": "islam"}
    ids = plain.classes
    expected_names = {f"{ids.index(swap.get(c, c)) + 1}_MET_{i}.jpg" for i, c in expected().items()}
    assert names(tmp_path) == expected_names
    session(met(base), tmp_path).collect()
    assert names(tmp_path) == {f"{ids.index(c) + 1}_MET_{i}.jpg" for i, c in expected().items()}


def test_a_new_first_photograph_gets_a_free_name(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    """Each row keeps its own bytes, whether the old photograph is still shown or not."""
    kept, replaced = [i for i in objects_of("islam") if len(COLLECTION.photographs(int(i))) > 1][:2]
    session(met(base), tmp_path, classes=["islam"]).collect()
    before = {object_id: path_of(tmp_path, object_id).read_bytes() for object_id in (kept, replaced)}
    new = {kept: jpeg(501), replaced: jpeg(502)}
    for object_id, photograph in new.items():
        record = COLLECTION.met_record(int(object_id))
        url = f"http://museum.demo/images/CRDImages/is/web-large/new-{object_id}.jpg"
        others = [record["primaryImageSmall"]] if object_id == kept else []
        museum.always(url.removeprefix("http://museum.demo"), faults.body(photograph))
        changed = json_response(record | {"primaryImageSmall": url, "additionalImages": others})
        museum.always(f"{API}/{object_id}", functools.partial(instead, changed))
    session(met(base), tmp_path, classes=["islam"], views=2, since="2020-01-01").collect()
    # Other rules with the same classes rename nothing.
    plain = rules()
    fewer = type(plain)(name="fewer", classes=list(plain.classes), rules=list(plain._rules[:-1]))
    session(met(base), tmp_path, classes=["islam"], rules=fewer).collect()
    manifest = Manifest.read(tmp_path)
    found: dict[str, set[bytes]] = {}
    columns = zip(*map(manifest.column, ("object_id", "file", "sha256")), strict=True)
    for object_id, file, digest in columns:
        data = (tmp_path / file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        found.setdefault(object_id, set()).add(data)
    assert found[kept] == {before[kept], new[kept]}
    assert found[replaced] == {new[replaced]}
    assert {path.name for path in (tmp_path / "images").iterdir()} == {
        file.removeprefix("images/") for file in manifest.column("file")
    }


def path_of(folder: Path, object_id: str) -> Path:
    ((file,),) = rows(folder, "SELECT file FROM images WHERE object_id = ?", object_id)
    return folder / str(file)


def instead(other: Response, _: Response) -> Response:
    return other


def test_a_record_of_another_class_moves_its_photograph(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path).collect()
    moved = objects_of("egyptian")[0]
    coptic = json_response(COLLECTION.met_record(int(moved)) | {"period": "Coptic Period"})
    museum.always(f"{API}/{moved}", lambda _: coptic)
    session(met(base), tmp_path, since="2020-01-01").collect()
    manifest = Manifest.read(tmp_path)
    place = manifest.column("object_id").index(moved)
    assert manifest.column("class")[place] == "byzantium"
    assert manifest.column("file")[place] == f"images/5_MET_{moved}.jpg"
    assert (tmp_path / "images" / f"5_MET_{moved}.jpg").is_file()
    assert rows(tmp_path, "SELECT class FROM images WHERE object_id = ?", moved) == [("byzantium",)]


def test_the_cache_hides_no_change_and_keeps_no_damaged_record(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    cache = {"path": tmp_path / "records.sqlite", "max_age_days": 30.0}
    released, damaged = objects_of("islam")[:2]
    of_another = json_response(COLLECTION.met_record(int(released)))
    museum.once(f"{API}/{damaged}", lambda _: of_another)
    session(met(base), tmp_path / "in", classes=["islam"], cache=cache).collect()
    withheld = json_response(COLLECTION.met_record(int(released)) | {"isPublicDomain": False})
    museum.always(f"{API}/{released}", lambda _: withheld)
    session(met(base), tmp_path / "in", classes=["islam"], cache=cache, retry="failed").collect()
    assert damaged in Manifest.read(tmp_path / "in").column("object_id")
    session(met(base), tmp_path / "in", classes=["islam"], cache=cache, since="2020-01-01").collect()
    assert released not in Manifest.read(tmp_path / "in").column("object_id")


def test_a_changed_size_keeps_stored_photographs_and_is_reported(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, classes=["islam"], limit=3).collect()
    again = session(met(base), tmp_path, classes=["islam"], limit=3)
    again.collect()
    assert "size=" not in printed(again)
    larger = session(met(base), tmp_path, classes=["islam"], limit=3, size="original")
    larger.collect()
    assert "have size=web and are kept" in printed(larger)
