"""Write ``predictions.parquet``: the predictions of a network, one row per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heritage.core.files import atomic_path
from heritage.core.manifest import Manifest
from heritage.runs.files import PREDICTIONS_FILE

_KEPT = ("image_id", "file", "class", "museum", "object_id", "group_id", "split")


def predictions_table(
    manifest: Manifest, targets: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> pa.Table:
    """Return predictions beside columns of the manifest.

    Args:
        manifest: The images, N rows.
        targets: Shape (N,).
        probabilities: Shape (N, K).

    Returns:
        Columns of the manifest, then ``predicted``, ``confidence``, ``correct`` and one ``p_<class>``
        for each class.
    """
    classes = np.array(manifest.classes, dtype=object)
    predicted = probabilities.argmax(axis=1)
    known = [name for name in _KEPT if name in manifest.table.column_names]
    columns = {name: manifest.table[name] for name in known}
    columns |= {
        "predicted": pa.array(classes[predicted], pa.string()),
        "confidence": pa.array(probabilities.max(axis=1)),
        "correct": pa.array(predicted == targets),
    }
    columns |= {f"p_{name}": pa.array(probabilities[:, k]) for k, name in enumerate(manifest.classes)}
    return pa.table(columns)


def write_predictions(table: pa.Table, folder: Path) -> Path:
    """Write ``predictions.parquet`` atomically and return its path."""
    path = folder / PREDICTIONS_FILE
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return path
