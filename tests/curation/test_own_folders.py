"""Users' folders: copies within a class, folders of splits, and the next command."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from heritage.core.labels import clean_label
from heritage.core.manifest import Manifest
from heritage.curation.next_step import next_step
from heritage.project.create import create_project
from tests.conftest import TINY, Command
from tests.curation.conftest import Curate
from tests.curation.raw_folders import class_tree, photograph, reasons, write

TREE = "raw=class_folders"


def test_copies_of_one_photograph_within_a_class_are_duplicates(
    tmp_path: Path, curate_folder: Curate
) -> None:
    root = class_tree(tmp_path / "raw", ("islam", "orient"), each=6)
    for number in range(10):  # the same bytes, and saved again
        (root / "islam" / f"islam000 copy {number}.jpg").write_bytes(
            (root / "islam/islam000.jpg").read_bytes()
        )
        write(root / "orient" / f"orient000 copy {number}.jpg", photograph(1000), 80 + number)
    curated = curate_folder(root, TREE)
    assert set(reasons(curated).values()) == {"duplicate"}
    assert curated.kept.counts()["islam"] == 6
    groups = [
        group
        for group, file in zip(curated.kept.column("group_id"), curated.kept.column("raw_file"), strict=True)
        if file.startswith("orient/orient000")
    ]
    assert len(groups) == 11
    assert len(set(groups)) == 1


def test_a_class_that_vanishes_is_a_warning_with_its_rule(
    tmp_path: Path, curate_folder: Curate, caplog: pytest.LogCaptureFixture
) -> None:
    root = class_tree(tmp_path / "raw", ("islam", "orient"), each=6)
    for number in range(3):
        write(root / "tiny" / f"{number}.jpg", photograph(7 + number, 20, 20))
    curated = curate_folder(root, TREE)
    remark = "All 3 photographs of tiny were dropped: 3 too small (cleaning.min_side)."
    assert remark in curated.remarks
    assert remark in caplog.text
    assert next_step(curated.kept, tmp_path / "out").endswith(f"data.root={tmp_path / 'out'}")


def test_the_split_of_folders_is_kept(tmp_path: Path, curate_folder: Curate) -> None:
    root = tmp_path / "raw"
    for start, (split, each) in enumerate({"train": 8, "validation": 2, "test": 2}.items()):
        for index, name in enumerate(("islam", "orient")):
            for number in range(each):
                write(root / split / name / f"{number}.jpg", photograph(1000 * start + 100 * index + number))
    curated = curate_folder(root, TREE)
    files = zip(curated.kept.column("raw_file"), curated.kept.column("split"), strict=True)
    assert all(file.startswith(split) for file, split in files)
    assert "The split of the source is kept: 16 train, 4 val, 4 test." in curated.remarks

    shutil.rmtree(root / "validation")
    again = curate_folder(root, TREE, out=tmp_path / "again")
    splits = again.kept.column("split")
    assert set(splits) == {"train", "val", "test"}
    pairs = zip(again.kept.column("raw_file"), splits, strict=True)
    assert all(split == "test" for file, split in pairs if file.startswith("test"))


def kept(classes: list[str], splits: list[str], listed: list[str] | None = None) -> Manifest:
    columns = {
        "file": [f"{row}.jpg" for row in range(len(splits))],
        "class": classes,
        "split": pa.array(splits, pa.string()),
    }
    return Manifest.build(columns, Path("set"), listed or sorted(set(classes)))


def test_the_next_command_leaves_out_classes_that_cannot_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: str(Path(sys.executable).with_name("heritage")))
    three = ["train", "val", "test"]
    command = "next: heritage train data=folder data.root=out/mine"
    assert next_step(kept(["a"] * 3 + ["b"] * 3, three * 2, ["a", "b", "c"]), Path("out/mine")) == command
    some = kept(["a"] * 3 + ["001"] * 3 + ["c"], [*three, *three, "train"])
    assert next_step(some, Path("out/mine")) == f"""{command} 'data.classes=["001",a]'"""
    assert "add photographs" in next_step(kept(["a"] * 3 + ["b"], [*three, "train"]), Path("out/mine"))


def test_in_a_project_the_next_command_is_the_project_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: str(Path(sys.executable).with_name("heritage")))
    create_project(tmp_path / "vases")
    monkeypatch.chdir(tmp_path / "vases")
    three = ["train", "val", "test"]
    manifest = kept(["a"] * 3 + ["b"] * 3, three * 2, ["a", "b"])
    command = "next: heritage train --config-dir conf +experiment=project"
    assert next_step(manifest, Path("outputs/data/vases")) == command
    # Another data set than the project's, and a configuration that the user has emptied.
    assert "data.root=outputs/data/more" in next_step(manifest, Path("outputs/data/more"))
    Path("conf/experiment/project.yaml").write_text("[]")
    assert "data.root=outputs/data/vases" in next_step(manifest, Path("outputs/data/vases"))


def test_the_command_that_curate_prints_works(
    tmp_path: Path, heritage: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_tree(tmp_path / "my photos", ("old kingdom", "Ägypten"), each=8)
    done = heritage(
        "curate", TREE, "raw.root=my photos", "name=mine", "out=my data/set", "workers=1", "resize.size=64"
    )
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    monkeypatch.setenv("COLUMNS", "200")
    done = heritage(*words[words.index("train") :], *TINY[1:], "hydra.run.dir=run")
    assert done.code == 0, done.err
    config = (tmp_path / "run/config.yaml").read_text(encoding="utf-8")
    assert all(clean_label(name) in config for name in ("old kingdom", "Ägypten"))
