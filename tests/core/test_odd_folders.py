"""Folders named like splits, folders inside a folder, links, and names that tables write otherwise."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from heritage.core.image_folders import SourceKeys, images_below, labelled_images, split_of
from heritage.core.image_tables import read_image_table, resolve_files
from heritage.data.readers import class_folders, table
from heritage.errors import ManifestError

KEYS = SourceKeys("data", "data.root", "data.reader")


def tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


@pytest.mark.parametrize(
    ("name", "split"),
    [("Train", "train"), ("training_set", "train"), ("val2017", "val"), ("Eval", "val"),
     ("test data", "test"), ("TEST-images", "test"), ("Validation", "val"),
     ("trains", None), ("testament", None), ("test1", None)],
)  # fmt: skip
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_split_folders_with_other_endings(tmp_path: Path) -> None:
    root = tree(tmp_path, *(f"{part}_set/{name}/1.jpg" for part in ("train", "val", "test") for name in "ab"))
    images = labelled_images(root, KEYS)
    assert Counter((image.label, image.split) for image in images) == {
        (name, part): 1 for name in "ab" for part in ("train", "val", "test")
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("train/a/1.jpg", "train/b/1.jpg", "a/2.jpg"), "train are named like splits, but a are not"),
        (("train/a/1.jpg", "test/a/1.jpg", "spare/a/1.jpg"), "named like splits, but spare are not"),
        (("images/train/a/1.jpg", "images/test/a/1.jpg"), "set data.root=.*images"),
    ],
)
def test_splits_are_never_classes(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        labelled_images(tree(tmp_path, *files), KEYS)


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    images = labelled_images(tree(tmp_path, "test/1.jpg", "a/1.jpg"), KEYS)
    assert {image.label for image in images} == {"test", "a"}


def test_classes_a_level_deeper_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labelled_images(tree(tmp_path, "photos/a/1.jpg", "photos/b/1.jpg"), KEYS)
    assert f"set data.root={tmp_path / 'photos'}" in caplog.text


def test_a_folder_reached_twice_within_a_class_is_read_once(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a/1.jpg", "b/1.jpg")
    more = tree(tmp_path / "more", "2.jpg")
    for link in ("a/first", "a/second", "b/third"):
        (root / link).symlink_to(more)
    assert [image.file for image in labelled_images(root, KEYS)] == [
        "a/1.jpg", "a/first/2.jpg", "b/1.jpg", "b/third/2.jpg",
    ]  # fmt: skip
    assert len(list(images_below(root / "a"))) == 2


def test_folders_take_the_spelling_of_the_class_list(tmp_path: Path) -> None:
    found = class_folders(tree(tmp_path, "China/1.jpg", "JAPAN/1.jpg"), ["japan", "china"])
    assert found.classes == ("japan", "china")
    assert found.column("class") == ["china", "japan"]


LISTED = {"images/Vase_1.jpg": 1, "images/bowl.png": 1, "images/cup.jpg": 1, "images/cup.png": 1}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vase_1.JPG", "images/Vase_1.jpg"),
        ("VASE_1", "images/Vase_1.jpg"),
        ("../images/bowl.png", "images/bowl.png"),
        ("mine/images/bowl.png", "images/bowl.png"),
        ("images\\bowl.png", "images/bowl.png"),
        ("cup", "images/cup"),  # two files: not found
        ("nowhere.jpg", "images/nowhere.jpg"),
    ],
)
def test_names_are_found_without_suffix_and_in_other_case(tmp_path: Path, name: str, file: str) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    assert resolve_files(root, [name], ("images", ""), root / "t.csv", LISTED) == [file]


@pytest.mark.parametrize("name", ["C:\\photos\\a.jpg", "\\\\nas\\share\\a.jpg", "d:/a.jpg"])
def test_paths_of_windows_are_named_with_their_row(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match=r"row 2: .* is a path of another computer; write names relative"):
        resolve_files(tmp_path, ["b.jpg", name], ("images", ""), tmp_path / "t.csv", LISTED, elsewhere=True)


def test_no_log_for_ordinary_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        labelled_images(tree(tmp_path, "a/1.jpg", "b/1.jpg"), KEYS)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("file://{root}/images/my%20vase.jpg", "images/my vase.jpg"),
        ("file://localhost{root}/images/my%20vase.jpg", "images/my vase.jpg"),
        ("FILE:{root}/images/a.jpg", "images/a.jpg"),
        ("file:images/a.jpg", "images/a.jpg"),
        ("my%20vase.jpg", "images/my vase.jpg"),
        ("images/%C3%A9t%C3%A9.jpg", "images/été.jpg"),
        ("images\\my%20vase.jpg", "images/my vase.jpg"),
        ("{root}/images/my%20vase.jpg", "images/my vase.jpg"),
        ("a%20b.jpg", "images/a%20b.jpg"),  # the very name
        ("100%.jpg", "images/100%.jpg"),
        (" lead.jpg", "images/ lead.jpg"),
        (" a.jpg ", "images/a.jpg"),
        ("no%20where.jpg", "images/no%20where.jpg"),
        ("%00.jpg", "images/%00.jpg"),
    ],
)
def test_urls_and_encoded_names(tmp_path: Path, name: str, file: str) -> None:
    files = ("my vase.jpg", "a.jpg", "été.jpg", "a%20b.jpg", "100%.jpg", " lead.jpg")
    tree(tmp_path, *(f"images/{one}" for one in files))
    listed = dict.fromkeys((f"images/{one}" for one in files), 1)
    table = tmp_path / "t.csv"
    name = name.format(root=tmp_path)
    assert resolve_files(tmp_path, [name], ("images", ""), table, listed, elsewhere=True) == [file]


@pytest.mark.parametrize("name", ["file:///{above}/out%20side.jpg", "%2e%2e/out%20side.jpg"])
def test_urls_and_encoded_names_are_bounded(tmp_path: Path, name: str) -> None:
    tree(tmp_path, "out side.jpg", "set/images/a.jpg")
    line = name.format(above=str(tmp_path).lstrip("/"))
    (tmp_path / "set/t.csv").write_text(f"file,class\na.jpg,x\n{line},x\n")
    with pytest.raises(ManifestError, match=r"row 2: .*out side.jpg' is outside the folder"):
        read_image_table(tmp_path / "set", "t.csv", "images" if "file" in name else ".", {}, KEYS)


def test_a_url_of_windows_is_named_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"row 1: .* is a path of another computer"):
        resolve_files(tmp_path, ["file:///C:/me/a.jpg"], ("images", ""), tmp_path / "t.csv", elsewhere=True)


@pytest.mark.parametrize(
    ("ids", "fault"), [("1 1 2", "has repeated values"), ("1  2", "is empty in some rows")]
)
def test_a_column_image_id_that_names_no_image_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ids: str, fault: str
) -> None:
    tree(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    lines = [f"{one},{file}.jpg,x" for one, file in zip(ids.split(" "), "abc", strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["image_id,file,class", *lines]))
    manifest = table(tmp_path, None, table="t.csv", images=".", columns={})
    assert manifest.column("image_id") == ["a", "b", "c"]
    assert manifest.column("image_id_of_table") == [one or None for one in ids.split(" ")]
    assert f"column image_id {fault}: images are named after their files instead" in caplog.text


def test_two_columns_image_id_stop_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text("image_id,image_id,file,class\n7,1,a.jpg,x\n8,1,b.jpg,x\n")
    assert table(tmp_path, None, table="t.csv", images=".", columns={}).column("image_id") == ["7", "8"]


def test_links_that_lead_to_themselves_are_no_folders(tmp_path: Path) -> None:
    tree(tmp_path, "x/1.jpg", "y/1.jpg")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "x" / "there").symlink_to("back")
    (tmp_path / "x" / "back").symlink_to("there")
    assert class_folders(tmp_path, None).counts() == {"x": 1, "y": 1}


def test_outputs_below_the_photographs_are_no_class(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tree(tmp_path, "x/1.jpg", "y/1.jpg", "outputs/train/run/.hydra/config.yaml",
         "outputs/train/run/sheet.png", "outputs/data/mine/images/1.jpg",
         "outputs/data/mine/manifest.parquet", "outputs/data/mine/dataset.json")  # fmt: skip
    assert class_folders(tmp_path, None).counts() == {"x": 1, "y": 1}
    assert "no image in outputs: not a class" in caplog.text
    files = [path.relative_to(tmp_path).as_posix() for path, _ in images_below(tmp_path)]
    assert files == ["outputs/data/mine/images/1.jpg", "x/1.jpg", "y/1.jpg"]
