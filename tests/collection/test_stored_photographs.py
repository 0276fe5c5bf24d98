"""Runs against the demo museum: which photographs are stored, and their names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.demo.server import json_response
from tests.collection import faults
from tests.collection.demo_collection import (
    API,
    COLLECTION,
    names,
    objects_of,
    owner_of,
    picture_path,
)
from tests.collection.faults import FaultyMuseum, bomb_png, jpeg, png
from tests.collection.runs import met, rows, session

BLANK = encode_jpeg(np.full((80, 80, 3), 200, dtype=np.uint8))
BAD_PICTURES: dict[str, tuple[faults.Fault, str]] = {
    "bomb": (faults.body(bomb_png(), "image/png"), "pixels"),
    "cut short": (faults.changed_body(lambda data: data[: len(data) // 2]), "damaged"),
    "noise": (faults.body(b"\xff\xd8\xff" + bytes(500)), "not a picture"),
    "JSON": (faults.body(b'{"error": 1}', "application/json"), "known format"),
    "PDF": (faults.body(b"%PDF-1.7 ...", "application/pdf"), "known format"),
    "too small": (faults.body(jpeg(5, 27)), "27×27"),
    "blank": (faults.body(BLANK), "blank"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_an_invalid_image_is_refused_and_not_fetched_again(
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
    assert museum.requested[picture_path(victim)] == 1
    assert not any((tmp_path / ".parts").iterdir())


def test_known_placeholders_are_refused(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), faults.body(jpeg(99)))
    digest = hashlib.sha256(jpeg(99)).hexdigest()
    session(met(base), tmp_path, classes=["islam"], placeholders=[digest]).collect()
    assert f"4_MET_{victim}.jpg" not in names(tmp_path)


def test_the_same_bytes_from_many_urls_are_a_placeholder(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    victims = objects_of("orient")[:5]
    for victim in victims:
        museum.always(picture_path(victim), faults.body(jpeg(99)))
    session(met(base), tmp_path, classes=["orient"]).collect()
    kept = {owner_of(object_id) for object_id in Manifest.read(tmp_path).column("object_id")}
    assert kept == set(objects_of("orient")) - set(victims)


def test_a_png_at_a_jpg_url_gets_its_own_suffix(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), faults.body(png(), "image/jpeg"))
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert f"4_MET_{victim}.png" in names(tmp_path)


def test_further_photographs_of_an_object_are_numbered(base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, views=2, classes=["islam"]).collect()
    found = [i for i in objects_of("islam") if len(COLLECTION.photographs(int(i))) > 1]
    assert {f"4_MET_{i}-2.jpg" for i in found} <= names(tmp_path)
    manifest = Manifest.read(tmp_path)
    groups = dict(zip(manifest.column("image_id"), manifest.column("group_id"), strict=True))
    assert all(groups[f"4_MET_{i}"] == groups[f"4_MET_{i}-2"] for i in found)


def test_a_shared_photograph_is_stored_once_and_its_objects_are_one_group(
    museum: FaultyMuseum, base: str, tmp_path: Path
) -> None:
    session(met(base), tmp_path).collect()
    sharing = [
        i for i in COLLECTION.ids if COLLECTION.photographs(i) and COLLECTION.photographs(i)[0][0] != i
    ]
    assert sharing
    for object_id in sharing:
        assert museum.requested[picture_path(object_id)] == 1
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
    url = COLLECTION.met_record(int(one))["primaryImageSmall"]
    museum.always(
        f"{API}/{two}", lambda _: json_response(COLLECTION.met_record(int(two)) | {"primaryImageSmall": url})
    )
    session(met(base), tmp_path).collect()
    assert one not in Manifest.read(tmp_path).column("object_id")
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "manifest.parquet").to_pylist()
    (row,) = [row for row in table if row["status"] == "dropped"]
    assert row["reason"] == "shared by objects of asian and islam"
