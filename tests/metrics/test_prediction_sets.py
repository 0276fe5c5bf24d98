"""Prediction sets: a hand-computed example, and the promised coverage on simulated objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heritage.core.numbers import percent
from heritage.errors import CheckpointError
from heritage.evaluation.prediction_sets import measured_sets
from heritage.metrics.calibration import calibrate, softmax
from heritage.metrics.prediction_sets import (
    fit_prediction_sets,
    groups_needed,
    members,
    percentage,
    set_rule,
)
from heritage.metrics.prior import shift_to_prior
from heritage.metrics.set_scores import set_scores
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.calibration import read_calibration, write_calibration

CLASSES = ("a", "b", "c")
Array = np.ndarray


def of_true_class(values: Sequence[float]) -> Array:
    """Probabilities of three classes; the first is the true one."""
    return np.array([[value, 0.7 * (1 - value), 0.3 * (1 - value)] for value in values])


def test_the_threshold_of_a_hand_computed_example() -> None:
    # groups: A {0.9, 0.3}, B {0.8}, C {0.6}, D {0.5}; each has weight 1/5, each image of A 1/10.
    # sorted: 0.9 (0.1), 0.8 (0.3), 0.6 (0.5), 0.5 (0.7), 0.3 (0.8): sums of weights in brackets
    probabilities = of_true_class([0.9, 0.3, 0.8, 0.6, 0.5])
    sets = fit_prediction_sets(probabilities, np.zeros(5, dtype=np.int64), ["A", "A", "B", "C", "D"])
    assert sets.groups == 4
    assert sets.class_groups == (4, 0, 0)
    expected = {0.5: 0.6, 0.51: 0.5, 0.7: 0.5, 0.71: 0.3, 0.8: 0.3, 0.81: None, 0.99: None}
    for coverage, threshold in expected.items():
        assert sets.of(coverage, by_class=False) == (threshold,) * 3
    assert sets.of(0.8, by_class=True) == (0.3, None, None)
    rule = set_rule(sets, 0.8, CLASSES, by_class=False)
    inside = members(
        np.array([[0.5, 0.3, 0.2], [0.29, 0.29, 0.28], [0.98, 0.01, 0.01]]), rule.thresholds or ()
    )
    # the most probable class is in every set
    assert inside.tolist() == [[True, True, False], [True, False, False], [True, False, False]]


def test_too_few_groups_give_no_set_and_the_number_that_is_needed() -> None:
    assert [groups_needed(coverage) for coverage in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]
    assert [percentage(coverage) for coverage in (0.9, 0.901, 0.29 + 0.61, 0.1, 1.0)] == [90, 91, 90, 50, 99]
    probabilities = of_true_class([0.9] * 20)
    targets = np.zeros(20, dtype=np.int64)
    few = fit_prediction_sets(probabilities, targets, [str(row % 8) for row in range(20)])
    rule = set_rule(few, 0.9, CLASSES, by_class=False)
    assert rule.thresholds is None
    assert rule.fault is not None
    assert "at least 9 groups (there are: 8 groups)" in rule.fault
    enough = fit_prediction_sets(probabilities, targets, [str(row % 9) for row in range(20)])
    assert set_rule(enough, 0.9, CLASSES, by_class=False).thresholds == (0.9,) * 3
    by_class = set_rule(enough, 0.9, CLASSES, by_class=True)
    assert by_class.thresholds is None
    assert "9 groups of each class (there are: b 0, c 0)" in str(by_class.fault)


def objects(random: np.random.Generator, count: int) -> tuple[Array, Array, list[str]]:
    """Objects of 1 to 8 photographs with a common error; a third of them is of the rare, difficult class."""
    probabilities, targets, groups = [], [], []
    for number in range(count):
        target = int(random.choice(3, p=[0.5, 0.3, 0.2]))
        strength = random.normal(2.0 if target < 2 else 0.5, 1.0)
        views = 1 if strength > 2 else int(random.integers(1, 9))  # difficult objects have more photographs
        logits = random.normal(0, 0.7, (views, 3)) + random.normal(0, 1, 3)
        logits[:, target] += strength
        probabilities.append(softmax(logits))
        targets += [target] * views
        groups += [str(number)] * views
    return np.concatenate(probabilities), np.array(targets), groups


@pytest.mark.parametrize("by_class", [False, True])
def test_simulated_objects_reach_the_promised_coverage(by_class: bool) -> None:
    random = np.random.default_rng(0)
    coverages, classes = [], []
    for _ in range(60):
        sets = fit_prediction_sets(*objects(random, 120))
        rule = set_rule(sets, 0.8, CLASSES, by_class=by_class)
        assert rule.thresholds is not None
        probabilities, targets, groups = objects(random, 150)
        inside = probabilities >= np.array(rule.thresholds)  # without the most probable class, which adds
        overall, by = set_scores(inside, targets, groups, resamples=2, seed=0)
        coverages.append(overall.coverage)
        classes.append([one.coverage for one in by])
    # of a new object's photograph; the standard error of the mean is below 0.01
    assert np.mean(coverages) == pytest.approx(0.8, abs=0.025)
    worst = np.mean(classes, axis=0).min()
    assert worst > 0.77 if by_class else worst < 0.7


def test_coverage_and_size_count_each_group_once() -> None:
    inside = np.array([[True, False], [True, True], [False, True], [False, True]])
    overall, (first, second) = set_scores(
        inside, np.array([0, 0, 0, 1]), ["A", "A", "B", "C"], resamples=10, seed=0
    )
    assert overall.coverage == pytest.approx((1 + 0 + 1) / 3)
    assert overall.size == pytest.approx((1.5 + 1 + 1) / 3)
    assert (first.coverage, first.groups, second.coverage, second.groups) == (0.5, 2, 1.0, 1)
    assert np.isnan(first.coverage_interval.low), "too few groups"


def test_the_calibration_stores_them_and_earlier_files_have_none(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    probabilities, targets, groups = objects(random, 40)
    fitted = calibrate(
        np.log(probabilities), targets, groups, target_precision=0.9, split="val", fingerprint="f"
    )
    path = write_calibration(fitted, tmp_path)
    assert read_calibration(tmp_path) == fitted
    record = json.loads(path.read_text())
    for damage in ({"thresholds": [0.5]}, {"class_groups": [1]}, {"thresholds": [2.0] * 50}, {"groups": "x"}):
        path.write_text(json.dumps(record | {"sets": record["sets"] | damage}))
        with pytest.raises(CheckpointError, match="unreadable calibration"):
            read_calibration(tmp_path)
    del record["sets"]
    path.write_text(json.dumps(record))
    earlier = read_calibration(tmp_path)
    assert earlier == replace(fitted, sets=None)
    rule = DecisionRule.of(earlier).with_sets(0.9, CLASSES)
    assert rule.prediction_set(probabilities[0], CLASSES) is None
    assert "heritage evaluate fits them" in rule.notes()[-1]


def test_a_decision_rule_gives_sets_only_for_what_they_were_fitted_for() -> None:
    probabilities, targets, groups = objects(np.random.default_rng(2), 60)
    fitted = calibrate(
        np.log(probabilities), targets, groups, target_precision=0.5, split="val", fingerprint="f"
    )
    rule = DecisionRule.of(fitted).with_sets(0.9, CLASSES)
    found = rule.prediction_set(np.array([0.2, 0.75, 0.05]), CLASSES)
    assert found is not None
    assert found[0] == "b"
    assert rule.prediction_set(np.array([1.0, 0.0, 0.0]), CLASSES) == ("a",)
    other = DecisionRule.of(fitted).with_sets(0.9, CLASSES, tta="flip")
    assert other.prediction_set(probabilities[0], CLASSES) is None
    assert other.sets is not None
    assert "tta=none, not tta=flip" in str(other.sets.fault)
    assert DecisionRule.of(fitted).prediction_set(probabilities[0], CLASSES) is None
    prior = np.full(3, 1 / 3)
    moved = shift_to_prior(fitted, np.log(probabilities), targets, groups, prior)
    named = dict(zip(CLASSES, prior.tolist(), strict=True))
    without = DecisionRule.of(fitted).under(moved, named)
    assert without.sets is None
    for under in (rule.under(moved, named), without.with_sets(0.9, CLASSES)):  # before and after the prior
        assert under.prediction_set(probabilities[0], CLASSES) is None
        assert under.sets is not None
        assert under.notes()[0] == under.sets.fault
        assert "class frequencies of validation" in str(under.sets.fault)


def test_the_coverage_that_is_named_is_the_one_of_the_thresholds() -> None:
    sets = fit_prediction_sets(*objects(np.random.default_rng(4), 10))
    rule = set_rule(sets, 0.905, CLASSES, by_class=False)
    assert rule.coverage == 0.91
    assert "a coverage of 91 % needs validation images of at least 11 groups" in str(rule.fault)


def test_the_report_gives_coverage_and_size_or_why_there_are_no_sets() -> None:
    random = np.random.default_rng(3)
    sets = fit_prediction_sets(*objects(random, 60))
    probabilities, targets, groups = objects(random, 60)
    options = {"coverage": 0.9, "by_class": False, "resamples": 50, "seed": 0}
    result = measured_sets(sets, probabilities, targets, groups, CLASSES, **options)  # type: ignore[arg-type]
    assert result.overall is not None
    low, high = result.overall.coverage_interval.low, result.overall.coverage_interval.high
    assert 0 < low <= result.overall.coverage <= high <= 1
    assert len(result.rows) == 3
    assert f"{percent(result.overall.coverage)} ({percent(low)}–{percent(high)})" in result.sentence
    assert set(result.record()["classes"]) == set(CLASSES)
    none = measured_sets(None, probabilities, targets, groups, CLASSES, **options)  # type: ignore[arg-type]
    assert none.rows == []
    assert none.sentence.startswith("No prediction sets")
