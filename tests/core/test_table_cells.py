"""Columns and file names of people's tables, the same in every command."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.curation import raw_sources
from heritage.data import readers
from heritage.errors import HeritageError, ManifestError
from heritage.prediction.inputs import find_inputs

COLUMNS = {"file": "file", "class": "class", "group_id": "group_id"}
NAMES = ("a.jpg", "sub/b.jpg")

Read = Callable[[Path], list[dict[str, Any]]]


def in_train(root: Path, table: str = "t.csv") -> list[dict[str, Any]]:
    found = readers.table(root, None, table=table, images="images", columns=COLUMNS)
    rows: list[dict[str, Any]] = found.table.sort_by("file").to_pylist()
    return rows


def in_curate(root: Path, table: str = "t.csv") -> list[dict[str, Any]]:
    raw = raw_sources.table(
        str(root), table=table, images="images", columns=COLUMNS, museum="LOCAL", values={}
    )
    rows: list[dict[str, Any]] = raw.table.to_pylist()
    return [row | {"file": row["raw_file"]} for row in rows]


both = pytest.mark.parametrize("read", [in_train, in_curate], ids=["train", "curate"])


def images(root: Path, *names: str) -> Path:
    for name in names or NAMES:
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(b"image")
    return root


def write(root: Path, *rows: str, header: str = "file,class") -> Path:
    (root / "t.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "form", ["{}", "./{}", "images/{}", "./images/{}", "images//{}", "{root}/images/{}", " {} "]
)
def test_one_file_has_many_names_and_all_commands_know_them(tmp_path: Path, form: str) -> None:
    write(images(tmp_path), *(f"{form.format(name, root=tmp_path)},x{n}" for n, name in enumerate(NAMES)))
    expected = [f"images/{name}" for name in NAMES]
    assert [row["file"] for row in in_train(tmp_path)] == expected
    assert [row["bytes"] for row in in_train(tmp_path)] == [5, 5]
    assert [row["file"] for row in in_curate(tmp_path)] == expected
    inputs = find_inputs(str(tmp_path / "t.csv"), "file")
    assert [inputs.path(row).resolve() for row in range(2)] == [tmp_path / file for file in expected]


@both
def test_names_written_on_windows(tmp_path: Path, read: Read) -> None:
    write(images(tmp_path), "a.jpg,x", "images\\sub\\b.jpg,y")
    assert [row["file"] for row in read(tmp_path)] == ["images/a.jpg", "images/sub/b.jpg"]


@both
def test_names_with_and_without_the_folder_in_one_table(tmp_path: Path, read: Read) -> None:
    write(images(tmp_path), "images/a.jpg,x", "sub/b.jpg,y")
    assert [row["file"] for row in read(tmp_path)] == ["images/a.jpg", "images/sub/b.jpg"]


@both
def test_accented_letters_in_either_form(tmp_path: Path, read: Read) -> None:
    decomposed = unicodedata.normalize("NFD", "Ägypten")
    write(images(tmp_path, f"{decomposed}.jpg", "b.jpg"), f"Ägypten.jpg,{decomposed}", "b.jpg,Ägypten")
    rows = {row["file"]: row["class"] for row in read(tmp_path)}
    assert rows == {f"images/{decomposed}.jpg": "Ägypten", "images/b.jpg": "Ägypten"}


@both
def test_a_linked_images_folder_and_its_absolute_name(tmp_path: Path, read: Read) -> None:
    images(tmp_path / "disk")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/images").symlink_to(tmp_path / "disk/images")
    write(tmp_path / "set", f"{tmp_path}/set/images/a.jpg,x", "sub/b.jpg,y")
    assert [row["file"] for row in read(tmp_path / "set")] == ["images/a.jpg", "images/sub/b.jpg"]


@both
def test_a_name_elsewhere_is_refused_with_its_row(tmp_path: Path, read: Read) -> None:
    write(images(tmp_path), "a.jpg,x", "/elsewhere/b.jpg,y")
    with pytest.raises(HeritageError, match="row 2"):
        read(tmp_path)


@both
def test_a_table_none_of_whose_files_exists_is_refused(tmp_path: Path, read: Read) -> None:
    write(images(tmp_path), "c.jpg,x", "d.jpg,y")
    with pytest.raises(
        ManifestError, match=r"none of its 2 files exists: images/c\.jpg is missing, and .*images has"
    ):
        read(tmp_path)


@both
def test_missing_files_are_counted(tmp_path: Path, read: Read, caplog: pytest.LogCaptureFixture) -> None:
    write(images(tmp_path), "a.jpg,x", "d.jpg,y")
    read(tmp_path)
    assert "1 of 2 files do not exist, for example images/d.jpg" in caplog.text


@both
def test_two_spellings_of_a_class_are_refused(tmp_path: Path, read: Read) -> None:
    write(images(tmp_path), "a.jpg,Egyptian", "sub/b.jpg,egyptian ")
    with pytest.raises(ManifestError, match=r"'Egyptian' \(1 image\), 'egyptian' \(1 image\)"):
        read(tmp_path)


@both
def test_years_and_other_numbers(tmp_path: Path, read: Read, caplog: pytest.LogCaptureFixture) -> None:
    header = "file,class,begin_year,end_year,width,phash"
    rows = read(
        write(
            images(tmp_path),
            "a.jpg,x,-1500.0,300 BCE,NA,-1",
            "sub/b.jpg,y,c. 20 AD,early,640.0,7",
            header=header,
        )
    )
    assert [row["begin_year"] for row in rows] == [-1500, 20]
    assert [row["end_year"] for row in rows] == [-300, None]
    assert [row["width"] for row in rows] == [None, 640]
    assert [row["phash"] for row in rows] == [None, 7]
    assert "1 values of column end_year are not whole numbers and are left empty, first 'early' in row 2" in (
        caplog.text
    )
    assert "width" not in caplog.text, "NA is a missing value and no fault"


@both
def test_objects_that_are_not_known_are_not_one_object(tmp_path: Path, read: Read) -> None:
    rows = read(write(images(tmp_path), "a.jpg,x,NA", "sub/b.jpg,y,NA", header="file,class,group_id"))
    assert len({row["group_id"] or row["file"] for row in rows}) == 2


@both
def test_labels_as_numbers_floats_bytes_and_booleans(tmp_path: Path, read: Callable[..., Any]) -> None:
    images(tmp_path)
    for kind, values, expected in (
        ("ints", pa.array([0, 1]), ["0", "1"]),
        ("floats", pa.array([0.0, 1.0]), ["0", "1"]),
        ("bytes", pa.array([b"\xc3\x84", b"b"], pa.binary()), ["Ä", "b"]),
        ("booleans", pa.array([True, False]), ["true", "false"]),
        ("categories", pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    ):
        pq.write_table(pa.table({"file": list(NAMES), "class": values}), tmp_path / f"{kind}.parquet")
        assert [row["class"] for row in read(tmp_path, f"{kind}.parquet")] == expected, kind


@both
def test_only_columns_that_are_needed_stop_a_command(tmp_path: Path, read: Callable[..., Any]) -> None:
    images(tmp_path)
    others = {
        "title": pa.array([b"\xff", b"x"], pa.binary()),
        "culture": pa.array([[1], [2]]),
        "own": pa.array([{"a": 1}, {"a": 2}]),
        "begin_year": pa.array([2**40, 5]),
    }
    table = {"file": list(NAMES), "class": ["x", "y"], **others}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    rows = read(tmp_path, "t.parquet")
    assert [row["begin_year"] for row in rows] == [None, 5]
    assert [row["title"] for row in rows] == [None, None]
    pq.write_table(pa.table({**table, "class": pa.array([b"x", b"\xff"])}), tmp_path / "t.parquet")
    with pytest.raises(ManifestError, match="column class, row 2: not text"):
        read(tmp_path, "t.parquet")


def test_a_missing_class_names_its_row(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="row 2 has no class"):
        in_train(write(images(tmp_path), "a.jpg,x", "sub/b.jpg,NA"))


def test_declared_classes_choose_rows(tmp_path: Path) -> None:
    write(images(tmp_path), "a.jpg,x", "sub/b.jpg,y")
    found = readers.table(tmp_path, ["y"], table="t.csv", images="images", columns=COLUMNS)
    assert (found.classes, found.column("file")) == (("y",), ["images/sub/b.jpg"])


def test_ids_in_file_names_keep_their_meaning_with_fewer_classes(tmp_path: Path) -> None:
    images(tmp_path, "1_MET_5.jpg", "4_MET_6.jpg")
    write(tmp_path, "1_MET_5.jpg", "4_MET_6.jpg", header="file")
    for declared in (None, ["egyptian", "islam"]):
        found = readers.table(tmp_path, declared, table="t.csv", images="images", columns={"file": "file"})
        assert found.classes == ("egyptian", "islam")
        assert found.column("class") == ["egyptian", "islam"]


def test_the_split_of_a_table_under_other_names(tmp_path: Path) -> None:
    rows = in_train(
        write(images(tmp_path), "a.jpg,x,Training", "sub/b.jpg,y,valid", header="file,class,split")
    )
    assert [row["split"] for row in rows] == ["train", "val"]


def test_predict_leaves_out_what_systems_write(tmp_path: Path) -> None:
    root = images(tmp_path, "a.JPG", "@eaDir/a.JPG/THUMB.JPG", "sub/b.JPG", "__MACOSX/c.JPG", "._a.JPG")
    for source in (str(root), str(root / "images"), str(root / "images/**/*.JPG")):
        inputs = find_inputs(source, "file")
        assert [inputs.path(row).name for row in range(len(inputs))] == ["a.JPG", "b.JPG"]


def test_predict_reads_lists_and_tables_of_spreadsheets(tmp_path: Path) -> None:
    images(tmp_path, "Ägypten.jpg")
    (tmp_path / "l.txt").write_bytes("images\\Ägypten.jpg\r\n".encode("utf-16"))
    (tmp_path / "t.csv").write_bytes("nr;file\r\n1;Ägypten.jpg\r\n".encode("cp1252"))
    for name in ("l.txt", "t.csv"):
        assert find_inputs(str(tmp_path / name), "file").path(0) == tmp_path / "images/Ägypten.jpg"
