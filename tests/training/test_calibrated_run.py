"""A run ends calibrated, as `heritage evaluate` would calibrate it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command


def test_training_and_evaluation_give_the_same_calibration(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = heritage("train", *tiny, "target_precision=0.6", f"hydra.run.dir={run}")
    assert done.code == 0, done.err
    mine = json.loads((run / "calibration.json").read_text())
    assert mine["fitted_on"]["split"] == "val"
    assert mine["target_precision"] == 0.6
    assert f"temperature {mine['temperature']:.2f}" in (run / "report.md").read_text()
    done = heritage("evaluate", f"ckpt={run}", "report.resamples=20", "report.target_precision=0.6",
                    "audits.museum=false", "audits.background=false", "audits.map=0")  # fmt: skip
    assert done.code == 0, done.err
    theirs = json.loads((run / "calibration.json").read_text())
    assert theirs["temperature"] == pytest.approx(mine["temperature"], rel=1e-3)
    assert theirs["fitted_on"] == mine["fitted_on"]


def test_null_fits_no_calibration(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    done = heritage("train", *tiny, "target_precision=null", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.code == 0, done.err
    assert not (tmp_path / "run" / "calibration.json").exists()


@pytest.mark.parametrize("word", ["0", "1", "95", "nan", "often"])
def test_precisions_out_of_range_are_refused(heritage: Command, tiny: tuple[str, ...], word: str) -> None:
    done = heritage("train", *tiny, f"target_precision={word}")
    assert done.code == 2
    assert "target_precision" in done.err
    assert len(done.err.strip().splitlines()) == 1
