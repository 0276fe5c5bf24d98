"""What may be claimed about probabilities, from hand-made calibrations."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from heritage.metrics.calibration import Calibration, FittedOn, HeldOut
from heritage.metrics.calibration_claim import MIN_GROUPS, calibration_claim, threshold_sentence
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.calibration import read_calibration, write_calibration
from heritage.runs.files import CALIBRATION_FILE


def fitted(groups: int | None, held_out: HeldOut | None, threshold: float | None = 0.7) -> Calibration:
    return Calibration(1.5, threshold, 0.95, FittedOn("val", 120, "f", groups), 0.1, 0.01, held_out)


@pytest.mark.parametrize(
    ("groups", "before", "after", "calibrated", "words"),
    [
        (MIN_GROUPS, 0.08, 0.03, True, "from 8.0 % to 3.0 %"),
        (MIN_GROUPS - 1, 0.08, 0.03, False, "120 images of 49 groups; at least 50 are needed"),
        (200, 0.03, 0.03, False, "does not lower"),
        (200, 0.03, 0.04, False, "3.0 % without it, 4.0 % with it"),
        (200, 0.4, float("nan"), False, "does not lower"),
        (200, 0.4, 0.2, False, "is 20.0 % (40.0 % without it)"),
    ],
)
def test_calibration_is_claimed_only_where_it_was_measured_on_enough_groups_and_helped(
    groups: int, before: float, after: float, calibrated: bool, words: str
) -> None:
    claim = calibration_claim(fitted(groups, HeldOut(5, before, after)))
    assert claim.calibrated is calibrated
    assert words in claim.sentence
    assert claim.short.startswith("calibrated with") is calibrated


def test_without_a_measurement_nothing_is_claimed() -> None:
    assert not calibration_claim(None).calibrated
    one = calibration_claim(fitted(1, None))
    assert "120 images of 1 group;" in one.sentence
    assert not calibration_claim(fitted(300, None)).calibrated


def test_a_calibration_of_an_earlier_version_keeps_its_temperature_without_a_claim(tmp_path: Path) -> None:
    record = asdict(fitted(200, HeldOut(5, 0.08, 0.03)))
    del record["held_out"], record["method"], record["fitted_on"]["groups"]
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(record))
    calibration = read_calibration(tmp_path)
    assert calibration is not None
    assert calibration.temperature == 1.5
    claim = calibration_claim(calibration)
    assert not claim.calibrated
    assert claim.short == "temperature 1.5, calibration not measured: run heritage evaluate"


def test_without_a_threshold_every_prediction_is_unsure(tmp_path: Path) -> None:
    write_calibration(calibration := fitted(200, HeldOut(5, 0.08, 0.03), threshold=None), tmp_path)
    rule = DecisionRule.of(read_calibration(tmp_path))
    assert rule.unsure(1.0)
    words = (
        "No threshold reaches a precision of 95 % on 120 images of the val split: every prediction is unsure."
    )
    assert threshold_sentence(calibration) == words
    assert rule.notes() == [words]
    assert "every prediction is unsure" in str(rule)
    chosen = rule.with_threshold(0.6)
    assert not chosen.unsure(0.6)
    assert chosen.unsure(0.59)
    assert chosen.notes() == []
    assert chosen.threshold_sentence == "Unsure below 60.0 % probability."


def test_rules_have_the_identity_that_version_0_1_recorded() -> None:
    assert DecisionRule().identity == "not calibrated: run heritage evaluate; never unsure"
    rule = DecisionRule.of(fitted(None, None))
    assert rule.identity == "calibrated with temperature 1.5; unsure below 70.0 % probability"
    assert DecisionRule.of(fitted(None, None, threshold=None)).identity.endswith("; always unsure")


def test_test_time_augmentation_is_not_covered_by_the_calibration() -> None:
    rule = DecisionRule.of(fitted(200, HeldOut(5, 0.08, 0.03)))
    assert rule.notes() == []
    (note,) = rule.notes("flip")
    assert "tta=flip" in note
