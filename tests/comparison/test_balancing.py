"""Effects of balancing, against scikit-learn and on constructed predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from heritage.comparison.balancing import BalancingEffects
from heritage.comparison.comparison import Comparison, ResamplingOptions, compare
from heritage.comparison.runs import find_runs
from heritage.runs.read_predictions import FinishedRun
from tests.conftest import Command


@pytest.fixture
def base(runs: Path) -> FinishedRun:
    return find_runs([str(runs / "none")])[0]


def compared(base: FinishedRun, **predictions: np.ndarray) -> Comparison:
    made = []
    for name, predicted in predictions.items():
        shares = np.eye(len(base.classes))[predicted]
        made.append(replace(base, probabilities=shares, description=replace(base.description, balance=name)))
    return compare(made, ResamplingOptions(100, 0))


def test_effects_are_differences_to_training_without_balancing(base: FinishedRun) -> None:
    rng = np.random.default_rng(0)
    plain = rng.integers(0, len(base.classes), len(base.targets))
    balanced = np.where(rng.random(len(plain)) < 0.7, base.targets, plain)
    comparison = compared(base, none=plain, oversample=balanced)
    effects = BalancingEffects.of(comparison)
    counts = np.bincount(base.targets)
    assert counts[base.classes.index(effects.rarest)] == counts[counts > 0].min()
    better = next(k for k, one in enumerate(comparison.settings) if one.name == "oversample")
    worse = effects.baseline(better)
    assert worse is not None
    assert effects.baseline(worse) is None, "training without balancing has no baseline"
    f1 = [f1_score(base.targets, predicted, average="macro") for predicted in (balanced, plain)]
    effect = effects.effect(better, worse, "macro_f1")
    assert effect.value == pytest.approx(f1[0] - f1[1], abs=1e-12)
    assert effect.interval.low <= effect.value <= effect.interval.high
    assert effect.significant
    name, recall, bounds = effects.worst_recall(better)
    recalls = recall_score(base.targets, balanced, average=None)
    assert recall == pytest.approx(recalls.min(), abs=1e-12)
    assert recalls[base.classes.index(name)] == recalls.min()
    assert bounds.low <= recall


def test_a_class_without_test_images_does_not_have_the_lowest_recall(base: FinishedRun) -> None:
    kept = base.targets != base.classes.index("islam")
    part = replace(
        base,
        images=tuple(np.array(base.images)[kept]),
        groups=tuple(np.array(base.groups)[kept]),
        targets=base.targets[kept],
        probabilities=np.eye(len(base.classes))[base.targets[kept]],
    )
    name, recall, bounds = BalancingEffects.of(compare([part], ResamplingOptions(20, 0))).worst_recall(0)
    assert (name != "islam", recall, bounds.low) == (True, 1.0, 1.0)


def test_the_recall_of_a_class_of_few_groups_has_no_interval(base: FinishedRun) -> None:
    rare = base.classes[int(base.targets[0])]
    groups = tuple("one" if target == base.targets[0] else name
                   for target, name in zip(base.targets, base.groups, strict=True))  # fmt: skip
    wrong = np.where(base.targets == base.targets[0], (base.targets + 1) % len(base.classes), base.targets)
    effects = BalancingEffects.of(compared(replace(base, groups=groups), none=wrong, weights=base.targets))
    place = next(k for k in (0, 1) if effects.baseline(k) is not None)
    effect = effects.effect(place, 1 - place, f"recall/{rare}")
    assert (effect.value, effect.significant) == (1, False)
    assert np.isnan(effect.interval.low)
    assert effects.effect(place, 1 - place, "macro_f1").interval.high > 0, "averages have one"


def test_equal_predictions_have_no_effect(base: FinishedRun) -> None:
    effects = BalancingEffects.of(compared(base, none=base.predicted, weights=base.predicted))
    place = next(k for k in (0, 1) if effects.baseline(k) is not None)
    effect = effects.effect(place, 1 - place, "macro_f1")
    assert (effect.value, effect.interval.low, effect.interval.high, effect.significant) == (0, 0, 0, False)


def test_settings_without_balancing_have_no_table(base: FinishedRun) -> None:
    other = replace(base, description=replace(base.description, model="vit"))
    assert BalancingEffects.of(compare([base, other], ResamplingOptions(20, 0))).table() is None


def test_the_baseline_is_of_the_same_network(base: FinishedRun) -> None:
    other = replace(base, description=replace(base.description, model="vit", balance="weights"))
    assert BalancingEffects.of(compare([base, other], ResamplingOptions(20, 0))).table() is None


@pytest.mark.usefixtures("drawn_figures")
def test_the_command_writes_table_and_figure(heritage: Command, runs: Path, tmp_path: Path) -> None:
    done = heritage("compare", f"runs={runs}", f"hydra.run.dir={tmp_path}", "intervals.resamples=40")
    assert done.code == 0, done.err
    assert (tmp_path / "remedies.png").stat().st_size > 0
    table = (tmp_path / "tables" / "remedies.csv").read_text().splitlines()
    assert "macro-F1 against none" in table[0]
    assert {row.partition(",")[0] for row in table[1:]} == {"none", "weights"}
    assert "against none" in (tmp_path / "comparison.html").read_text()
