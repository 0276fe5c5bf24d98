"""Read and write ``calibration.json``: temperature and threshold for the commands that predict.

Files of earlier versions lack the number of groups and the errors on held-out groups, so nothing is claimed
about their effect (`heritage.metrics.calibration_claim`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from heritage.core.files import write_text
from heritage.core.json_files import read_json_file
from heritage.errors import CheckpointError
from heritage.metrics.calibration import Calibration, FittedOn, HeldOut
from heritage.metrics.prediction_sets import HIGHEST, LOWEST, PredictionSets
from heritage.runs.file_types import CalibrationRecord
from heritage.runs.files import CALIBRATION_FILE, variant_file

_COLDEST, _HOTTEST = 0.01, 100.0  # fitted ones are from 0.05 to 20


def write_calibration(calibration: Calibration, folder: Path, variant: str = "") -> Path:
    """Write ``calibration.json`` into a run folder, atomically.

    Args:
        calibration: What was fitted.
        folder: The run folder.
        variant: The prediction that it is for, if not that of one network and one view: a file of that name.
    """
    path = folder / variant_file(CALIBRATION_FILE, variant)
    write_text(path, json.dumps(asdict(calibration), indent=2) + "\n")
    return path


def read_calibration(folder: Path, variant: str = "") -> Calibration | None:
    """Return the calibration of a run folder; None if there is no file.

    Args:
        folder: The run folder.
        variant: As for `write_calibration`.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / variant_file(CALIBRATION_FILE, variant)
    if not path.is_file():
        return None
    try:
        record = read_json_file(path, CalibrationRecord)
        images = record["fitted_on"]
        calibration = Calibration(
            temperature=float(record["temperature"]),
            threshold=None if record["threshold"] is None else float(record["threshold"]),
            target_precision=float(record.get("target_precision", record.get("wished_precision"))),
            fitted_on=FittedOn(
                str(images["split"]),
                int(images["images"]),
                str(images["fingerprint"]),
                None if images.get("groups") is None else int(images["groups"]),
            ),
            ece_before=float(record["ece_before"]),
            ece_after=float(record["ece_after"]),
            held_out=_held_out(record.get("held_out")),
            method=str(record.get("method", "temperature")),
            sets=_sets(record.get("sets")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"unreadable calibration ({type(error).__name__}: {error})",
            where=path,
            remedy="fit it again with `heritage evaluate`",
        ) from error
    if not _COLDEST <= calibration.temperature <= _HOTTEST:
        raise CheckpointError(
            f"the temperature is {calibration.temperature:g}, not a number from {_COLDEST:g} to {_HOTTEST:g}",
            where=path,
            remedy="fit it again with `heritage evaluate`",
        )
    if calibration.threshold is not None and not 0 <= calibration.threshold <= 1:
        raise CheckpointError(
            f"the threshold is {calibration.threshold:g}, not a probability",
            where=path,
            remedy="fit it again with `heritage evaluate`",
        )
    return calibration


def _sets(record: Any) -> PredictionSets | None:
    """Return the thresholds of prediction sets; None in files of earlier versions.

    Raises:
        ValueError: A threshold is no probability, or some are missing.
    """
    if record is None:
        return None
    overall, by_class = record["thresholds"], record["class_thresholds"]
    for thresholds in (overall, *by_class):
        if len(thresholds) != HIGHEST - LOWEST + 1:
            raise ValueError("prediction sets need a threshold for each percentage")
        if not all(one is None or 0 <= one <= 1 for one in thresholds):
            raise ValueError("a threshold of prediction sets is no probability")
    if len(by_class) != len(record["class_groups"]):
        raise ValueError("prediction sets have thresholds for another number of classes")
    return PredictionSets(
        record["groups"], tuple(record["class_groups"]), tuple(overall), tuple(map(tuple, by_class))
    )


def _held_out(record: Any) -> HeldOut | None:
    """Return the errors on held-out groups; None in files of earlier versions."""
    if record is None:
        return None
    return HeldOut(int(record["folds"]), float(record["ece_before"]), float(record["ece_after"]))
