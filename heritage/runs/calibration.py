"""Read and write ``calibration.json``: what was fitted on validation, for the commands that predict."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from heritage.core.files import write_text
from heritage.errors import CheckpointError
from heritage.metrics.calibration import Calibration, FittedOn
from heritage.runs.files import CALIBRATION_FILE


def write_calibration(calibration: Calibration, folder: Path) -> Path:
    """Write ``calibration.json`` into a run folder, atomically."""
    path = folder / CALIBRATION_FILE
    write_text(path, json.dumps(asdict(calibration), indent=2) + "\n")
    return path


def read_calibration(folder: Path) -> Calibration | None:
    """Return the calibration of a run folder; None where it has none.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / CALIBRATION_FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        on = found["fitted_on"]
        calibration = Calibration(
            temperature=float(found["temperature"]),
            threshold=None if found["threshold"] is None else float(found["threshold"]),
            target_precision=float(found.get("target_precision", found.get("wished_precision"))),
            fitted_on=FittedOn(str(on["split"]), int(on["images"]), str(on["fingerprint"])),
            ece_before=float(found["ece_before"]),
            ece_after=float(found["ece_after"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"unreadable calibration ({type(error).__name__}: {error})",
            where=path,
            remedy="make it again with `heritage evaluate`",
        ) from error
    if not calibration.temperature > 0:
        raise CheckpointError(
            f"a temperature of {calibration.temperature:g}",
            where=path,
            remedy="make it again with `heritage evaluate`",
        )
    return calibration
