"""Evaluation under other class frequencies, and the table of long tails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from heritage.errors import ConfigError
from heritage.evaluation.prior import _estimated, require_ratios
from heritage.features.predict_loop import ModelOutputs
from heritage.metrics.calibration import Calibration, FittedOn, softmax
from heritage.metrics.prior import class_shares, shift_to_prior
from heritage.runs.calibration import read_calibration
from heritage.runs.validation_outputs import ValidationOutputs, read_validation_outputs
from tests.conftest import COUNTS, Command

QUICK = ("report.resamples=20", "report.slices=[]", "audits=null")
CLASSES = tuple(COUNTS)


@pytest.fixture(scope="module")
def evaluated(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run that was evaluated, and the folder of the evaluation; read only."""
    from tests.trained_networks import command

    folder = tmp_path_factory.mktemp("evaluated")
    run = shutil.copytree(runs / "none", folder / "run")
    command("evaluate", f"ckpt={run}", f"hydra.run.dir={folder / 'out'}", *QUICK)
    return run, folder / "out"


def probabilities(out: Path) -> np.ndarray:
    table = pq.read_table(out / "predictions.parquet").to_pydict()
    return np.array([table[f"p_{name}"] for name in CLASSES]).T


def test_shares_move_probabilities_by_what_validation_shows(
    heritage: Command, evaluated: tuple[Path, Path], tmp_path: Path
) -> None:
    run, before = evaluated
    out = tmp_path / "out"
    words = (f"ckpt={run}", "prior={islam:60}", "report.tails=[10]", f"hydra.run.dir={out}")
    done = heritage("evaluate", *words, *QUICK)
    assert done.code == 0, done.err
    metrics = json.loads((out / "metrics.json").read_text())
    shares = metrics["prior"]["shares"]
    assert shares["islam"] == pytest.approx(0.6)
    fitted = read_calibration(run)
    assert fitted is not None
    outputs = read_validation_outputs(run, CLASSES, fitted)
    assert outputs is not None
    own = class_shares(outputs.targets, 6)
    others = [k for k, name in enumerate(CLASSES) if name != "islam"]
    np.testing.assert_allclose([shares[CLASSES[k]] for k in others], 0.4 * own[others] / own[others].sum())
    moved = shift_to_prior(
        fitted, outputs.logits, outputs.targets, outputs.groups, np.array([shares[name] for name in CLASSES])
    )
    right = softmax(np.log(probabilities(before)) + moved.shift())
    np.testing.assert_allclose(probabilities(out), right, atol=1e-5)
    assert metrics["calibration"]["threshold"] == moved.calibration.threshold
    assert any("islam 60.0 %" in note for note in metrics["notes"])
    assert list(metrics["long_tails"]) == ["forward10", "uniform", "backward10"]
    assert "## Long tails" in (out / "report.md").read_text()
    page = (out / "report.html").read_text()
    assert "backward10" in page
    assert '<a href="#long-tails">' in page
    order = ", ".join(CLASSES[k] for k in np.argsort(-own, kind="stable"))
    assert f"to the rarest ({order})" in page
    assert "backward10" in (out / "tables" / "long_tails.tex").read_text()
    assert read_calibration(run) == fitted, "the stored calibration is that without a prior"


def test_an_estimate_has_intervals_and_needs_enough_images(
    heritage: Command, evaluated: tuple[Path, Path], tmp_path: Path, tree: Path
) -> None:
    run, _ = evaluated
    words = ("evaluate", f"ckpt={run}", "prior=estimate", *QUICK)
    done = heritage(*words, f"hydra.run.dir={tmp_path / 'few'}")
    assert done.code == 2
    assert "too few to estimate class frequencies: at least 30" in done.err
    other = ("data=class_folders", f"data.root={tree}", "data.num_workers=0", "split=all")
    done = heritage(*words, *other, f"hydra.run.dir={tmp_path / 'all'}")
    assert done.code == 0, done.err
    prior = json.loads((tmp_path / "all" / "metrics.json").read_text())["prior"]
    assert prior["option"] == "estimate"
    assert sum(prior["shares"].values()) == pytest.approx(1)
    for name, share in prior["shares"].items():
        low, high = prior["intervals"][name]
        assert low - 1e-3 <= share <= high + 1e-3


def test_priors_that_are_none_are_refused(heritage: Command, evaluated: tuple[Path, Path]) -> None:
    run, _ = evaluated
    for words, message in (
        (["prior={maya:0.5}"], "the network has no class 'maya'"),
        (["prior={islam:0}"], "the share of islam is 0"),
        (["prior={islam:-1}"], "the share of islam is -1"),
        (["prior={islam:nan}"], "the share of islam is nan"),
        (["prior={islam:1}"], "nothing is left for egyptian"),
        (["prior={islam:much}"], "the share of islam is 'much', not a number"),
        (["prior=unifrom"], "did you mean 'uniform'?"),
        (["prior={}"], "names no class"),
        (["prior=uniform", "logit_adjustment=1"], "use one of them"),
        (["report.tails=[1]"], "a ratio is from 2"),
    ):
        done = heritage("evaluate", f"ckpt={run}", *words, *QUICK)
        assert done.code == 2, words
        assert message in done.err, (words, done.err)
        assert done.err.count("\n") == 1


def test_without_validation_logits_the_remedy_is_named(
    heritage: Command, evaluated: tuple[Path, Path], tmp_path: Path, tree: Path
) -> None:
    run = shutil.copytree(evaluated[0], tmp_path / "run")
    (run / "validation.parquet").unlink()
    other = ("data=class_folders", f"data.root={tree}", "data.num_workers=0", "split=all")
    done = heritage("evaluate", f"ckpt={run}", "prior=uniform", *other, *QUICK)
    assert done.code == 2
    assert "no validation logits" in done.err
    assert "heritage evaluate" in done.err


def test_few_groups_give_an_estimate_without_intervals() -> None:
    logits = np.eye(6, dtype=np.float32)[np.arange(40) % 6] * 3
    outputs = ValidationOutputs(
        logits, np.arange(40) % 6, [str(k) for k in range(40)], CLASSES,
        Calibration(1.0, None, 0.9, FittedOn("val", 40, "x"), 0.1, 0.1),
    )  # fmt: skip
    predictions = ModelOutputs(np.arange(40), outputs.targets, logits)
    for groups, known in (([str(k % 4) for k in range(40)], False), ([str(k) for k in range(40)], True)):
        _, record = _estimated(predictions, outputs, groups)
        assert (set(record["intervals"]) == set(CLASSES)) == known
        assert ("of 4 groups only" in record["notes"][0]) != known


def test_ratios_are_bounded() -> None:
    for tails in ([1], [10**400], [5, 0]):
        with pytest.raises(ConfigError, match="from 2 to 1,000,000"):
            require_ratios(tails)
    require_ratios([2, 1_000_000])
