"""What remedies for imbalance change, against scikit-learn and by construction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from heritage.comparison.comparison import Comparison, ResamplingOptions, compare
from heritage.comparison.remedies import Remedies
from heritage.comparison.runs import find_runs
from heritage.runs.finished import FinishedRun
from tests.conftest import Command


@pytest.fixture
def base(runs: Path) -> FinishedRun:
    return find_runs([str(runs / "none")])[0]


def compared(base: FinishedRun, **answers: np.ndarray) -> Comparison:
    made = []
    for name, predicted in answers.items():
        shares = np.eye(len(base.classes))[predicted]
        made.append(replace(base, probabilities=shares, recipe=replace(base.recipe, balance=name)))
    return compare(made, ResamplingOptions(100, 0))


def test_effects_are_differences_to_plain_training(base: FinishedRun) -> None:
    rng = np.random.default_rng(0)
    plain = rng.integers(0, len(base.classes), len(base.targets))
    remedied = np.where(rng.random(len(plain)) < 0.7, base.targets, plain)
    comparison = compared(base, none=plain, oversample=remedied)
    seen = Remedies.of(comparison)
    counts = np.bincount(base.targets)
    assert counts[base.classes.index(seen.rarest)] == counts[counts > 0].min()
    better = next(k for k, one in enumerate(comparison.settings) if one.name == "oversample")
    worse = seen.plain(better)
    assert worse is not None
    assert seen.plain(worse) is None, "plain training is no remedy"
    f1 = [f1_score(base.targets, answer, average="macro") for answer in (remedied, plain)]
    effect = seen.effect(better, worse, "macro_f1")
    assert effect.change == pytest.approx(f1[0] - f1[1], abs=1e-12)
    assert effect.bounds.low <= effect.change <= effect.bounds.high
    assert effect.real
    name, recall, bounds = seen.worst_recall(better)
    recalls = recall_score(base.targets, remedied, average=None)
    assert recall == pytest.approx(recalls.min(), abs=1e-12)
    assert recalls[base.classes.index(name)] == recalls.min()
    assert bounds.low <= recall


def test_a_class_without_test_images_is_not_the_worst(base: FinishedRun) -> None:
    kept = base.targets != base.classes.index("islam")
    part = replace(
        base,
        images=tuple(np.array(base.images)[kept]),
        groups=tuple(np.array(base.groups)[kept]),
        targets=base.targets[kept],
        probabilities=np.eye(len(base.classes))[base.targets[kept]],
    )
    name, recall, bounds = Remedies.of(compare([part], ResamplingOptions(20, 0))).worst_recall(0)
    assert (name != "islam", recall, bounds.low) == (True, 1.0, 1.0)


def test_equal_answers_are_no_effect(base: FinishedRun) -> None:
    seen = Remedies.of(compared(base, none=base.predicted, weights=base.predicted))
    place = next(k for k in (0, 1) if seen.plain(k) is not None)
    effect = seen.effect(place, 1 - place, "macro_f1")
    assert (effect.change, effect.bounds.low, effect.bounds.high, effect.real) == (0, 0, 0, False)


def test_networks_without_remedies_have_no_such_table(base: FinishedRun) -> None:
    other = replace(base, recipe=replace(base.recipe, model="vit"))
    assert Remedies.of(compare([base, other], ResamplingOptions(20, 0))).table() is None


def test_a_remedy_of_another_network_is_not_held_against_this_one(base: FinishedRun) -> None:
    other = replace(base, recipe=replace(base.recipe, model="vit", balance="weights"))
    assert Remedies.of(compare([base, other], ResamplingOptions(20, 0))).table() is None


def test_the_command_draws_it(heritage: Command, runs: Path, tmp_path: Path) -> None:
    done = heritage("compare", f"runs={runs}", f"hydra.run.dir={tmp_path}", "intervals.resamples=40")
    assert done.code == 0, done.err
    assert (tmp_path / "remedies.png").stat().st_size > 0
    table = (tmp_path / "tables" / "remedies.csv").read_text().splitlines()
    assert "macro-F1 against none" in table[0]
    assert {row.partition(",")[0] for row in table[1:]} == {"none", "weights"}
    assert "against none" in (tmp_path / "comparison.html").read_text()
