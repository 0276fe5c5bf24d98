"""README's commands for a user's photographs and classes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from heritage.core.image_io import encode_jpeg
from tests.conftest import TINY, Command, patch

SMALL = [word for word in TINY if not word.startswith("data=")]


def write_photographs(root: Path, counts: dict[str, int]) -> None:
    """Write one folder for each class."""
    for index, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number:03d}.jpg").write_bytes(encode_jpeg(patch(index, number)))


def test_the_commands_of_readme_work_with_other_classes(tmp_path: Path, heritage: Command) -> None:
    write_photographs(tmp_path / "photographs", {"china": 20, "japan": 14, "korea": 16})
    done = heritage(
        "curate",
        "raw=class_folders",
        "raw.root=photographs",
        "name=mine",
        "workers=1",
        "cleaning.min_side=16",
    )
    assert done.code == 0, done.err
    assert (tmp_path / "outputs/data/mine/report.html").is_file()

    train = ["train", "data=folder", "data.root=outputs/data/mine", *SMALL, "hydra.run.dir=run"]
    done = heritage(*train)
    assert done.code == 0, done.err
    config = (tmp_path / "run/config.yaml").read_text(encoding="utf-8")
    assert "- china\n  - japan\n  - korea\n" in config

    done = heritage("predict", "ckpt=run", "input=photographs", "out=predictions.csv", "num_workers=0")
    assert done.code == 0, done.err
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert {row["prediction"] for row in rows} <= {"china", "japan", "korea", "unsure"}

    done = heritage("evaluate", "ckpt=run", "report.resamples=20", "hydra.run.dir=again")
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "again/metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["classes"]) == {"china", "japan", "korea"}


def test_a_run_on_the_classes_of_a_folder_resumes(tmp_path: Path, heritage: Command) -> None:
    write_photographs(tmp_path / "photographs", {"china": 20, "japan": 14})
    heritage(
        "curate",
        "raw=class_folders",
        "raw.root=photographs",
        "name=mine",
        "workers=1",
        "cleaning.min_side=16",
    )
    train = ["train", "data=folder", "data.root=outputs/data/mine", *SMALL, "hydra.run.dir=run"]
    assert heritage(*train).code == 0
    (tmp_path / "run/report.md").unlink()
    done = heritage(*train, "resume=run")
    assert done.code == 0, done.err
