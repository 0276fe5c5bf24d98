"""The choice of a setting: folds of whole groups, the best setting, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from heritage.errors import ConfigError, TrainingError
from heritage.probes import heads
from heritage.probes.heads import (
    FittedCosine,
    FittedLinear,
    FittedNeighbours,
    LogisticProbe,
    NeighbourProbe,
    Probe,
    PrototypeProbe,
    RidgeProbe,
    class_votes,
)
from heritage.probes.logistic import fit_logistic
from heritage.probes.selection import TrainingSplit, cross_validate, fit_probe
from heritage.probes.task import Balance, Classes, LinearFits

PROBES: dict[str, Probe] = {
    "logistic": LogisticProbe([1.0, 0.1, 0.01], [True, False]),
    "ridge": RidgeProbe([1.0, 0.1, 0.01], [True]),
    "prototypes": PrototypeProbe([True, False]),
    "knn": NeighbourProbe([5, 15], [0.07, 0.2], [True]),
}
NAMES = ("a", "b", "c")


def split(groups: int = 40, each: int = 5, *, names: tuple[str, ...] = NAMES, seed: int = 0) -> TrainingSplit:
    """Return images in groups that share a large part of their features, with a class for each group."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    targets = (np.arange(groups) % len(names))[group]
    centres, own = random.normal(size=(len(names), 16)), random.normal(size=(groups, 16)) * 1.5
    features = centres[targets] + own[group] + 0.3 * random.normal(size=(len(group), 16))

    def balance_of(rows: Classes) -> Balance:
        return Balance(np.ones(len(rows)), np.zeros(len(names)))

    labels = np.array([f"object {number}" for number in group])
    return TrainingSplit(features.astype(np.float32), targets, labels, names, balance_of)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_is_chosen_and_fitted(name: str) -> None:
    one, probe = split(), PROBES[name]
    finished: list[tuple[int, int]] = []
    selected = fit_probe(probe, one, 4, seed=0, progress=lambda done, all_: finished.append((done, all_)))
    assert finished == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert selected.validation is not None
    values = [row["macro_f1"] for row in selected.validation.metrics]
    assert selected.setting == probe.settings[int(np.argmax(values))]
    fresh = split(60, seed=0)
    accuracy = (selected.fitted.scores(fresh.features).argmax(axis=1) == fresh.targets).mean()
    assert accuracy > 0.6
    # repeating it changes nothing
    again = fit_probe(probe, one, 4, seed=0).fitted.scores(fresh.features)
    np.testing.assert_array_equal(again, selected.fitted.scores(fresh.features))


def test_folds_keep_groups_together() -> None:
    one = split()
    honest = fit_probe(NeighbourProbe([1], [0.1], [False]), one, 4, seed=0).validation
    leaking = cross_validate(NeighbourProbe([1], [0.1], [False]), one, np.arange(len(one.targets)) % 4)
    assert honest is not None
    assert leaking.metrics[0]["accuracy"] > 0.99  # the nearest image is of the same object
    assert honest.metrics[0]["accuracy"] < 0.9


def test_the_scale_of_ridge_and_prototypes_fits_the_probabilities() -> None:
    one = split(90)
    for name in ("ridge", "prototypes"):
        fitted = fit_probe(PROBES[name], one, 5, seed=0).fitted
        fresh = split(90, seed=0)
        logits = fitted.scores(fresh.features)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = (shares / shares.sum(axis=1, keepdims=True)).max(axis=1).mean()
        accuracy = (logits.argmax(axis=1) == fresh.targets).mean()
        assert abs(confidence - accuracy) < 0.2


def test_fewer_groups_than_folds_take_as_many_folds_as_groups() -> None:
    selected = fit_probe(PROBES["ridge"], split(6), 10, seed=0)
    assert selected.validation is not None
    assert 2 <= selected.validation.folds <= 6


def test_a_class_of_one_group_is_named() -> None:
    one = split(4)  # classes a, b, c, a: two of them have one group
    selected = fit_probe(PROBES["logistic"], one, 2, seed=0)
    assert selected.validation is not None
    assert "cannot predict" in selected.validation.notes[0]
    assert "b, c" in selected.validation.notes[0]
    # they are still classes of the fitted head
    assert set(selected.fitted.scores(one.features).argmax(axis=1)) == {0, 1, 2}


def test_one_group_allows_no_choice() -> None:
    one = split(1, 30, names=("a", "b"))
    both = TrainingSplit(one.features, np.arange(30) % 2, one.groups, one.classes, one.balance_of)
    with pytest.raises(ConfigError, match=r"of one group.*finetune\.penalty=\[0\.01\]"):
        fit_probe(PROBES["ridge"], both, 5, seed=0)
    selected = fit_probe(RidgeProbe([0.1], [True]), both, 5, seed=0)
    assert selected.validation is None
    assert isinstance(selected.fitted, FittedLinear)


def test_unsuitable_training_splits_are_refused() -> None:
    one = split(1, 10)
    with pytest.raises(TrainingError, match="of one class"):
        fit_probe(PROBES["ridge"], one, 5, seed=0)
    broken = split()
    broken.features[3, 2] = np.nan
    with pytest.raises(TrainingError, match="features of 1 image are not finite"):
        fit_probe(PROBES["ridge"], broken, 5, seed=0)


def test_a_class_whose_images_have_no_features_is_named() -> None:
    one = split(names=("a", "b"))
    wider = TrainingSplit(one.features, one.targets, one.groups, ("a", "b", "c", "d"), one.balance_of)
    with pytest.raises(TrainingError, match=r"no training image of c, d has features; .*data\.classes"):
        fit_probe(PROBES["prototypes"], wider, 5, seed=0)


def test_a_fit_that_does_not_converge_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    probe, one = LogisticProbe([1e-3], [True]), split()
    task = one.task(np.arange(len(one.targets)))
    fitted = probe.fit(task, probe.settings[0])
    assert isinstance(fitted, FittedLinear)
    assert fitted.scaled(2.0).converged

    def stopped(*arguments: Any, **options: Any) -> LinearFits:
        return fit_logistic(*arguments, **options, max_iterations=2)

    monkeypatch.setattr(heads, "fit_logistic", stopped)
    fitted = probe.fit(task, probe.settings[0])
    assert isinstance(fitted, FittedLinear)
    assert not fitted.scaled(2.0).converged


def test_kinds_of_heads() -> None:
    kinds = {name: type(fit_probe(probe, split(), 3, seed=0).fitted) for name, probe in PROBES.items()}
    assert kinds == {"logistic": FittedLinear, "ridge": FittedLinear, "prototypes": FittedCosine,
                     "knn": FittedNeighbours}  # fmt: skip


def test_votes_of_classes_follow_weights_and_the_shift() -> None:
    targets = np.array([0, 0, 0, 1])
    votes = class_votes(targets, np.array([1.0, 1.0, 1.0, 3.0]), np.zeros(2))
    np.testing.assert_allclose(votes, [0.5, 1.5])
    adjusted = class_votes(targets, np.ones(4), np.log([0.75, 0.25]))
    np.testing.assert_allclose(adjusted, [0.5, 1.5])
