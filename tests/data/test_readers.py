"""Readers of `train`; the rules shared with `curate` are in tests/core/test_image_sources.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heritage.core.taxonomy import CLASSES
from heritage.data import readers
from heritage.errors import DatasetNotFoundError, ManifestError
from tests.conftest import COUNTS, write_tree

COLUMNS = {"file": "filename", "group_id": "lot"}
REAL = Path(os.environ.get("HERITAGE_MET_CERAMICS", Path(__file__).parents[3] / "shared/data/met-ceramics"))


def write_table(root: Path, lines: list[str], header: str = "filename,lot,begin_year") -> None:
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "metadata.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def test_a_tree_of_folders(tree: Path) -> None:
    found = readers.class_folders(tree, CLASSES)
    assert found.counts() == COUNTS
    assert all((found.root / name).is_file() for name in found.column("file"))
    assert readers.missing_files(found) == []


def test_hidden_and_other_files_are_skipped(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set")
    (root / "islam" / "notes.txt").write_text("no picture")
    (root / "islam" / ".hidden.jpg").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / "islam" / "deep").mkdir()
    (root / "islam" / "000.jpg").rename(root / "islam" / "deep" / "000.JPG")
    assert readers.class_folders(root, CLASSES).counts() == COUNTS


def test_a_table_with_the_class_in_the_file_name(tmp_path: Path) -> None:
    write_table(tmp_path, ["1_MET_5.jpg,007,-20", "5_MET_6.jpg,008,", "4_LOUVRE_7.jpg,,900"])
    (tmp_path / "images/1_MET_5.jpg").touch()
    found = readers.table(tmp_path, CLASSES, table="metadata.csv", images="images", columns=COLUMNS)
    assert found.column("class") == ["egyptian", "byzantium", "islam"]
    assert found.column("museum") == ["MET", "MET", "LOUVRE"]
    assert found.column("image_id") == ["1_MET_5", "5_MET_6", "4_LOUVRE_7"]
    assert found.column("group_id") == ["007", "008", "4_LOUVRE_7"], (
        "ids stay text; an image without a lot is its own lot"
    )
    assert found.column("begin_year") == [-20, None, 900]
    assert readers.missing_files(found) == [f"images/{n}" for n in ("5_MET_6.jpg", "4_LOUVRE_7.jpg")]


@pytest.mark.parametrize(
    ("header", "line", "columns", "message"),
    [
        (
            "filename,lot",
            "1_MET_5.jpg,1",
            {"file": "filename", "group_id": "lott"},
            "did you mean data.reader.columns",
        ),
        (
            "name,lot",
            "1_MET_5.jpg,1",
            {"file": "file", "group_id": "lot"},
            "did you mean data.reader.columns.file=name",
        ),
        ("filename,lot", "1_MET_5.jpg,1", {"file": "filename", "grup_id": "lot"}, "did you mean 'group_id'"),
        ("filename,lot", "9_MET_5.jpg,1", COLUMNS, "class id 9: outside"),
        (
            "filename,lot",
            "photo.jpg,1",
            COLUMNS,
            r"row 1 has 'photo'\); set data.reader.columns.class=<column>",
        ),
        ("filename,lot", "1_MET_5.jpg", COLUMNS, "unreadable table: row 1 has 1 cell instead of 2"),
        (
            "filename,lot",
            "1_MET_5.jpg,1",
            COLUMNS,
            "none of its 1 files exists: images/1_MET_5.jpg is missing",
        ),
    ],
)
def test_invalid_tables_are_refused(
    tmp_path: Path, header: str, line: str, columns: dict[str, str], message: str
) -> None:
    write_table(tmp_path, [line], header)
    with pytest.raises(ManifestError, match=message):
        readers.table(tmp_path, CLASSES, table="metadata.csv", images="images", columns=columns)


def test_missing_folders_and_tables_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match="no such folder"):
        readers.class_folders(tmp_path / "no", CLASSES)
    with pytest.raises(DatasetNotFoundError, match="no folder for any class"):
        readers.class_folders(tmp_path, CLASSES)
    with pytest.raises(DatasetNotFoundError, match=r"no table metadata\.csv"):
        readers.table(tmp_path, CLASSES, table="metadata.csv", images="images", columns=COLUMNS)


def test_fingerprints_are_those_of_version_0_1(tmp_path: Path) -> None:
    """Runs and checkpoints of that version check them."""

    def write(root: Path, *names: str) -> Path:
        for size, name in enumerate(names, start=1):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * size)
        return root

    root = write(
        tmp_path / "tree", "b/2.JPG", "b/deep/1.png", "b/天目 茶碗.webp", "a/scan.jpg/page.tif", "a/1.jpg",
        "a/.hidden.jpg", "a/notes.txt", "a/10.jpg", "loose.jpg",
    )  # fmt: skip
    write(tmp_path, "elsewhere/c.jpg")
    (root / "a" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (root / "b" / "linked").symlink_to(tmp_path / "elsewhere")
    found = readers.class_folders(root, ("a", "b"))
    assert found.fingerprint == "f5862e1a1dcf80dca34092634cfca51e3bcddaf37d69246eec22e1de154261ae"
    assert found.column("file")[3:7] == ["a/scan.jpg/page.tif", "b/2.JPG", "b/deep/1.png", "b/linked/c.jpg"]

    root = write(
        tmp_path / "table", *(f"images/{n}" for n in ("1_MET_5.jpg", "sub/2_MET_6.jpg", "2_LOUVRE_7.png"))
    )
    (root / "metadata.csv").write_text(
        "filename,lot,begin_year,note\n2_LOUVRE_7.png,,900,x\n1_MET_5.jpg,007,-20,\nsub/2_MET_6.jpg,008,,y\n"
        "./2_MET_9.jpg,8,,\n"
    )
    found = readers.table(root, ("a", "b"), table="metadata.csv", images="images", columns=COLUMNS)
    assert found.fingerprint == "e1474cfbc97d4bebbadbc96e37176688204b90b850ba97e8e80d9e8865aa8f6f"


def test_a_data_set_folder_with_all_or_some_classes(tree: Path, tmp_path: Path) -> None:
    readers.class_folders(tree, CLASSES).write(tmp_path)
    assert readers.manifest(tmp_path, CLASSES).counts() == COUNTS
    some = readers.manifest(tmp_path, ["islam", "asian"])
    assert some.counts() == {"islam": COUNTS["islam"], "asian": COUNTS["asian"]}
    with pytest.raises(ManifestError, match="unknown class 'japan'"):
        readers.manifest(tmp_path, ["islam", "japan"])


@pytest.mark.skipif(not REAL.is_dir(), reason="the ceramics of The Met are not on this machine")
def test_the_met_ceramics_read_in_place() -> None:
    found = readers.table(REAL, CLASSES, table="metadata.csv", images="images", columns=COLUMNS)
    assert found.counts() == dict(zip(CLASSES, (2967, 5312, 758, 2141, 547, 2498), strict=True))
    assert readers.missing_files(found) == []
