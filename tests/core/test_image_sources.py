"""`curate` and `train` read class folders and tables by the same rules."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.core.image_folders import as_text, images_below
from heritage.curation import raw_sources
from heritage.curation.labels import class_list, labels
from heritage.data import readers
from heritage.errors import DatasetNotFoundError, HeritageError, ManifestError

Rows = list[tuple[str, str | None, str | None]]
"""File, class and group of each image, sorted by file."""

CLASSES = ("egyptian", "islam")


def folders_in_train(root: Path) -> Rows:
    found = readers.class_folders(root, CLASSES)
    return sorted(zip(found.column("file"), found.column("class"), [None] * len(found), strict=True))


def folders_in_curate(root: Path) -> Rows:
    found = raw_sources.class_folders(str(root), museum="LOCAL", values={}).table
    rows = zip(found["raw_file"].to_pylist(), found["class"].to_pylist(), strict=True)
    return [(file, label, None) for file, label in rows]


def table_in_train(root: Path, name: str, columns: Mapping[str, str], images: str = "images") -> Rows:
    found = readers.table(root, CLASSES, table=name, images=images, columns=columns)
    return sorted(zip(*map(found.column, ("file", "class", "group_id")), strict=True))


def table_in_curate(root: Path, name: str, columns: Mapping[str, str], images: str = "images") -> Rows:
    raw = raw_sources.table(str(root), table=name, images=images, columns=columns, museum="LOCAL", values={})
    groups = raw.table["group_id"].cast(pa.string()).to_pylist()
    found = labels(raw, class_list(raw, CLASSES))
    return list(zip(raw.table["raw_file"].to_pylist(), found, groups, strict=True))


folders = pytest.mark.parametrize("read", [folders_in_train, folders_in_curate], ids=["train", "curate"])
tables = pytest.mark.parametrize("read", [table_in_train, table_in_curate], ids=["train", "curate"])
ReadFolders = Callable[[Path], Rows]
ReadTable = Callable[..., Rows]


def touch(root: Path, *names: str) -> Path:
    """Write files; the readers open none of them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")
    return root


@folders
def test_a_tree_with_other_files_and_system_folders(tmp_path: Path, read: ReadFolders) -> None:
    root = touch(
        tmp_path / "set",
        "egyptian/b.JPG", "egyptian/a.jpeg", "egyptian/deep/er/a.PNG", "egyptian/天目 茶碗.webp",
        "islam/a.jpg", "islam/a.png", "islam/scan.jpg/page.tif",
        # none of these is an image, or was made by a person
        "islam/notes.txt", "islam/._a.jpg", "islam/.hidden/x.jpg", "islam/Thumbs.db", "loose.jpg", "list.csv",
        "islam/@eaDir/a.jpg/SYNOPHOTO_THUMB_S.jpg", "@eaDir/x.jpg", "__MACOSX/islam/._a.jpg",
        "$RECYCLE.BIN/a.jpg", "documents/letter.pdf",
    )  # fmt: skip
    (root / "islam" / "empty.jpg").mkdir()
    (root / "islam" / "broken.jpg").symlink_to(tmp_path / "nowhere")
    assert read(root) == [
        ("egyptian/a.jpeg", "egyptian", None),
        ("egyptian/b.JPG", "egyptian", None),
        ("egyptian/deep/er/a.PNG", "egyptian", None),
        ("egyptian/天目 茶碗.webp", "egyptian", None),
        ("islam/a.jpg", "islam", None),
        ("islam/a.png", "islam", None),
        ("islam/broken.jpg", "islam", None),
        ("islam/scan.jpg/page.tif", "islam", None),
    ]


@folders
def test_linked_folders_are_read_but_not_in_circles(tmp_path: Path, read: ReadFolders) -> None:
    touch(tmp_path, "elsewhere/c.jpg", "camera/d.jpg")
    root = touch(tmp_path / "set", "egyptian/a.jpg", "islam/b.jpg")
    (root / "islam" / "batch").symlink_to(tmp_path / "elsewhere")
    (root / "islam" / "up").symlink_to(root)
    (root / "islam" / "further up").symlink_to(tmp_path)
    (root / "egyptian" / "itself").symlink_to(root / "egyptian")
    (tmp_path / "elsewhere" / "back").symlink_to(root / "islam")
    (root / "egyptian" / "more").symlink_to(tmp_path / "camera")
    assert [row[:2] for row in read(root)] == [
        ("egyptian/a.jpg", "egyptian"),
        ("egyptian/more/d.jpg", "egyptian"),
        ("islam/b.jpg", "islam"),
        ("islam/batch/c.jpg", "islam"),
    ]


def split_of(read: ReadFolders, root: Path) -> dict[str, tuple[str, str]]:
    """Return class and split of each image."""
    if read is folders_in_train:
        table = readers.class_folders(root, None).table
        files = table["file"].to_pylist()
    else:
        table = raw_sources.class_folders(str(root), museum="LOCAL", values={}).table
        files = table["raw_file"].to_pylist()
    pairs = zip(table["class"].to_pylist(), table["split"].to_pylist(), strict=True)
    return dict(zip(files, pairs, strict=True))


@folders
def test_folders_named_like_splits_are_the_split(tmp_path: Path, read: ReadFolders) -> None:
    root = touch(tmp_path / "set", "training/china/a.jpg", "Validation/japan/deep/b.jpg", "test/china/a.jpg")
    assert split_of(read, root) == {
        "Validation/japan/deep/b.jpg": ("japan", "val"),
        "test/china/a.jpg": ("china", "test"),
        "training/china/a.jpg": ("china", "train"),
    }


@folders
def test_split_folders_inside_class_folders_are_the_split(tmp_path: Path, read: ReadFolders) -> None:
    root = touch(tmp_path / "set", "china/train/a.jpg", "china/val/b.jpg", "japan/test/sub/c.jpg")
    assert split_of(read, root) == {
        "china/train/a.jpg": ("china", "train"),
        "china/val/b.jpg": ("china", "val"),
        "japan/test/sub/c.jpg": ("japan", "test"),
    }


@folders
def test_a_class_called_test_is_no_split(tmp_path: Path, read: ReadFolders) -> None:
    root = touch(tmp_path / "set", "islam/a.jpg", "egyptian/test/a.jpg", "egyptian/b.jpg")
    assert [row[:2] for row in read(root)] == [
        ("egyptian/b.jpg", "egyptian"),
        ("egyptian/test/a.jpg", "egyptian"),
        ("islam/a.jpg", "islam"),
    ]


@folders
def test_suffixes_of_browsers_and_phones(
    tmp_path: Path, read: ReadFolders, caplog: pytest.LogCaptureFixture
) -> None:
    root = touch(
        tmp_path / "set",
        *(f"islam/a.{suffix}" for suffix in ("jfif", "JPE", "avif", "HEIC", "heif")),
        "egyptian/a.JPG_large", "egyptian/a.jpg", "egyptian/b.jpeg.1", "egyptian/c", "egyptian/.DS_Store",
        "egyptian/desktop.ini", "egyptian/a.jpg@SynoEAStream", "empty/Thumbs.db",
    )  # fmt: skip
    with caplog.at_level("INFO"):
        rows = read(root)
    assert [row[1] for row in rows] == ["egyptian"] + 5 * ["islam"]
    assert "no image in empty: not a class" in caplog.text
    note = "3 files were passed over because of their suffix: no suffix 1, .1 1, .JPG_large 1."
    if read is folders_in_train:
        assert note in caplog.text
    else:
        assert raw_sources.class_folders(str(root), museum="LOCAL", values={}).notes == (note,)


@folders
def test_folders_of_one_name_in_both_unicode_forms_are_one_class(tmp_path: Path, read: ReadFolders) -> None:
    name = "Ägypten"
    root = touch(
        tmp_path / "set", f"{name}/a.jpg", f"{unicodedata.normalize('NFD', name)}/b.jpg", "islam/c.jpg"
    )
    if read is folders_in_train:
        assert readers.class_folders(root, None).counts() == {"islam": 1, name: 2}
    else:
        assert sorted(str(row[1]) for row in read(root)) == ["islam", name, name]


@folders
def test_two_spellings_of_a_folder_are_refused(tmp_path: Path, read: ReadFolders) -> None:
    root = touch(tmp_path / "set", "Islam/a.jpg", "islam/b.jpg", "islam/c.jpg")
    with pytest.raises(
        ManifestError, match=r"'Islam' \(1 image\), 'islam' \(2 images\); give all of them one"
    ):
        read(root)


@folders
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/egyptian/a.jpg", "val/islam/b.jpg", "Test/c.jpg"],
         "its folders are splits and not classes: Test/c.jpg is in no class folder; put the images of each"),
        (["egyptian/a.txt"], "its folders hold no images; correct (data|raw).root; images end in .avif"),
        (["a.jpg"], "no folder for any class; put the images of each class into a folder"),
        (["a.jpg", "list.csv"], "no folder for any class; use (data|raw)=table"),
    ],
)  # fmt: skip
def test_other_trees_are_refused(tmp_path: Path, read: ReadFolders, files: list[str], message: str) -> None:
    with pytest.raises(HeritageError, match=message):
        read(touch(tmp_path / "set", *files))


@folders
def test_a_missing_folder_is_refused(tmp_path: Path, read: ReadFolders) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"no such folder; give .* in (data|raw)\.root"):
        read(tmp_path / "nowhere")
    with pytest.raises(DatasetNotFoundError, match="not a folder"):
        read(touch(tmp_path, "file") / "file")


def test_a_name_that_is_not_utf8_stops_train_and_is_one_row_in_curate(tmp_path: Path) -> None:
    root = touch(tmp_path / "set", "islam/a.jpg", "egyptian/b.jpg")
    Path(os.fsdecode(os.fsencode(root / "islam") + b"/\xff.jpg")).write_bytes(b"")
    with pytest.raises(ManifestError, match=r"\\udcff\.jpg: the file's name is not UTF-8; rename the file"):
        readers.class_folders(root, CLASSES)
    found = raw_sources.class_folders(str(root), museum="LOCAL", values={}).table.to_pylist()
    assert {row["raw_file"]: row["raw_problem"] for row in found} == {
        "egyptian/b.jpg": None,
        "islam/a.jpg": None,
        "islam/\\udcff.jpg": "the file's name is not UTF-8: rename the file",
    }


def test_the_images_of_a_folder_come_with_their_sizes_in_order(tmp_path: Path) -> None:
    root = touch(tmp_path / "set", "b.jpg", "a/c.jpg", "A/d.jpg", ".x.jpg")
    found = [(as_text(path.relative_to(root).as_posix()), size) for path, size in images_below(root)]
    assert found == [("A/d.jpg", 5), ("a/c.jpg", 5), ("b.jpg", 5)]


COLUMNS = {"file": "filename", "class": "class", "group_id": "lot"}
FILES = ("1_MET_5.jpg", "sub/4_MET_6.jpg", "1_LOUVRE_7.jpg")


def csv(root: Path, lines: Sequence[str], header: str = "filename,class,lot") -> Path:
    touch(root, *(f"images/{name}" for name in FILES))
    (root / "t.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


@tables
@pytest.mark.parametrize("prefix", ["", "images/"], ids=["below images", "with the images' folder"])
def test_file_names_with_or_without_the_images_folder(tmp_path: Path, read: ReadTable, prefix: str) -> None:
    lines = [f"{prefix}{name},{label},00{n}" for n, (name, label) in
             enumerate(zip(FILES, ("egyptian", "islam ", "\tegyptian"), strict=True))]  # fmt: skip
    assert read(csv(tmp_path, lines), "t.csv", COLUMNS) == [
        ("images/1_LOUVRE_7.jpg", "egyptian", "002"),
        ("images/1_MET_5.jpg", "egyptian", "000"),
        ("images/sub/4_MET_6.jpg", "islam", "001"),
    ]


@tables
def test_a_folder_of_the_images_folders_own_name(tmp_path: Path, read: ReadTable) -> None:
    touch(tmp_path, "images/images/a.jpg", "images/images/b.jpg")
    (tmp_path / "t.csv").write_text("filename,class,lot\nimages/a.jpg,islam,1\nimages/b.jpg,egyptian,2\n")
    files = [row[0] for row in read(tmp_path, "t.csv", COLUMNS)]
    assert files == ["images/images/a.jpg", "images/images/b.jpg"]


@tables
@pytest.mark.parametrize("header", ["filename,lot", "filename,class,lot"], ids=["no column", "empty column"])
def test_classes_come_from_file_names_without_a_class_column(
    tmp_path: Path, read: ReadTable, header: str
) -> None:
    empty = "," * header.count(",")
    lines = [f"{name}{empty}{name[-5]}" for name in FILES]
    classes = ("egyptian", "greek", "roman", "islam")
    root = csv(tmp_path, lines, header)
    found = (
        readers.table(root, classes, table="t.csv", images="images", columns=COLUMNS).column("class")
        if read is table_in_train
        else labels(_raw(root), classes)
    )
    assert sorted(found, key=str) == ["egyptian", "egyptian", "islam"]


def _raw(root: Path) -> raw_sources.RawImages:
    return raw_sources.table(
        str(root), table="t.csv", images="images", columns=COLUMNS, museum="LOCAL", values={}
    )


@tables
def test_parquet_with_bytes_categories_and_numbers(tmp_path: Path, read: ReadTable) -> None:
    root = csv(tmp_path, [])
    columns = {
        "filename": pa.array([name.encode() for name in FILES], pa.binary()),
        "class": pa.array(["egyptian", "islam", "egyptian"]).dictionary_encode(),
        "lot": [7, 8, None],
    }
    pq.write_table(pa.table(columns), root / "t.parquet")
    groups = {row[0]: row[2] for row in read(root, "t.parquet", COLUMNS)}
    # Without a group an image is its own group: `train` names it here, `curate` later.
    alone = "1_LOUVRE_7" if read is table_in_train else None
    assert [groups[f"images/{name}"] for name in FILES] == ["7", "8", alone]


@tables
def test_classes_as_numbers_are_unknown_classes(tmp_path: Path, read: ReadTable) -> None:
    root = csv(tmp_path, [])
    columns = {"filename": list(FILES), "class": [0, 1, 0], "lot": ["a", "b", "c"]}
    pq.write_table(pa.table(columns), root / "t.parquet")
    with pytest.raises(ManifestError, match="unknown class '0'"):
        read(root, "t.parquet", COLUMNS)


@tables
@pytest.mark.parametrize(
    ("header", "columns", "images", "message"),
    [
        ("filename,lot", {"file": "filename", "group_id": "lott"}, "images",
         r"did you mean (data\.reader|raw)\.columns\.group_id=lot"),
        ("name,lot", {"file": "file"}, "images",
         r"no column 'file' for file .*; did you mean (data\.reader|raw)\.columns\.file=name"),
        ("filename,lot", {"file": "filename", "grup_id": "lot"}, "images", "did you mean 'group_id'"),
        ("filename,filename", {"file": "filename"}, "images", "column 'filename' occurs twice"),
        ("filename,lot", {"file": "filename"}, "pictures",
         r"no such folder; write (data\.reader|raw)\.images=\. if .*, or name"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(
    tmp_path: Path, read: ReadTable, header: str, columns: dict[str, str], images: str, message: str
) -> None:
    with pytest.raises(HeritageError, match=message):
        read(csv(tmp_path, ["1_MET_5.jpg,1"], header), "t.csv", columns, images)


@tables
def test_a_missing_table_is_refused(tmp_path: Path, read: ReadTable) -> None:
    message = r"no table x\.csv; did you mean (data\.reader|raw)\.table=t\.csv"
    with pytest.raises(DatasetNotFoundError, match=message):
        read(csv(tmp_path, []), "x.csv", COLUMNS)
