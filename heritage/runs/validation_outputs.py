"""The validation logits that a calibration was fitted on, ``validation.parquet`` beside ``calibration.json``.

What is fitted on validation can be fitted again from them, such as the threshold under other class
frequencies (`heritage.metrics.prior`), without the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heritage.core.files import atomic_path
from heritage.core.parquet_files import read_parquet
from heritage.errors import CheckpointError
from heritage.metrics.calibration import Calibration
from heritage.runs.files import VALIDATION_FILE, variant_file

_FINGERPRINT = b"heritage_fingerprint"
_LOGIT = "z_"


@dataclass(frozen=True)
class ValidationOutputs:
    """Logits of validation images.

    Attributes:
        logits: Shape (N, K).
        targets: Class positions, (N,).
        groups: The group of each image, length N.
        classes: The class list, in the order of the logits, K.
        calibration: What was fitted on them.
    """

    logits: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    groups: Sequence[str]
    classes: tuple[str, ...]
    calibration: Calibration


def write_validation_outputs(outputs: ValidationOutputs, folder: Path, variant: str = "") -> Path:
    """Write ``validation.parquet`` into a run folder, atomically."""
    columns: dict[str, Any] = {
        "class": [outputs.classes[k] for k in outputs.targets.tolist()],
        "group_id": [str(group) for group in outputs.groups],
    }
    columns |= {f"{_LOGIT}{name}": outputs.logits[:, k] for k, name in enumerate(outputs.classes)}
    table = pa.table(columns).replace_schema_metadata(
        {_FINGERPRINT: outputs.calibration.fitted_on.fingerprint.encode()}
    )
    path = folder / variant_file(VALIDATION_FILE, variant)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return path


def read_validation_outputs(
    folder: Path, classes: Sequence[str], calibration: Calibration, variant: str = ""
) -> ValidationOutputs | None:
    """Return the validation logits that a calibration of a run folder was fitted on.

    Args:
        folder: The run folder.
        classes: The class list, K.
        calibration: The calibration.
        variant: As for `heritage.runs.calibration.read_calibration`.

    Returns:
        The logits; None without a file, or with one of another calibration.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / variant_file(VALIDATION_FILE, variant)
    if not path.is_file():
        return None
    remedy = "write it again with `heritage evaluate`"
    try:
        table = read_parquet(path)
        positions = {name: k for k, name in enumerate(classes)}
        targets = np.array([positions[name] for name in table["class"].to_pylist()], dtype=np.int64)
        logits = np.column_stack([table[f"{_LOGIT}{name}"].to_numpy() for name in classes])
        groups = [str(group) for group in table["group_id"].to_pylist()]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise CheckpointError(
            f"unreadable ({type(error).__name__}: {error})", where=path, remedy=remedy
        ) from error
    if logits.dtype.kind != "f" or not np.isfinite(logits).all():
        raise CheckpointError("its logits are not finite numbers", where=path, remedy=remedy)
    fingerprint = ((table.schema.metadata or {}).get(_FINGERPRINT) or b"").decode(errors="replace")
    fitted = calibration.fitted_on
    if (len(targets), fingerprint) != (fitted.images, fitted.fingerprint):
        return None
    return ValidationOutputs(logits.astype(np.float32), targets, groups, tuple(classes), calibration)
