"""Post-hoc logit adjustment against probabilities divided by frequencies."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from heritage.inference.checkpoint import load_checkpoint
from heritage.inference.logit_adjustment import frequency_correction
from tests.conftest import COUNTS, Command

CLASSES = list(COUNTS)
QUICK = ("report.resamples=20", "audits.museum=false", "audits.background=false", "audits.map=0")


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    return shutil.copytree(runs / "none", tmp_path / "run")


def probabilities(folder: Path) -> npt.NDArray[np.float64]:
    table = pq.read_table(folder / "predictions.parquet").sort_by("image_id").to_pydict()
    return np.array([table[f"p_{name}"] for name in CLASSES]).T


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_adjusted_probabilities_are_divided_by_frequencies(
    heritage: Command, run: Path, tmp_path: Path, tau: float
) -> None:
    for name, words in (("plain", ()), ("adjusted", (f"logit_adjustment={tau}",))):
        done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / name}", *QUICK, *words)
        assert done.code == 0, done.err
    shown = json.loads((run / "data.json").read_text())["counts"]["shown"]
    counts = np.array([shown[name] for name in CLASSES], dtype=float)
    assert len(set(counts)) > 1, "equal counts change nothing"
    expected = probabilities(tmp_path / "plain") / (counts / counts.sum()) ** tau
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(tmp_path / "adjusted"), expected, atol=2e-6)
    assert "Logits were adjusted" in (tmp_path / "adjusted" / "report.md").read_text()
    done = heritage(
        "compare", f"runs=[{tmp_path / 'plain'},{tmp_path / 'adjusted'}]", "intervals.resamples=20"
    )
    assert done.code == 0, done.err
    table = next(tmp_path.rglob("remedies.csv")).read_text()
    assert f"\nnone logit_adjustment={tau:g}," in table, "a balancing method beside training without one"


def test_an_adjusted_network_does_not_overwrite_the_calibration(
    heritage: Command, run: Path, tmp_path: Path
) -> None:
    (run / "calibration.json").unlink(missing_ok=True)
    done = heritage(
        "evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'out'}", *QUICK, "logit_adjustment=1"
    )
    assert done.code == 0, done.err
    assert not (run / "calibration.json").exists()
    assert "calibration.json was not written" in done.out.replace("\n", " ")


def test_a_calibration_of_unadjusted_logits_is_not_used_for_adjusted_ones(
    heritage: Command, run: Path, tree: Path, tmp_path: Path
) -> None:
    (run / "calibration.json").write_text("{}")  # unreadable, and not to be read
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'out'}", *QUICK, "split=all",
                    "logit_adjustment=1")  # fmt: skip
    assert done.code == 0, done.err
    assert "for logits that are not adjusted" in done.out.replace("\n", " ")


def test_a_changing_sampling_counts_as_a_correction(run: Path) -> None:
    classifier = load_checkpoint(run)
    assert frequency_correction(classifier) is None
    sampling = {"_target_": "heritage.data.sampling.ProgressivelyBalanced", "epochs": 2}
    balance = classifier.config["balance"] | {"sampling": sampling}
    correction = frequency_correction(replace(classifier, config=classifier.config | {"balance": balance}))
    assert correction is not None
    assert "ProgressivelyBalanced" in correction


def test_a_second_correction_is_noted(heritage: Command, runs: Path, tmp_path: Path) -> None:
    done = heritage("evaluate", f"ckpt={shutil.copytree(runs / 'weights', tmp_path / 'weights')}", *QUICK,
                    "logit_adjustment=1")  # fmt: skip
    assert done.code == 0, done.err
    assert "this corrects twice" in done.out.replace("\n", " ")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("-1", "not a number from 0"), ("nan", "not a number from 0"), ("1e39", "1 is the usual value"),
     ("much", "logit_adjustment")],
)  # fmt: skip
def test_invalid_strengths_are_refused(heritage: Command, run: Path, word: str, expected: str) -> None:
    done = heritage("evaluate", f"ckpt={run}", f"logit_adjustment={word}")
    assert done.code == 2
    assert expected in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_run_without_class_counts_is_refused(heritage: Command, run: Path) -> None:
    (run / "data.json").unlink()
    done = heritage("evaluate", f"ckpt={run}", "logit_adjustment=1")
    assert done.code == 2
    assert "how often each class was shown" in done.err
