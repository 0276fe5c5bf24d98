"""What may be claimed about a network's probabilities.

A network is called calibrated only if its temperature was measured to help on images that it was not fitted
on, of enough groups. Everything that reports probabilities (reports, the page, the model card, `heritage
predict`) takes its words from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from heritage.core.numbers import counted, percent
from heritage.metrics.calibration import Calibration

MIN_GROUPS = 50
"""Groups from which a calibration error is a measurement: with fewer, chance decides whether it falls."""

MAX_ERROR = 0.1
"""Expected calibration error above which probabilities are not called calibrated, even if it has fallen."""


ClaimCode = Literal[
    "none", "not_measured", "too_few_groups", "no_improvement", "error_too_large", "calibrated"
]
"""What is known, for programs and translations."""


@dataclass(frozen=True, slots=True)
class CalibrationClaim:
    """What is known about a network's probabilities.

    Attributes:
        calibrated: Whether they may be called calibrated.
        short: The same in a few words, for one line.
        sentence: What was measured, in a sentence.
        code: What is known, as a code.
    """

    calibrated: bool
    short: str
    sentence: str
    code: ClaimCode


def calibration_claim(calibration: Calibration | None) -> CalibrationClaim:
    """Decide what may be claimed.

    Args:
        calibration: The fitted calibration, if there is one.
    """
    if calibration is None:
        return CalibrationClaim(
            False,
            "not calibrated: run heritage evaluate",
            "The probabilities are not calibrated and may be too high or too low: no temperature was fitted.",
            "none",
        )
    fitted, held_out = calibration.fitted_on, calibration.held_out
    temperature = f"temperature {calibration.temperature:.3g}"
    fit = f"The {temperature} was fitted on {counted(fitted.images, 'image')}"
    unknown = "the probabilities may be too high or too low."
    if held_out is None and (fitted.groups is None or fitted.groups >= MIN_GROUPS):
        return CalibrationClaim(
            False,
            f"{temperature}, calibration not measured: run heritage evaluate",
            f"{fit} of the {fitted.split} split, and its effect was not measured on other images: {unknown}",
            "not_measured",
        )
    if held_out is None or (fitted.groups or 0) < MIN_GROUPS:
        count = _count(fitted.groups or 0)
        return CalibrationClaim(
            False,
            f"{temperature}, calibration unknown: {count} are too few to measure it",
            f"{fit} of {count}; at least {MIN_GROUPS} are needed to measure its effect: {unknown}",
            "too_few_groups",
        )
    before, after = percent(held_out.ece_before), percent(held_out.ece_after)
    sample = f"{counted(fitted.images, 'image')} of {_count(fitted.groups or 0)}"
    where = f"on held-out groups of the {fitted.split} split ({sample})"
    if not held_out.ece_after < held_out.ece_before:  # also if one of them is NaN
        return CalibrationClaim(
            False,
            f"{temperature}, not calibrated: no improvement on held-out groups",
            f"The {temperature} does not lower the expected calibration error {where}: {before} without it, "
            f"{after} with it.",
            "no_improvement",
        )
    if not held_out.ece_after <= MAX_ERROR:
        return CalibrationClaim(
            False,
            f"{temperature}, not calibrated: error {after} on held-out groups",
            f"The probabilities are not calibrated: even with the {temperature}, the expected calibration "
            f"error {where} is {after} ({before} without it).",
            "error_too_large",
        )
    return CalibrationClaim(
        True,
        f"calibrated with {temperature}",
        f"The probabilities are calibrated: the {temperature} lowers the expected calibration error {where} "
        f"from {before} to {after}.",
        "calibrated",
    )


def threshold_sentence(calibration: Calibration | None) -> str:
    """Return what the fitted threshold is, or that none was found and every prediction is unsure."""
    if calibration is None:
        return "No threshold was fitted: no prediction is marked as unsure."
    target = f"a precision of {percent(calibration.target_precision, 0)}"
    where = f"{counted(calibration.fitted_on.images, 'image')} of the {calibration.fitted_on.split} split"
    if calibration.threshold is None:
        return f"No threshold reaches {target} on {where}: every prediction is unsure."
    return (
        f"Predictions below the threshold of {percent(calibration.threshold)} are unsure; it was chosen for "
        f"{target} on {where}."
    )


def _count(groups: int) -> str:
    return f"{groups:,} {'group' if groups == 1 else 'groups'}"
