"""Whole runs against the demo museum, with faults in its lists, records and photographs."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from heritage.collection.lock import locked
from heritage.collection.shelf import Shelf
from heritage.collection.states import StoredFile
from heritage.demo.museum import DemoCollection, Reply, answering, json_reply, serve
from heritage.errors import CollectionError, ConfigError
from heritage.manifest import Manifest
from heritage.picture import encode_jpeg
from tests.collection import faults
from tests.collection.faults import HTML, WALL, FaultyMuseum, bomb_png, jpeg, tiny_painter
from tests.collection.runs import met, patience, printed, rows, rules, session

BLANK = encode_jpeg(np.full((80, 80, 3), 200, dtype=np.uint8))
HELD = DemoCollection(images=480, picture_size=64, seed=3, painter=tiny_painter)
API = "/public/collection/v1/objects"


@pytest.fixture
def museum() -> FaultyMuseum:
    return FaultyMuseum(answering(HELD))


@pytest.fixture
def base(museum: FaultyMuseum) -> Iterator[str]:
    with serve(museum) as url:
        yield url


def expected() -> dict[str, str]:
    """Object id → class, of all objects that must end with a photograph of their own."""
    return {
        str(i): HELD.class_of(i)
        for i in HELD.ids
        if HELD.photographs(i) and HELD.photographs(i)[0][0] == i and not HELD.is_foreign(i)
    }


def owner_of(object_id: str) -> str:
    """Return the object whose photograph an object shows."""
    return str(HELD.photographs(int(object_id))[0][0])


def picture_path(object_id: int | str) -> str:
    (url,) = [HELD.met_record(int(object_id))["primaryImageSmall"]]
    return str(url).removeprefix("http://museum.demo")


def objects_of(name: str) -> list[str]:
    """The objects of a class with photographs of their own; those that others share stand last."""
    shared = {owner_of(str(i)) for i in HELD.ids if HELD.photographs(i) and owner_of(str(i)) != str(i)}
    return sorted((i for i, c in expected().items() if c == name), key=lambda i: (i in shared, i))


def names(folder: Path) -> set[str]:
    """The files' names, each after the object that was photographed: sharers may have been first."""
    found = set()
    for path in (folder / "images").iterdir():
        class_id, museum, unique = path.name.split("_")
        object_id = re.split(r"[-.]", unique)[0]
        found.add(f"{class_id}_{museum}_{unique.replace(object_id, owner_of(object_id))}")
    return found


def assert_nothing_twice(museum: FaultyMuseum) -> None:
    assert {path: n for path, n in museum.asked.items() if n > 1 and path != API} == {}


def test_a_run_ends_with_exactly_the_right_files(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    manifest = Manifest.read(tmp_path)
    classes = rules().classes
    found = zip(manifest.column("object_id"), manifest.column("class"), strict=True)
    assert {(owner_of(o), c) for o, c in found} == set(expected().items())
    assert names(tmp_path) == {f"{rules().classes.index(c) + 1}_MET_{i}.jpg" for i, c in expected().items()}
    for image_id, object_id, class_name in zip(
        *(manifest.column(name) for name in ("image_id", "object_id", "class")), strict=True
    ):
        assert image_id == f"{classes.index(class_name) + 1}_MET_{object_id}"
    for file, digest in zip(manifest.column("file"), manifest.column("sha256"), strict=True):
        assert hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() == digest
    assert {path.name for path in tmp_path.iterdir()} >= {"ATTRIBUTION.md", "LICENCES.md", "dataset.json"}
    assert set(manifest.column("licence")) == {"CC0-1.0"}
    assert not any((tmp_path / ".parts").iterdir())


def test_each_row_says_where_it_came_from_and_why_it_has_its_class(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    manifest = Manifest.read(tmp_path)
    for row in manifest.table.to_pylist():
        record = HELD.met_record(int(row["object_id"]))
        assert row["image_url"] == record["primaryImageSmall"]
        assert row["permalink"] == record["objectURL"]
        assert record["creditLine"] in row["credit"]
        assert (row["culture"], row["begin_year"]) == (record["culture"], record["objectBeginDate"])
        assert row["rule"].startswith("met-")
        assert (row["width"], row["height"]) == (72, 72)
    attribution = (tmp_path / "ATTRIBUTION.md").read_text()
    assert attribution.count("\n- `") == len(manifest)


def test_a_second_run_asks_for_nothing(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    before = museum.asked.copy()
    assert_nothing_twice(museum)
    session(met(base), tmp_path).collect()
    assert museum.asked == before


def test_works_that_are_not_public_are_never_fetched(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    closed = [i for i in HELD.ids if not HELD.is_public(i)]
    assert closed
    states = rows(tmp_path, "SELECT object_id, state, error FROM objects")
    assert {(str(i), "refused", "not in the public domain") for i in closed} <= set(states)
    assert not [path for path in museum.asked for i in closed if f"/{i}-" in path]


def test_the_limit_holds_for_each_class_and_can_be_raised(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path, limit=2).collect()
    assert set(Counter(name[0] for name in names(tmp_path)).values()) == {2}
    assert len(Manifest.read(tmp_path)) == 12
    first = names(tmp_path)
    session(met(base), tmp_path, limit=3, classes=["islam", "asian"]).collect()
    assert first < names(tmp_path)
    assert Counter(name[0] for name in names(tmp_path)) == {"1": 2, "2": 2, "3": 2, "4": 3, "5": 2, "6": 3}
    assert_nothing_twice(museum)


def test_further_photographs_of_an_object_are_numbered(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, views=2, classes=["islam"]).collect()
    found = [i for i in objects_of("islam") if len(HELD.photographs(int(i))) > 1]
    assert {f"4_MET_{i}-2.jpg" for i in found} <= names(tmp_path)
    manifest = Manifest.read(tmp_path)
    groups = dict(zip(manifest.column("image_id"), manifest.column("group_id"), strict=True))
    assert all(groups[f"4_MET_{i}"] == groups[f"4_MET_{i}-2"] for i in found)


def test_a_shared_photograph_is_stored_once_and_its_objects_are_one_group(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path).collect()
    sharing = [i for i in HELD.ids if HELD.photographs(i) and HELD.photographs(i)[0][0] != i]
    assert sharing
    for object_id in sharing:
        assert museum.asked[picture_path(object_id)] == 1
        ((owners,),) = rows(
            tmp_path,
            "SELECT count(*) FROM views WHERE image = (SELECT image FROM views WHERE object_id = ?)",
            str(object_id),
        )
        assert owners == 2


def test_a_photograph_of_two_classes_is_dropped_with_the_reason(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    one, two = objects_of("islam")[0], objects_of("asian")[0]
    url = HELD.met_record(int(one))["primaryImageSmall"]
    museum.always(
        f"{API}/{two}", lambda _: json_reply(HELD.met_record(int(two)) | {"primaryImageSmall": url})
    )
    session(met(base), tmp_path).collect()
    assert one not in Manifest.read(tmp_path).column("object_id")
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    (row,) = [row for row in table if row["status"] == "dropped"]
    assert row["reason"] == "shared by objects of asian and islam"


BAD_PICTURES: dict[str, tuple[faults.Fault, str]] = {
    "bomb": (faults.body(bomb_png(), "image/png"), "pixels"),
    "cut short": (faults.sent(lambda data: data[: len(data) // 2]), "damaged"),
    "noise": (faults.body(b"\xff\xd8\xff" + bytes(500)), "not a picture"),
    "JSON": (faults.body(b'{"error": 1}', "application/json"), "known format"),
    "PDF": (faults.body(b"%PDF-1.7 ...", "application/pdf"), "known format"),
    "too small": (faults.body(jpeg(5, 27)), "27×27"),
    "blank": (faults.body(BLANK), "blank"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_refused_once_and_for_all(
    museum: FaultyMuseum, base: str, tmp_path: Path, name: str
) -> None:
    fault, reason = BAD_PICTURES[name]
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), fault)
    for _ in range(2):
        session(met(base), tmp_path, classes=["islam"]).collect()
    assert names(tmp_path) == {f"4_MET_{i}.jpg" for i in objects_of("islam")} - {f"4_MET_{victim}.jpg"}
    ((state, error),) = rows(tmp_path, "SELECT state, error FROM images WHERE object_id = ?", victim)
    assert (state, reason in error) == ("refused", True)
    assert museum.asked[picture_path(victim)] == 1
    assert not any((tmp_path / ".parts").iterdir())


def test_known_placeholders_are_refused(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), faults.body(jpeg(99)))
    digest = hashlib.sha256(jpeg(99)).hexdigest()
    session(met(base), tmp_path, classes=["islam"], placeholders=[digest]).collect()
    assert f"4_MET_{victim}.jpg" not in names(tmp_path)


def test_the_same_bytes_from_many_addresses_are_a_placeholder(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    victims = objects_of("orient")[:5]
    for victim in victims:
        museum.always(picture_path(victim), faults.body(jpeg(99)))
    session(met(base), tmp_path, classes=["orient"]).collect()
    kept = {owner_of(object_id) for object_id in Manifest.read(tmp_path).column("object_id")}
    assert kept == set(objects_of("orient")) - set(victims)


@functools.cache
def png() -> bytes:
    """A noisy PNG."""
    written = io.BytesIO()
    Image.effect_noise((80, 80), 60).save(written, "PNG")
    return written.getvalue()


def test_a_png_behind_a_jpg_address_gets_its_own_suffix(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), faults.body(png(), "image/jpeg"))
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert f"4_MET_{victim}.png" in names(tmp_path)


def test_faults_that_pass_cost_nothing_but_requests(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
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
    session(met(base), tmp_path, patience=patience(attempts=5)).collect()
    stored = rows(tmp_path, "SELECT object_id FROM images WHERE state = 'stored'")
    assert {owner_of(object_id) for (object_id,) in stored} == set(expected())


def test_what_vanished_is_remembered_and_tried_again_on_demand(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
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
    before = museum.asked.copy()
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert museum.asked == before
    session(met(base), tmp_path, classes=["islam"], retry="failed", dry_run=True).collect()
    again = (
        "SELECT state, error FROM objects WHERE state = 'listed' "
        "UNION ALL SELECT state, error FROM images WHERE state = 'wanted'"
    )
    assert sorted(rows(tmp_path, again)) == [("listed", None)] * 2 + [("wanted", None)] * 2
    session(met(base), tmp_path, classes=["islam"], retry="failed").collect()
    assert names(tmp_path) == {f"4_MET_{i}.jpg" for i in objects_of("islam")}
    # What its own record rules out is not asked for again.
    closed = [i for i in HELD.ids if HELD.class_of(i) == "islam" and not HELD.is_public(i)]
    assert closed
    assert all(museum.asked[f"{API}/{i}"] == 1 for i in closed)


def test_a_photograph_that_cannot_be_had_makes_room_for_another(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    for object_id in objects_of("orient")[:6]:
        museum.always(picture_path(object_id), faults.status(404))
    number = len(objects_of("orient")) - 6
    session(met(base), tmp_path, classes=["orient"], limit=number).collect()
    assert len(names(tmp_path)) == number


def instead(other: Reply, _: Reply) -> Reply:
    return other


def test_ids_and_addresses_cannot_leave_the_folder_or_the_museum(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    victims = objects_of("islam")[:3]
    urls = [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://museum.demo/images/../../secret",
    ]
    for victim, url in zip(victims, urls, strict=True):
        reply = json_reply(HELD.met_record(int(victim)) | {"primaryImageSmall": url})
        museum.always(f"{API}/{victim}", functools.partial(instead, reply))

    def listed(reply: Reply) -> Reply:
        said = json.loads(reply.body)
        return json_reply(
            {"total": 1, "objectIDs": [*said["objectIDs"], "../../etc/passwd", None, 1.5, -3, True]}
        )

    museum.once(API, *[listed] * 20)
    session(met(base), tmp_path / "in", classes=["islam"]).collect()
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    found = dict(rows(tmp_path / "in", "SELECT object_id, state FROM images"))
    assert [found[victim] for victim in victims] == ["refused", "refused", "gone"]
    assert not [path for path in museum.asked if "passwd" in path or "meta-data" in path]


def test_a_record_of_another_object_is_not_believed(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    victim, other = objects_of("islam")[:2]
    museum.always(f"{API}/{victim}", lambda _: json_reply(HELD.met_record(int(other))))
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert rows(tmp_path, "SELECT state FROM objects WHERE object_id = ?", victim) == [("failed",)]


def test_three_walls_end_the_run_and_keep_what_there_is(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path, limit=1).collect()
    museum.always("/images/", faults.status(403, WALL, **HTML))
    with pytest.raises(CollectionError, match="start the same command again"):
        session(met(base), tmp_path, limit=3).collect()
    museum._always.clear()
    session(met(base), tmp_path, limit=3).collect()
    assert len(names(tmp_path)) == 18


def test_walls_end_a_refresh_in_one_line_too(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, limit=3).collect()
    museum.always("/images/", faults.status(403, WALL, **HTML))
    with pytest.raises(CollectionError, match="start the same command again"):
        session(met(base), tmp_path, limit=3, refresh=True).collect()


def test_changed_content_is_fetched_on_refresh_and_only_that(
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

    def write(self: Shelf, *given: Any) -> StoredFile:
        threads.add(threading.current_thread().name.partition("_")[0])
        return written(self, *given)

    written = Shelf.write
    monkeypatch.setattr(Shelf, "write", write)
    run = session(met(base), tmp_path, classes=["islam"], refresh=True)
    run.collect()
    assert threads == {"verify"}, "a photograph was decoded on the event loop"
    assert "1 photographs had changed" in printed(run)
    assert (tmp_path / "images" / f"4_MET_{victim}.jpg").read_bytes() == new
    assert (tmp_path / "images" / f"4_MET_{damaged}.jpg").read_bytes() == before
    manifest = Manifest.read(tmp_path)
    digests = dict(zip(manifest.column("object_id"), manifest.column("sha256"), strict=True))
    assert digests[victim] == hashlib.sha256(new).hexdigest()
    pictures = [request for request in museum.requests if request.path.endswith(".jpg")]
    assert len(pictures) == len(objects_of("islam"))
    assert all("if-none-match" in request.headers for request in pictures)


def test_an_incremental_run_asks_for_changed_records_alone(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path).collect()
    moved = objects_of("islam")[0]
    asian = HELD.met_record(int(moved)) | {"isPublicDomain": False}
    museum.always(f"{API}/{moved}", lambda _: json_reply(asian))

    def changed(_: Reply) -> Reply:
        return json_reply({"total": 1, "objectIDs": [int(moved)]})

    before = museum.asked.copy()
    museum.requests.clear()
    museum.always(
        API,
        lambda reply: changed(reply) if _asked(museum) == "14" else json_reply({"total": 0, "objectIDs": []}),
    )
    session(met(base), tmp_path, since="last").collect()
    assert museum.asked - before == {API: 7, f"{API}/{moved}": 1}
    assert all("metadataDate" in r.query for r in museum.requests if r.path == API)
    assert moved not in Manifest.read(tmp_path).column("object_id")


def _asked(museum: FaultyMuseum) -> str:
    return museum.requests[-1].query["departmentIds"] if museum.requests else ""


def test_new_rules_relabel_without_a_request(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path).collect()
    before = museum.asked.copy()
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
    assert museum.asked == before
    turn = {"islam": "asian", "asian": "islam"}
    ids = plain.classes
    wanted = {f"{ids.index(turn.get(c, c)) + 1}_MET_{i}.jpg" for i, c in expected().items()}
    assert names(tmp_path) == wanted
    session(met(base), tmp_path).collect()
    assert names(tmp_path) == {f"{ids.index(c) + 1}_MET_{i}.jpg" for i, c in expected().items()}


def test_conflicts_and_unmapped_objects_are_reported_not_guessed(base: str, tmp_path: Path) -> None:
    plain = rules()
    islam = next(rule for rule in plain._rules if rule.name == "met-islamic")
    contrary = islam.model_copy(update={"name": "contrary", "class_name": "orient"})
    torn = type(plain)(name="torn", classes=list(plain.classes), rules=[*plain._rules, contrary])
    run = session(met(base), tmp_path, rules=torn)
    run.collect()
    states = Counter(
        rows(tmp_path, "SELECT state, rule FROM objects WHERE state IN ('conflict', 'unmapped')")
    )
    islamic = [i for i in HELD.ids if HELD.class_of(i) == "islam" and HELD.photographs(i)]
    foreign = [i for i in HELD.ids if HELD.is_foreign(i) and HELD.photographs(i)]
    assert states == {("conflict", "met-islamic, contrary"): len(islamic), ("unmapped", ""): len(foreign)}
    assert "conflict: met-islamic, contrary" in printed(run)
    report = session(met(base), tmp_path, rules=torn, report="records")
    report.report()
    assert "contrary" in printed(report)


def test_a_slow_listing_says_where_it_is(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heritage.collection.progress.LOG_EVERY", 0.05)
    museum.once(API, lambda reply: reply, faults.late(0.4))
    run = session(met(base), tmp_path, dry_run=True)
    run.collect()
    number = sum(HELD.department(i) == 3 for i in HELD.ids)
    assert f"Listing department:6 (2 of 7): {number:,} objects" in printed(run)


def test_a_dry_run_stops_after_the_plan(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    run = session(met(base), tmp_path, dry_run=True)
    run.collect()
    assert set(museum.asked) == {API}
    assert "records to read" in printed(run)
    assert not (tmp_path / "images").exists()


def test_a_second_collector_is_refused(base: str, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(CollectionError, match=f"process {os.getpid()}.*name="):
        session(met(base), tmp_path).collect()


def test_ctrl_c_finishes_what_is_in_flight_and_says_how_to_go_on(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    third = objects_of("orient")[2]

    def interrupt(reply: Reply) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        return reply

    museum.once(picture_path(third), interrupt)
    with pytest.raises(KeyboardInterrupt, match="start the same command to go on"):
        session(met(base), tmp_path).collect()
    stored = {f for (f,) in rows(tmp_path, "SELECT file FROM images WHERE state = 'stored'")}
    assert {Path(f).name for f in stored} == {path.name for path in (tmp_path / "images").iterdir()}
    assert f"3_MET_{third}.jpg" in names(tmp_path)
    assert 0 < len(stored) < len(expected())
    assert len(Manifest.read(tmp_path)) == len(stored)
    session(met(base), tmp_path).collect()
    assert names(tmp_path) == {f"{rules().classes.index(c) + 1}_MET_{i}.jpg" for i, c in expected().items()}
    assert_nothing_twice(museum)


def test_a_second_ctrl_c_stops_at_once(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    def interrupt(reply: Reply) -> Reply:
        for after in (0.1, 0.4):
            threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT)).start()
        return faults.drip(reply)

    museum.always(picture_path(objects_of("orient")[2]), interrupt)
    waiting = patience(total_timeout=60.0, read_timeout=60.0)
    run = session(met(base), tmp_path, patience=waiting)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="start the same command to go on"):
        run.collect()
    assert time.monotonic() - started < 20
    assert printed(run).count("Ctrl-C again stops at once") == 1
    assert printed(run).count("Stopping at once") == 1


def test_a_crash_between_writing_and_renaming_is_finished(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    stages = {"before the rename": "_rename", "after the rename": "end"}
    for number, stage in enumerate(stages):
        folder = tmp_path / str(number)
        rename = Shelf._rename

        def crash(self: Any, image: Any, file: str, stage: str = stage, rename: Any = rename) -> None:
            if stage == "after the rename":
                rename(self, image, file)
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(Shelf, "_rename", crash)
            with pytest.raises(BaseExceptionGroup):
                session(met(base), folder, classes=["islam"]).collect()
        assert rows(folder, "SELECT count(*) FROM images WHERE state = 'writing'")[0][0] > 0
        museum.asked.clear()
        written = {u for (u,) in rows(folder, "SELECT url FROM images WHERE state = 'writing'")}
        session(met(base), folder, classes=["islam"]).collect()
        assert names(folder) == {f"4_MET_{i}.jpg" for i in objects_of("islam")}
        assert not any(museum.asked[u.removeprefix("http://museum.demo")] for u in written)


def test_a_deleted_photograph_is_fetched_again(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, classes=["islam", "asian"]).collect()
    before, asked = names(tmp_path), museum.asked.copy()
    (file, path), *_ = rows(tmp_path, "SELECT file, url FROM images WHERE class = 'islam'")
    (tmp_path / file).unlink()
    run = session(met(base), tmp_path, classes=["islam", "asian"])
    run.collect()
    assert "1 stored photographs are no longer there" in printed(run)
    assert museum.asked - asked == {path.removeprefix("http://museum.demo"): 1}
    assert names(tmp_path) == before
    # One of a class that is not collected now is not promised by the manifest either.
    (tmp_path / file).unlink()
    session(met(base), tmp_path, classes=["asian"]).collect()
    assert file not in Manifest.read(tmp_path).column("file")


def test_a_crash_in_a_refresh_leaves_no_predecessor(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(met(base), tmp_path, classes=["islam"]).collect()
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), faults.body(png(), "image/png"))

    class Crash(BaseException):
        pass

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "_remove_predecessor", crash)
        with pytest.raises(BaseExceptionGroup):
            session(met(base), tmp_path, classes=["islam"], refresh=True).collect()
    both = {f"4_MET_{victim}.jpg", f"4_MET_{victim}.png"}
    assert both < {path.name for path in (tmp_path / "images").iterdir()}
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert names(tmp_path) & both == {f"4_MET_{victim}.png"}
    assert (tmp_path / "images" / f"4_MET_{victim}.png").read_bytes() == png()


def test_a_full_disk_is_said(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device", "images")

    monkeypatch.setattr("heritage.collection.shelf.os.fsync", full)
    with pytest.raises(CollectionError, match="No space left on device"):
        session(met(base), tmp_path).collect()


def test_ids_of_ones_own_are_collected(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    wanted = objects_of("islam")[:2] + objects_of("asian")[:1]
    (tmp_path / "ids.txt").write_text("\n".join(wanted))
    session(met(base), tmp_path / "in", ids=tmp_path / "ids.txt").collect()
    assert {row.split("_")[2].removesuffix(".jpg") for row in names(tmp_path / "in")} == set(wanted)
    assert museum.asked[API] == 0
    (tmp_path / "ids.txt").write_text("../../etc/passwd")
    with pytest.raises(ConfigError, match="not an object id"):
        session(met(base), tmp_path / "in", ids=tmp_path / "ids.txt").collect()


def test_the_louvres_language_is_spoken_too(tmp_path: Path) -> None:
    from heritage.collection.sources.demo import DemoSource

    demo = DemoSource(
        speaks="louvre", images=60, picture_size=48, seed=0, port=0, concurrency=4, departments={},
        expected_yield=0.9,
    )  # fmt: skip
    with demo.opened() as museum:
        run = session(museum, tmp_path, rules=rules("thesis"), classes=["egyptian", "islam"])
        run.collect()
    manifest = Manifest.read(tmp_path)
    assert set(manifest.column("class")) == {"egyptian", "islam"}
    assert all(credit.startswith("© ") for credit in manifest.column("credit"))
    assert "teaching" in printed(run)
