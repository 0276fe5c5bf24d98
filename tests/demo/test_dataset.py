"""The demo set on disk: proportions, views, labels, and atomic writing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from heritage.core.image_io import decode
from heritage.core.taxonomy import CLASSES, parse_image_name
from heritage.demo import DEMO_VERSION, demo_records, write_demo_dataset
from heritage.demo.dataset import THESIS_COUNTS, class_counts
from heritage.errors import ConfigError, DataError

SMALL = {"images": 14, "size": 24, "seed": 1}


def write_small(root: Path) -> Path:
    return write_demo_dataset(root, images=14, size=24, seed=1)


def snapshot(root: Path) -> dict[str, int]:
    """Return file → time of its last change."""
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*")}


def test_classes_have_the_proportions_of_the_thesis() -> None:
    counts = class_counts(1500)
    assert sum(counts.values()) == 1500
    for name, thesis in THESIS_COUNTS.items():
        assert abs(counts[name] - 1500 * thesis / sum(THESIS_COUNTS.values())) < 2


@pytest.mark.parametrize("images", [12, 13, 60, 71, 72, 100, 333, 1501])
def test_the_number_of_images_is_exact_and_every_class_has_some(images: int) -> None:
    records = demo_records(images=images, seed=0)
    assert len(records) == images
    assert min(Counter(record.class_name for record in records).values()) >= min(12, images // 6)


def test_objects_have_two_to_four_views_and_a_split_by_object_leaves_three_everywhere() -> None:
    records = demo_records(images=1500, seed=0)
    views = Counter((record.class_name, record.object_index) for record in records)
    assert set(views.values()) == {2, 3, 4}
    objects = Counter(class_name for class_name, _ in views)
    for name in CLASSES:
        test = round(0.1 * objects[name])
        assert test >= 3
        assert round(0.2 * (objects[name] - test)) >= 3


def test_names_and_ids_are_unique_and_follow_the_convention() -> None:
    records = demo_records(images=1500, seed=3)
    assert len({record.file for record in records}) == 1500
    owners = {(record.object_id, record.class_name, record.object_index) for record in records}
    assert len({object_id for object_id, _, _ in owners}) == len(owners)
    for record in records:
        name = parse_image_name(Path(record.file).stem)
        assert (CLASSES[name.class_id - 1], name.museum) == (record.class_name, "DEMO")


def test_labels_make_sense_and_views_of_one_object_share_them() -> None:
    labels: dict[int, tuple[object, ...]] = {}
    for record in demo_records(images=600, seed=0):
        assert record.begin_year <= record.end_year
        assert record.title
        assert record.culture
        label = (record.object_name, record.title, record.period, record.begin_year, record.end_year)
        assert labels.setdefault(record.object_id, label) == label
    assert len({label[0] for label in labels.values()}) > 20


def test_the_folder_has_the_files_of_the_table(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    root = write_demo_dataset(
        tmp_path / "demo", **SMALL, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(done, 14) for done in range(1, 15)]
    rows = list(csv.DictReader((root / "metadata.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["filename"] for row in rows} == {path.name for path in (root / "images").iterdir()}
    assert {row["class"] for row in rows} == set(CLASSES)
    for row in rows:
        assert decode((root / "images" / row["filename"]).read_bytes()).shape == (24, 24, 3)
    identity = json.loads((root / "demo.json").read_text())
    assert identity == {"version": DEMO_VERSION, **SMALL}
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_complete_set_is_reused(tmp_path: Path) -> None:
    root = write_small(tmp_path / "demo")
    before = snapshot(root)
    write_small(root)
    assert snapshot(root) == before


def test_two_sets_with_one_seed_are_equal(tmp_path: Path) -> None:
    one, two = write_small(tmp_path / "one"), write_small(tmp_path / "two")
    for path in (one / "images").iterdir():
        assert path.read_bytes() == (two / "images" / path.name).read_bytes()
    assert (one / "metadata.csv").read_bytes() == (two / "metadata.csv").read_bytes()


def test_a_set_of_another_kind_or_with_a_picture_missing_is_drawn_again(tmp_path: Path) -> None:
    root = write_small(tmp_path / "demo")
    write_demo_dataset(root, images=12, size=16, seed=2)
    assert len(list((root / "images").iterdir())) == 12
    next((root / "images").iterdir()).unlink()
    write_demo_dataset(root, images=12, size=16, seed=2)
    assert len(list((root / "images").iterdir())) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "demo" / "images").mkdir(parents=True)
    (tmp_path / "demo" / "images" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match="files other than a demo set"):
        write_small(tmp_path / "demo")
    assert (tmp_path / "demo" / "images" / "mine.jpg").read_bytes() == b"mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert len(list((write_small(tmp_path / "demo") / "images").iterdir())) == 14


def test_a_killed_process_leaves_no_incomplete_set(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from heritage.demo import write_demo_dataset\n"
        "def die(done, total):\n"
        "    if done == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_demo_dataset(Path(sys.argv[1]), images=14, size=24, seed=1, progress=die)"
    )
    root = tmp_path / "demo"
    killed = subprocess.run([sys.executable, "-c", program, str(root)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not root.exists()
    (left,) = tmp_path.iterdir()
    assert len(list((left / "images").iterdir())) == 5
    assert len(list((write_small(root) / "images").iterdir())) == 14


def test_old_temporary_folders_of_killed_processes_are_removed(tmp_path: Path) -> None:
    for name, age in (("old", 7200.0), ("young", 60.0)):
        folder = tmp_path / f".demo.drawing-{name}" / "images"
        folder.mkdir(parents=True)
        for path in (folder, folder.parent):
            os.utime(path, (time.time() - age,) * 2)
    write_small(tmp_path / "demo")
    assert {path.name for path in tmp_path.iterdir()} == {"demo", ".demo.drawing-young"}


def test_two_processes_may_draw_the_same_set(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from heritage.demo import write_demo_dataset\n"
        "write_demo_dataset(Path(sys.argv[1]), images=60, size=24, seed=1)"
    )
    root = tmp_path / "demo"
    both = [subprocess.Popen([sys.executable, "-c", program, str(root)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert len(list((root / "images").iterdir())) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_set_that_appears_while_drawing_is_kept(tmp_path: Path) -> None:
    root, before = tmp_path / "demo", {}

    def other_process(done: int, total: int) -> None:
        if done == total:
            before.update(snapshot(write_small(root)))

    write_demo_dataset(root, **SMALL, progress=other_process)
    assert snapshot(root) == before


def test_invalid_settings_are_named_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images=11: too few images"):
        write_demo_dataset(tmp_path / "demo", images=11, size=32, seed=0)
    with pytest.raises(ConfigError, match="size=8: cannot draw"):
        write_demo_dataset(tmp_path / "demo", images=12, size=8, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        write_small(tmp_path / "file" / "demo")
