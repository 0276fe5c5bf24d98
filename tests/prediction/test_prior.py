"""Predictions under other class frequencies, and of several networks as one."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heritage as package
from heritage.errors import ConfigError
from heritage.inference.ensemble import calibration_variant, load_members
from heritage.metrics.calibration import Calibration, calibrate
from heritage.metrics.prior import reweighted, shift_to_prior
from heritage.prediction.members import cropped
from heritage.runs.calibration import write_calibration
from heritage.runs.validation_outputs import ValidationOutputs, write_validation_outputs
from tests.conftest import COUNTS, Command, patch

CLASSES = tuple(COUNTS)


def with_validation(run: Path, folder: Path, variant: str = "") -> tuple[Path, ValidationOutputs]:
    """Copy a run folder and calibrate it on drawn validation logits."""
    if run != folder:
        shutil.copytree(run, folder)
    random = np.random.default_rng(0)
    targets = random.choice(6, size=300, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    logits = random.normal(size=(300, 6)).astype(np.float32)
    logits[np.arange(300), targets] += 2
    groups = [str(number // 2) for number in range(300)]
    fitted = calibrate(logits, targets, groups, target_precision=0.8, split="val", fingerprint="x")
    outputs = ValidationOutputs(logits, targets, groups, CLASSES, fitted)
    write_calibration(fitted, folder, variant)
    write_validation_outputs(outputs, folder, variant)
    return folder, outputs


@pytest.fixture(scope="module")
def run(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ValidationOutputs]:
    return with_validation(run_folder, tmp_path_factory.mktemp("prior") / "run")


def test_the_predictor_moves_probabilities_and_threshold(run: tuple[Path, ValidationOutputs]) -> None:
    folder, outputs = run
    images = [patch(k, 99) for k in range(3)]
    plain = package.load(folder, device="cpu")
    moved = package.load(folder, device="cpu", prior={"islam": 70})
    prior = moved.decision_rule.prior
    assert prior is not None
    assert prior["islam"] == pytest.approx(0.7)
    assert prior["egyptian"] / prior["orient"] == pytest.approx(
        (outputs.targets == 0).sum() / (outputs.targets == 2).sum()
    )
    shift = shift_to_prior(
        outputs.calibration, outputs.logits, outputs.targets, outputs.groups, np.array(list(prior.values()))
    )
    before, after = plain.predict(images), moved.predict(images)
    np.testing.assert_allclose(
        after.probabilities, reweighted(before.probabilities, shift.factors), atol=1e-6
    )
    assert moved.decision_rule.threshold == shift.calibration.threshold != plain.decision_rule.threshold
    assert any("islam 70.0 %" in note for note in after.notes)
    assert (
        package.load(folder, device="cpu", prior={"islam": 70}, threshold=0.3).decision_rule.threshold == 0.3
    )
    with_sets = package.load(folder, device="cpu", prior={"islam": 70}, coverage=0.9)
    assert with_sets.predict(images[0]).prediction_set is None
    assert "No prediction sets: they are promised for the class frequencies of validation." in with_sets.notes
    assert package.load(folder, device="cpu", coverage=0.9).predict(images[0]).prediction_set
    with pytest.raises(ConfigError, match="the same tta="):
        package.load(folder, device="cpu", prior="uniform", tta="flip")
    with pytest.raises(ConfigError, match="did you mean 'islam'"):
        package.load(folder, device="cpu", prior={"islm": 0.5})


def test_rows_name_the_prior(
    heritage: Command, run: tuple[Path, ValidationOutputs], photographs: Path, tmp_path: Path
) -> None:
    words = ("predict", f"ckpt={run[0]}", f"input={photographs}", "device=cpu")
    assert heritage(*words, f"out={tmp_path / 'plain.csv'}").code == 0
    done = heritage(*words, "prior=uniform", f"out={tmp_path / 'moved.csv'}")
    assert done.code == 0, done.err
    assert "class frequencies" in done.out.replace("\n", " ")
    plain, moved = (
        list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        for name in ("plain.csv", "moved.csv")
    )
    assert "prior" not in plain[0]
    assert {row["prior"] for row in moved if not row["error"]} == {
        ", ".join(f"{name} 16.7 %" for name in CLASSES)
    }
    assert plain[0]["probability_1"] != moved[0]["probability_1"]
    done = heritage(*words, "prior=estimate", f"out={tmp_path / 'none.csv'}")
    assert done.code == 2
    assert "needs all images before the first prediction" in done.err


def test_networks_of_other_sizes_are_averaged_and_calibrated_together(
    run_folder: Path, tmp_path: Path, heritage: Command, photographs: Path
) -> None:
    import torch

    uncalibrated = shutil.ignore_patterns("calibration*.json", "validation.parquet")  # of other tests
    first, second = (
        shutil.copytree(run_folder, tmp_path / name, ignore=uncalibrated) for name in ("first", "second")
    )
    file = second / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    state["heritage"]["config"]["data"] |= {"image_size": 48, "crop_pct": 0.8}
    torch.save(state, file)
    images: list[Any] = [photographs / "0.jpg", patch(1, 99, size=60)]
    parts = [package.load(one, device="cpu").predict(images).probabilities for one in (first, second)]
    both = package.load([first, second], device="cpu")
    assert both.image_size == 48
    assert "2 networks" in repr(both)
    averaged = both.predict(images)
    np.testing.assert_allclose(averaged.probabilities, np.mean(parts, axis=0), atol=1e-5)
    assert np.abs(parts[0] - parts[1]).max() > 1e-3
    assert both.embed(images).shape == package.load(first, device="cpu").embed(images).shape
    explained = both.explain(images[1], method="occlusion")
    assert explained.saliency.shape == (60, 60)

    variant = calibration_variant(load_members([first, second]))
    _, outputs = with_validation(second, second, variant)
    calibrated = package.load([first, second], device="cpu")
    assert calibrated.decision_rule.temperature == outputs.calibration.temperature
    out = tmp_path / "out.jsonl"
    done = heritage("predict", f"ckpt=[{first},{second}]", f"input={photographs}", f"out={out}",
                    "num_workers=2", "batch_size=2", "prior=uniform", "device=cpu")  # fmt: skip
    assert done.code == 0, done.err
    rows = {row["file"]: row for row in map(json.loads, out.read_text().splitlines())}
    expected = package.load([first, second], device="cpu", prior="uniform").predict(images[0])
    assert rows["0.jpg"]["class_1"] == expected.label
    assert rows["0.jpg"]["probability_1"] == pytest.approx(expected.confidence, abs=1e-5)


def test_a_calibration_of_another_fit_is_not_used_for_a_prior(run_folder: Path, tmp_path: Path) -> None:
    folder, outputs = with_validation(run_folder, tmp_path / "run")
    old = outputs.calibration
    other = Calibration(old.temperature, 0.5, 0.9, old.fitted_on.__class__("val", 7, "x"), 0.2, 0.1)
    write_calibration(other, folder)
    with pytest.raises(ConfigError, match="no validation logits"):
        package.load(folder, device="cpu", prior="uniform")


def test_lists_of_runs_are_checked(run_folder: Path) -> None:
    for ckpt, message in (([], "an empty list"), ([run_folder, run_folder], "the same checkpoint twice")):
        with pytest.raises(ConfigError, match=message):
            package.load(ckpt)


def test_the_calibration_of_a_run_is_not_that_of_another_checkpoint(run_folder: Path, tmp_path: Path) -> None:
    folder, outputs = with_validation(run_folder, tmp_path / "run")
    best = package.load(folder / "checkpoints" / "best.ckpt", device="cpu").decision_rule
    assert best.temperature == outputs.calibration.temperature
    last = package.load(folder / "checkpoints" / "last.ckpt", device="cpu").decision_rule
    assert (last.temperature, last.threshold, last.calibration) == (1.0, None, None)
    with pytest.raises(ConfigError, match="no validation logits"):
        package.load(folder / "checkpoints" / "last.ckpt", device="cpu", prior="uniform")


def test_saliency_of_other_crops_is_averaged_at_the_same_places() -> None:
    half = np.zeros((50, 50), np.float32)
    half[:10, :10] = 1  # of the central half: a fifth of its side
    moved = cropped(half, 0.5, 100, 1.0)
    assert moved.shape == (100, 100)
    assert moved[25:34, 25:34].min() == 1
    assert moved.sum() == pytest.approx(100, rel=0.2)
    back = cropped(moved, 1.0, 50, 0.5)
    np.testing.assert_allclose(back, half, atol=0.3)
    assert cropped(half, 0.5, 25, 0.5).shape == (25, 25)
