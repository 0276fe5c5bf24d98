"""The manifest: checks, round trip, fingerprint."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.core.manifest import SCHEMA, Manifest
from heritage.core.taxonomy import CLASSES, parse_image_name
from heritage.errors import DatasetNotFoundError, HeritageError, ManifestError

ROWS = {
    "file": ["images/1_MET_1.jpg", "images/2_MET_2.jpg", "images/2_MET_3.jpg"],
    "class": ["egyptian", "grecoroman", "grecoroman"],
    "object_id": ["1", "2", None],
    "begin_year": [-300, 10, None],
    "mine": ["a", "b", "c"],
}


def test_columns_come_in_the_schemas_order_and_types() -> None:
    found = Manifest.build(ROWS, Path("/set"), CLASSES)
    known = [name for name in SCHEMA.names if name in found.table.column_names]
    assert found.table.column_names == [*known, "mine"]
    assert found.table.schema.field("begin_year").type == pa.int32()
    assert found.column("group_id") == ["1", "2", "images/2_MET_3"]
    assert found.targets.tolist() == [0, 1, 1]
    assert found.counts() == dict(zip(CLASSES, (1, 2, 0, 0, 0, 0), strict=True))
    assert found.column("museum") == [None] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": ["a", "a", "b"]}, "'a' occurs 2 times"),
        ({"class": ["egyptian", None, "islam"]}, "row 2 has no class"),
        ({"class": ["egyptian", "islamic", "islam"]}, "did you mean islam"),
        ({"begin_year": ["x", "1", "2"]}, "column begin_year"),
        ({"file": [], "class": [], "object_id": [], "begin_year": [], "mine": []}, "there are no images"),
    ],
)
def test_invalid_tables_are_refused(change: dict[str, list[object]], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        Manifest.build({**ROWS, **change}, Path("/set"), CLASSES)
    with pytest.raises(ManifestError, match="no column class"):
        Manifest.build({"file": ["a"]}, Path("/set"), CLASSES)


def test_files_that_differ_in_their_suffix_alone_keep_it_in_their_ids() -> None:
    files = ["a/1.jpg", "a/1.png", "a/2.jpg", "b/1.jpg"]
    found = Manifest.build({"file": files, "class": ["islam"] * 4}, Path("/set"), CLASSES)
    assert found.column("image_id") == ["a/1.jpg", "a/1.png", "a/2", "b/1"]


def test_round_trip(tmp_path: Path) -> None:
    found = Manifest.build(ROWS, tmp_path, CLASSES)
    found.write(tmp_path, {"title": "three"})
    again = Manifest.read(tmp_path)
    assert again.table.equals(found.table)
    assert again.fingerprint == found.fingerprint
    dropped = found.with_column("status", ["kept", "dropped", "kept"])
    dropped.write(tmp_path)
    assert len(Manifest.read(tmp_path)) == 2


def test_missing_and_damaged_manifests_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"no manifest\.parquet"):
        Manifest.read(tmp_path)
    Manifest.build(ROWS, tmp_path, CLASSES).write(tmp_path)
    (tmp_path / "manifest.parquet").write_bytes(b"no parquet")
    with pytest.raises(ManifestError, match="unreadable"):
        Manifest.read(tmp_path)


def test_the_fingerprint_depends_on_content_and_not_on_order_or_place() -> None:
    found = Manifest.build(ROWS, Path("/set"), CLASSES)
    turned = found.take(np.array([2, 0, 1]))
    assert Manifest.build(turned.table, Path("/elsewhere"), CLASSES).fingerprint == found.fingerprint
    for name, values in (("class", ["egyptian", "islam", "islam"]), ("split", ["train", "val", "test"]),
                         ("group_id", ["x", "y", "z"]), ("sha256", ["1", "2", "3"])):  # fmt: skip
        assert found.with_column(name, values).fingerprint != found.fingerprint
    assert found.with_column("title", ["1", "2", "3"]).fingerprint == found.fingerprint


def test_errors_cross_process_boundaries() -> None:
    error = ManifestError("what", where="here", remedy="do this")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own object
    assert isinstance(again, HeritageError)
    assert str(again) == "here: what; do this"


@pytest.mark.parametrize("stem", ["1_LOUVRE_26784283", "12_MET_AB-9.x_2"])
def test_image_names(stem: str) -> None:
    assert str(parse_image_name(stem)) == stem


@pytest.mark.parametrize(
    "stem", ["0_MET_1", "MET_1", "1_met_1", "1_MET_", "1_MET_a b", "../1_MET_1", "1_MET_../x"]
)
def test_other_names_are_refused(stem: str) -> None:
    with pytest.raises(ManifestError, match="the name is not CLASSID_MUSEUM_UNIQUEID"):
        parse_image_name(stem)


@pytest.mark.parametrize(
    "about",
    [
        [],
        None,
        {"classes": "ab"},
        {"classes": [1, 2]},
        {"classes": ["a", "a"]},
        {"classes": ["a"], "museums": 5},
    ],
)
def test_a_description_of_other_types_is_one_line(about: object, tmp_path: Path) -> None:
    rows = [{"image_id": "1", "file": "1.jpg", "class": "a"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(ManifestError, match=r"dataset\.json"):
        Manifest.read(tmp_path)


def test_a_manifest_with_nested_repeated_or_undecodable_columns_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"classes": ["a"]}')
    table = pa.table({"file": ["1.jpg"], "class": ["a"]})
    offsets = pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00")
    undecodable = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    for hostile in (
        table.set_column(0, "file", pa.array([["1.jpg"]])),
        table.append_column("status", pa.array([{"kept": 1}])),
        table.append_column("class", table["class"]),
        table.append_column("title", undecodable),
    ):
        pq.write_table(hostile, tmp_path / "manifest.parquet")
        with pytest.raises(ManifestError, match=r"manifest\.parquet"):
            Manifest.read(tmp_path)
