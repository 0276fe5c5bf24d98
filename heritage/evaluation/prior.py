"""Predictions of an evaluation under another prior, and the table of forward to backward long tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from heritage.core.numbers import counted, percent
from heritage.errors import ConfigError
from heritage.evaluation.assessment import EvaluationOptions
from heritage.evaluation.calibration import Calibrated
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.prior import ESTIMATE, prior_shares, read_prior, require_validation, shares_text
from heritage.metrics.bootstrap import FEW_GROUPS
from heritage.metrics.calibration import Floats
from heritage.metrics.long_tails import TailRow, long_tails
from heritage.metrics.prior import (
    MIN_IMAGES,
    class_shares,
    estimate_with_intervals,
    prior_factors,
    reweighted,
    shift_to_prior,
)
from heritage.runs.validation_outputs import ValidationOutputs

_LARGEST_RATIO = 1_000_000


@dataclass(frozen=True)
class UnderPrior:
    """What an evaluation goes on with.

    Attributes:
        classifier: The network; with a prior, its logits are shifted to it.
        predictions: The predictions for the test images.
        calibrated: Calibration and validation predictions.
        record: The prior as plain data for ``metrics.json``; None without one.
    """

    classifier: TrainedClassifier
    predictions: ModelOutputs
    calibrated: Calibrated
    record: dict[str, Any] | None = None


def under_prior(
    prior: object,
    classifier: TrainedClassifier,
    predictions: ModelOutputs,
    calibrated: Calibrated,
    groups: list[Any],
) -> UnderPrior:
    """Bring predictions to a prior.

    Args:
        prior: ``uniform``, ``estimate``, shares by class, or None.
        classifier: The network.
        predictions: The predictions for the test images.
        calibrated: Their calibration.
        groups: The groups of the test images.

    Raises:
        ConfigError: The prior is faulty, or validation or test images are too few for it.
    """
    if prior is None:
        return UnderPrior(classifier, predictions, calibrated)
    wanted = read_prior(prior, classifier.classes, estimate=True)
    outputs = require_validation(calibrated.outputs, prior)
    record: dict[str, Any] = {}
    if wanted == ESTIMATE:
        shares, record = _estimated(predictions, outputs, groups)
    else:
        shares = prior_shares(wanted, outputs)
    moved = shift_to_prior(outputs.calibration, outputs.logits, outputs.targets, outputs.groups, shares)
    shift = moved.shift().astype(np.float32)
    text = shares_text(shares, classifier.classes)
    note = (
        f"Predictions and probabilities are for the class frequencies {text}. Threshold and calibration "
        "errors of validation are those of images weighted to them; test metrics are not weighted. "
        "Prediction sets are promised for the frequencies of validation, and are not measured."
    )
    notes = [*calibrated.notes, note, *record.pop("notes", [])]
    validation = calibrated.validation
    return UnderPrior(
        replace(classifier, model=classifier.model.replaced(shift=torch.from_numpy(shift))),
        predictions._replace(logits=predictions.logits + shift),
        replace(
            calibrated,
            calibration=moved.calibration,
            validation=None if validation is None else validation._replace(logits=validation.logits + shift),
            notes=notes,
        ),
        {"option": prior if isinstance(prior, str) else "shares",
         "shares": dict(zip(classifier.classes, shares.tolist(), strict=True))} | record,
    )  # fmt: skip


def _estimated(
    predictions: ModelOutputs, outputs: ValidationOutputs, groups: list[Any]
) -> tuple[Floats, dict[str, Any]]:
    count = len(predictions.targets)
    if count < MIN_IMAGES:
        raise ConfigError(
            f"{counted(count, 'image')}, too few to estimate class frequencies: at least {MIN_IMAGES}",
            where=f"prior={ESTIMATE}",
            remedy="give the shares, or evaluate more images",
        )
    source = class_shares(outputs.targets, len(outputs.classes))
    found = estimate_with_intervals(_own_prior(predictions, outputs), source, groups)
    intervals = {
        name: [float(low), float(high)]
        for name, low, high in zip(outputs.classes, found.low, found.high, strict=True)
    }
    text = ", ".join(f"{name} {percent(low)} – {percent(high)}" for name, (low, high) in intervals.items())
    bounds = f"95 % intervals over groups: {text}"
    if (known := len(set(groups))) < FEW_GROUPS:
        intervals, bounds = {}, f"there are no intervals, as the images are of {counted(known, 'group')} only"
    note = (
        f"The class frequencies were estimated from the predictions for {counted(count, 'image')}, without "
        f"their labels (EM); {bounds}."
    )
    # A class without a trace keeps a share above 0: factors are logarithms later.
    shares = np.maximum(found.shares, 1e-6)
    return shares / shares.sum(), {"intervals": intervals, "notes": [note]}


def _own_prior(predictions: ModelOutputs, outputs: ValidationOutputs) -> Floats:
    """Return the test images' probabilities for the class frequencies of validation, (N, K)."""
    source = class_shares(outputs.targets, len(outputs.classes))
    fitted = outputs.calibration.apply(outputs.logits)
    factors = prior_factors(fitted, outputs.targets, source, source)
    return reweighted(outputs.calibration.apply(predictions.logits), factors)


def require_ratios(tails: Sequence[int]) -> None:
    """Check the ratios of long tails.

    Raises:
        ConfigError: One is not from 2 to a million.
    """
    if any(not 2 <= ratio <= _LARGEST_RATIO for ratio in tails):
        raise ConfigError(
            f"a ratio is from 2 to {_LARGEST_RATIO:,}",
            where=f"report.tails={list(tails)}"[:200],
            remedy="use report.tails=[50,25,10,5,2]",
        )


def tail_table(
    predictions: ModelOutputs, calibrated: Calibrated, settings: EvaluationOptions, groups: list[Any]
) -> list[TailRow]:
    """Return the table of long tails; empty unless ``report.tails`` lists ratios.

    Args:
        predictions: The predictions for the test images, without another prior.
        calibrated: Their calibration.
        settings: The report's options.
        groups: The groups of the test images.

    Raises:
        ConfigError: There are no validation logits.
    """
    if not settings.tails:
        return []
    if calibrated.outputs is None:
        raise ConfigError(
            "no validation logits, from which the network's own prior is fitted",
            where=f"report.tails={list(settings.tails)}",
            remedy="evaluate the network on its own data set once, or leave report.tails out",
        )
    outputs = require_validation(calibrated.outputs, "uniform")
    return long_tails(
        outputs.calibration.apply(predictions.logits),
        _own_prior(predictions, outputs),
        predictions.targets,
        groups,
        class_shares(outputs.targets, len(outputs.classes)),
        ratios=settings.tails,
        resamples=settings.resamples,
        seed=settings.seed,
    )
