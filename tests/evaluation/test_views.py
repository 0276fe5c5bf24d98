"""Evaluation with test-time augmentation, and the calibration that belongs to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import heritage as package
from heritage.metrics.calibration import softmax
from heritage.runs.calibration import read_calibration
from heritage.runs.validation_outputs import read_validation_outputs
from tests.conftest import COUNTS, Command

QUICK = ("report.resamples=20", "report.slices=[]", "audits=null")


def test_the_calibration_of_views_is_fitted_and_used_for_these_views(
    heritage: Command, runs: Path, tmp_path: Path
) -> None:
    run, out = shutil.copytree(runs / "none", tmp_path / "run"), tmp_path / "out"
    before = package.load(run, tta="flip")
    assert any("tta=flip" in note for note in before.notes) == (read_calibration(run) is not None)
    done = heritage("evaluate", f"ckpt={run}", "tta=flip", f"hydra.run.dir={out}", *QUICK)
    assert done.code == 0, done.err
    fitted = read_calibration(run, "flip")
    assert fitted is not None
    outputs = read_validation_outputs(run, tuple(COUNTS), fitted, "flip")
    assert outputs is not None
    np.testing.assert_allclose(np.exp(outputs.logits).sum(axis=1), 1, atol=1e-5)

    predictor = package.load(run, tta="flip")
    assert predictor.decision_rule.calibration == fitted
    assert not any("tta" in note for note in predictor.notes)
    assert any("tta=five_crop" in note for note in package.load(run, tta="five_crop").notes) == (
        read_calibration(run) is not None
    )
    table = pq.read_table(out / "predictions.parquet").to_pydict()
    root = Path(json.loads((run / "data.json").read_text())["root"])
    predictions = predictor.predict([root / name for name in table["file"][:8]])
    reported = np.array([table[f"p_{name}"] for name in predictions.classes]).T[:8]
    calibrated = softmax(np.log(reported), fitted.temperature)
    np.testing.assert_allclose(predictions.probabilities, calibrated, atol=1e-5)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["tta"] == "flip"
    assert "tta=flip" in metrics["recipe"]["others"]
    assert metrics["facts"]["test-time augmentation"] == "flip"


def test_an_unknown_name_of_views_is_refused(heritage: Command, runs: Path) -> None:
    done = heritage("evaluate", f"ckpt={runs / 'none'}", "tta=fivecrop", *QUICK)
    assert done.code == 2
    assert "five_crop" in done.err


@pytest.mark.parametrize("damage", ["not parquet", "missing"])
def test_damaged_validation_logits_are_one_line(runs: Path, tmp_path: Path, damage: str) -> None:
    from heritage.errors import CheckpointError
    from heritage.metrics.calibration import Calibration, FittedOn

    fitted = Calibration(1.0, None, 0.9, FittedOn("val", 3, "x"), 0.1, 0.1)
    if damage == "missing":
        assert read_validation_outputs(tmp_path, ("a", "b"), fitted) is None
        return
    (tmp_path / "validation.parquet").write_text(damage)
    with pytest.raises(CheckpointError, match="heritage evaluate"):
        read_validation_outputs(tmp_path, ("a", "b"), fitted)
