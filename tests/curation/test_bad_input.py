"""Faulty files, folders, tables and options: one clear line each, and the other photographs are curated."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from heritage.core.manifest import Manifest
from heritage.errors import ConfigError, DataError, DatasetNotFoundError, ManifestError, SplitError
from tests.curation.conftest import Curate
from tests.curation.raw_folders import (
    COLUMNS,
    add_faults,
    class_tree,
    jpeg,
    photograph,
    reasons,
    table_rows,
    write,
    write_table,
)

TREE = "raw=class_folders"


def test_each_fault_gets_its_reason_and_the_rest_is_kept(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    expected = add_faults(root)
    curated = curate_folder(root, TREE)
    assert reasons(curated) == expected
    assert curated.table.num_rows == 24 + len(expected) + 2  # two of the faults are copies in the tree
    written = {path.name for path in (tmp_path / "out" / "images").iterdir()}
    assert written == {Path(file).name for file in curated.kept.column("file")}
    assert curated.leaks.clean


def test_raw_photographs_are_not_changed(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    add_faults(root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    curate_folder(root, TREE)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_dropped_rows_stay_in_the_manifest_and_are_not_read(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    add_faults(root)
    curated = curate_folder(root, TREE)
    whole = pq.read_table(tmp_path / "out" / "manifest.parquet")
    read = Manifest.read(tmp_path / "out")
    assert whole.num_rows == curated.table.num_rows
    assert len(read) == len(curated.kept) == whole["status"].to_pylist().count("kept")
    assert read.fingerprint == curated.kept.fingerprint


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_dropped(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    (root / "islam" / "islam000.jpg").chmod(0)
    assert reasons(curate_folder(root, TREE)) == {"islam/islam000.jpg": "unreadable"}


def test_an_unreadable_file_is_tried_again(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    file = root / "islam" / "islam000.jpg"
    sound = file.read_bytes()
    file.write_bytes(sound[:500])
    assert reasons(curate_folder(root, TREE)) == {"islam/islam000.jpg": "unreadable"}
    file.write_bytes(sound)
    assert reasons(curate_folder(root, TREE)) == {}


def test_a_pipe_with_an_image_suffix_does_not_block(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    os.mkfifo(root / "islam" / "pipe.jpg")
    assert reasons(curate_folder(root, TREE)) == {"islam/pipe.jpg": "unreadable"}


def test_a_link_to_the_parent_folder_is_not_followed(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    (root / "islam" / "again").symlink_to(root, target_is_directory=True)
    assert curate_folder(root, TREE).table.num_rows == 24


def test_a_file_name_that_is_not_utf8_is_a_dropped_row(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    Path(os.fsdecode(os.fsencode(root / "islam") + b"/\xff.jpg")).write_bytes(jpeg(photograph(1)))
    curated = curate_folder(root, TREE)
    assert curated.table.num_rows == 25
    assert reasons(curated) == {"islam/\\udcff.jpg": "unreadable"}
    assert "the file's name is not UTF-8" in curated.table["reason"].drop_null()[0].as_py()


@pytest.mark.parametrize("name", ["天目\u3000茶碗.jpg", "vase\u00a0à figures.jpg", "two\nlines.jpg"])
def test_unicode_file_names_are_kept(tmp_path: Path, curate_folder: Curate, name: str) -> None:
    root = class_tree(tmp_path / "raw")
    write(root / "islam" / name, photograph(301))
    curated = curate_folder(root, TREE)
    assert f"islam/{name}" in curated.kept.column("raw_file")


def test_a_missing_test_museum_is_reported_before_anything_is_changed(
    tmp_path: Path, curate_folder: Curate
) -> None:
    root = class_tree(tmp_path / "raw")
    before = curate_folder(root, TREE).kept.fingerprint
    with pytest.raises(SplitError, match="no photograph is from LOUVR; there are LOCAL"):
        curate_folder(root, TREE, "split.by=museum", "split.museums=[LOUVR]")
    assert Manifest.read(tmp_path / "out").fingerprint == before


def test_a_file_that_the_table_does_not_list_is_noted(tmp_path: Path, curate_folder: Curate) -> None:
    root = write_table(tmp_path / "raw", table_rows())
    for index in range(24):
        write(root / "images" / f"{index}.jpg", photograph(index))
    Path(os.fsdecode(os.fsencode(root / "images") + b"/\xff.jpg")).write_bytes(b"")
    curated = curate_folder(root, *COLUMNS)
    assert any("\\udcff.jpg" in remark for remark in curated.remarks)


def test_greyscale_photographs_are_dropped_on_request(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    grey = np.repeat(photograph(3)[:, :, :1], 3, axis=2)
    write(root / "islam" / "islam003.jpg", grey)
    assert reasons(curate_folder(root, TREE)) == {}
    assert reasons(curate_folder(root, TREE, "cleaning.drop_greyscale=true")) == {
        "islam/islam003.jpg": "greyscale"
    }


def test_each_faulty_row_of_a_table_gets_its_reason(tmp_path: Path, curate_folder: Curate) -> None:
    rows = table_rows()
    rows += [
        {"name": "absent.jpg", "kind": "islam", "inventory": "a"},
        {"name": "3.jpg", "kind": "orient", "inventory": "001"},  # repeated
        {"name": "4.jpg", "kind": "orient", "inventory": "002"},  # another class than before
        {"name": "unlabelled.jpg", "kind": "", "inventory": "u"},
        {"name": "folder.jpg", "kind": "islam", "inventory": "f"},
    ]
    root = write_table(tmp_path / "raw", rows)
    for index in range(24):
        write(root / "images" / f"{index}.jpg", photograph(index))
    write(root / "images" / "unlabelled.jpg", photograph(30))
    write(root / "images" / "stray.jpg", photograph(31))
    (root / "images" / "folder.jpg").mkdir()
    curated = curate_folder(root, *COLUMNS)
    found = list(zip(curated.table["raw_file"].to_pylist(), curated.table["reason"].to_pylist(), strict=True))
    assert sorted((file, (reason or "").partition(": ")[0]) for file, reason in found if reason) == [
        ("images/3.jpg", "repeated"),
        ("images/4.jpg", "label conflict"),
        ("images/4.jpg", "label conflict"),
        ("images/absent.jpg", "missing"),
        ("images/folder.jpg", "unreadable"),
        ("images/unlabelled.jpg", "no class"),
    ]
    assert any("stray.jpg" in remark for remark in curated.remarks)
    assert curated.kept.column("object_id")[0] == "000"  # identifiers stay text


def test_an_error_for_a_missing_column_names_the_nearest(tmp_path: Path, curate_folder: Curate) -> None:
    root = write_table(tmp_path / "raw", table_rows())
    with pytest.raises(ManifestError, match=r"no column 'inventor' for object_id .*object_id=inventory"):
        curate_folder(root, *COLUMNS[:3], "+raw.columns.object_id=inventor")
    with pytest.raises(ManifestError, match="the manifest has no column 'clas'; did you mean 'class'"):
        curate_folder(root, *COLUMNS[:2], "+raw.columns.clas=kind")
    with pytest.raises(ManifestError, match=r"no class: .*; did you mean raw\.columns\.class=kind\?"):
        curate_folder(root, *COLUMNS[:2])
    write(root / "images" / "0.jpg", photograph(0))
    with pytest.raises(ConfigError, match="did you mean 'kind'"):
        curate_folder(root, *COLUMNS[:3], "groups.columns=[kinds]")
    assert not (tmp_path / "out").exists()


def test_several_header_rows_are_named(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw")
    (root / "t.csv").write_text("image,image,object\nfile,width,class\na.jpg,96,islam\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="row 1 has it: there are several header rows; write one"):
        curate_folder(root, "raw=table", "raw.table=t.csv", "raw.images=.")


def test_an_error_for_an_unknown_class_names_the_nearest(tmp_path: Path, curate_folder: Curate) -> None:
    root = class_tree(tmp_path / "raw", ("islam", "orientt"))
    with pytest.raises(ManifestError, match=r"unknown class 'orientt'.*did you mean 'orient'"):
        curate_folder(root, TREE, "classes=[islam,orient]")


def test_classes_that_occur_get_ids_in_order(tmp_path: Path, curate_folder: Curate) -> None:
    curated = curate_folder(class_tree(tmp_path / "raw", ("korea", "china")), TREE)
    assert curated.kept.classes == ("china", "korea")
    assert {name.split("_")[0] for name in curated.kept.column("image_id")} == {"1", "2"}


def test_dropping_all_photographs_is_an_error(tmp_path: Path, curate_folder: Curate) -> None:
    root = tmp_path / "raw"
    (root / "islam").mkdir(parents=True)
    (root / "islam" / "text.jpg").write_text("no")
    with pytest.raises(DataError, match="all photographs were dropped: "):
        curate_folder(root, TREE)
    with pytest.raises(DatasetNotFoundError):
        Manifest.read(tmp_path / "out")


@pytest.mark.parametrize("out", ["raw", "raw/new", "."])
def test_the_output_is_not_in_the_raw_folder(tmp_path: Path, curate_folder: Curate, out: str) -> None:
    root = class_tree(tmp_path / "raw")
    with pytest.raises(ConfigError, match="is inside the other") as error:
        curate_folder(root, TREE, out=tmp_path / out)
    (advised,) = shlex.split(error.value.remedy.removeprefix("give a folder beside it: "))
    beside = Path(advised.removeprefix("out="))
    assert (root.resolve() in beside.parents, beside in root.resolve().parents) == (False, False)
    assert not beside.exists()


def test_an_output_folder_with_other_files_is_refused(tmp_path: Path, curate_folder: Curate) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").touch()
    with pytest.raises(ConfigError, match=r"other files in it \(thesis.docx\)"):
        curate_folder(class_tree(tmp_path / "raw"), TREE)


def test_all_invalid_values_are_reported_at_once(tmp_path: Path, curate_folder: Curate) -> None:
    with pytest.raises(ConfigError) as caught:
        curate_folder(tmp_path, TREE, "duplicates.radius=12", "split.by=objects", "resize.way=squash")
    message = str(caught.value)
    assert "duplicates.radius=12" in message
    assert "split.by=objects" in message
    assert "resize.way=squash" in message


def test_the_command_ends_with_one_line_and_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "heritage.curate",
            TREE,
            f"raw.root={tmp_path / 'nowhere'}",
            f"out={tmp_path / 'out'}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no such folder" in done.stderr
