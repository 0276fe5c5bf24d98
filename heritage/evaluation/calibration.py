"""Calibrate a network on its validation split, or read the calibration of its run folder."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from heritage.evaluation.assessment import EvaluationOptions
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.ensemble import Averaged, calibration_variant, folders
from heritage.metrics.calibration import Calibration, calibrate
from heritage.runs.calibration import read_calibration, write_calibration
from heritage.runs.files import BEST_CHECKPOINT, CALIBRATION_FILE, variant_file
from heritage.runs.validation_outputs import (
    ValidationOutputs,
    read_validation_outputs,
    write_validation_outputs,
)


@dataclass(frozen=True)
class Calibrated:
    """The calibration of an evaluation.

    Attributes:
        calibration: The calibration, if there is one.
        validation: The predictions for validation images; None if they were not predicted.
        outputs: The logits that the calibration was fitted on; None if they are not known.
        notes: Notes for the report.
    """

    calibration: Calibration | None
    validation: ModelOutputs | None
    outputs: ValidationOutputs | None
    notes: list[str]


log = logging.getLogger(__name__)

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def fit_calibration(
    networks: Averaged, predictions: ModelOutputs, settings: EvaluationOptions, device: torch.device
) -> Calibrated:
    """Fit on the networks' own validation split, or read the calibration of their run folder."""
    members, test_set = networks.members, networks.test_sets[0]
    variant = calibration_variant(members)
    if not test_set.own:
        if members[0].model.shift is not None:
            return _none("the run folder's is for logits that are not adjusted.")
        for folder in folders(members):
            if (stored := read_calibration(folder, variant)) is not None:
                outputs = read_validation_outputs(folder, members[0].classes, stored, variant)
                return Calibrated(stored, None, outputs, [])
        return _none("evaluate the network on its own data set to fit it.")
    if not len(test_set.data.rows("val")):
        return _none("the data set has no validation images.")
    validation = predictions if test_set.split == "val" else networks.predict("val", device)
    groups = test_set.manifest("val").take(validation.rows).column("group_id")
    fingerprint = test_set.data.manifest.fingerprint
    calibration = calibrate(
        validation.logits,
        validation.targets,
        groups,
        target_precision=settings.target_precision,
        split="val",
        fingerprint=fingerprint,
    )
    outputs = ValidationOutputs(
        validation.logits, validation.targets, groups, members[0].classes, calibration
    )
    notes = []
    if test_set.split == "val":
        notes.append(
            "Temperature, threshold and prediction sets were fitted on these images: calibrated metrics and "
            "the coverage of the sets are optimistic."
        )
    if run := run_to_write(members):
        file = variant_file(CALIBRATION_FILE, variant)
        run = next((one for one in folders(members) if (one / file).is_file()), run)  # in any order

        def write() -> Path:
            write_validation_outputs(outputs, run, variant)
            return write_calibration(calibration, run, variant)

        notes += written(write, run / file)
    else:
        notes.append(
            "calibration.json was not written: it belongs to the unadjusted best checkpoint of a run folder."
        )
    return Calibrated(calibration, validation, outputs, notes)


def _none(why: str) -> Calibrated:
    return Calibrated(None, None, None, [f"No calibration: {why}"])


def written(write: Callable[[], Path], file: Path) -> list[str]:
    """Write a file into the run folder; return a note if that is read-only."""
    try:
        log.info("%s", write())
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return [f"{file} was not written: {error.strerror}. Commands that predict do not know this result."]
    return []


def run_to_write(members: Sequence[TrainedClassifier]) -> Path | None:
    """Return the run folder to store calibration and audits in: the first one's, of best checkpoints."""
    best = all(one.file.name == BEST_CHECKPOINT and one.model.shift is None for one in members)
    return members[0].folder if best else None
