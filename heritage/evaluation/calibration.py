"""Calibrate a network on its validation split, or read the calibration of its run folder."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from heritage.evaluation.assessment import EvaluationOptions
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet
from heritage.metrics.calibration import Calibration, calibrate
from heritage.runs.calibration import read_calibration, write_calibration
from heritage.runs.files import BEST_CHECKPOINT, CALIBRATION_FILE, variant_file
from heritage.runs.validation_outputs import ValidationOutputs, write_validation_outputs

log = logging.getLogger(__name__)

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def fit_calibration(
    classifier: TrainedClassifier,
    test_set: TestSet,
    predictions: ModelOutputs,
    settings: EvaluationOptions,
    device: torch.device,
) -> tuple[Calibration | None, ModelOutputs | None, list[str]]:
    """Fit on the network's own validation split, or read the calibration of its run folder.

    Returns:
        The calibration, the predictions for validation, and notes for the report.
    """
    if not test_set.own:
        if classifier.model.shift is not None:
            return None, None, ["No calibration: the run folder's is for logits that are not adjusted."]
        variant = calibration_variant(classifier)
        stored = None if classifier.folder is None else read_calibration(classifier.folder, variant)
        if stored is None:
            return None, None, ["No calibration: evaluate the network on its own data set to fit it."]
        return stored, None, []
    if not len(test_set.data.rows("val")):
        return None, None, ["No calibration: the data set has no validation images."]
    validation = (
        predictions if test_set.split == "val" else predict_split(classifier, test_set, "val", device)
    )
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
    notes = []
    if test_set.split == "val":
        notes.append(
            "Temperature and threshold were fitted on these images: calibrated metrics are optimistic."
        )
    if run := run_to_write(classifier):
        variant = calibration_variant(classifier)
        outputs = ValidationOutputs(
            validation.logits, validation.targets, groups, classifier.classes, fingerprint
        )

        def write() -> Path:
            write_validation_outputs(outputs, run, variant)
            return write_calibration(calibration, run, variant)

        notes += written(write, run / variant_file(CALIBRATION_FILE, variant))
    else:
        notes.append(
            "calibration.json was not written: it belongs to the unadjusted best checkpoint of a run folder."
        )
    return calibration, validation, notes


def written(write: Callable[[], Path], file: Path) -> list[str]:
    """Write a file into the run folder; return a note if that is read-only."""
    try:
        log.info("%s", write())
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return [f"{file} was not written: {error.strerror}. Commands that predict do not know this result."]
    return []


def run_to_write(classifier: TrainedClassifier) -> Path | None:
    """Return the run folder to store calibration and audits in: only for its best checkpoint, unadjusted."""
    is_best = classifier.file.name == BEST_CHECKPOINT and classifier.model.shift is None
    return classifier.folder if is_best else None


def calibration_variant(classifier: TrainedClassifier) -> str:
    """Return the name of the calibration that belongs to a classifier's views; empty for one view."""
    return "" if classifier.model.views == "none" else classifier.model.views
