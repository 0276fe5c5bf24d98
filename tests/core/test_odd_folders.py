"""Folders named like splits, folders inside a folder, links, and names that tables write otherwise."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from heritage.core.image_folders import SourceKeys, images_below, labelled_images, split_of
from heritage.core.image_tables import resolve_files
from heritage.data.readers import class_folders
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


def test_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "vase.jpg").write_bytes(b"1")
    (tmp_path / "cup.jpg").symlink_to("cup.jpg")
    assert [path.name for path, _ in images_below(tmp_path, Counter())] == ["cup.jpg", "vase.jpg"]
