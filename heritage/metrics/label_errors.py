"""Suspected label errors by confident learning.

Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021. An image
is counted in cell (i, j) of the *confident joint* if its label is i, and j is the most probable of the
classes whose probability reaches the class threshold t_j, the mean probability of class j over images
labelled j (equations 1 and 2). Suspected are the images off the diagonal (their "confident learning" method)
whose most probable class is not their label, in ascending order of the probability of the label.

The authors' package cleanlab returns the same images in the same order, but depends on pandas and takes
seconds to import.

Probabilities must come from a network that was not trained on the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heritage.core.csv_files import csv_of_records
from heritage.core.files import write_text
from heritage.core.manifest import Manifest
from heritage.core.numbers import percent
from heritage.core.overrides import COLUMNS, SUGGESTED

LABEL_ERRORS_FILE = "label_errors.csv"

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelErrors:
    """Images whose label is probably wrong.

    Attributes:
        rows: Rows of the images, the least probable label first, (M,).
        suggested: The class that the network is confident of, (M,).
        joint: The confident joint: labels (rows) by probable true classes (columns), (K, K).
    """

    rows: Targets
    suggested: Targets
    joint: npt.NDArray[np.int64]


def class_thresholds(probabilities: Floats, targets: Targets) -> Floats:
    """Return the mean probability of each class over images with this label, (K,); infinity without any."""
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(targets)), targets]
    support = np.bincount(targets, minlength=classes)
    sums = np.bincount(targets, weights=own, minlength=classes)
    return np.where(support > 0, sums / np.maximum(support, 1), np.inf)


def find_label_errors(probabilities: Floats, targets: Targets) -> LabelErrors:
    """Find labels that are probably wrong.

    Args:
        probabilities: Shape (N, K).
        targets: The labels, (N,).
    """
    classes = probabilities.shape[1]
    reached = probabilities >= class_thresholds(probabilities, targets)
    probable = np.where(reached, probabilities, -1).argmax(axis=1)
    counted = reached.any(axis=1)
    cells = targets[counted] * classes + probable[counted]
    joint = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    own = probabilities[np.arange(len(targets)), targets]
    rows = np.flatnonzero(counted & (probable != targets) & (own < probabilities.max(axis=1)))
    rows = rows[np.argsort(own[rows], kind="stable")]
    return LabelErrors(rows, probable[rows], joint)


def write_label_errors(
    errors: LabelErrors, probabilities: Floats, manifest: Manifest, path: Path
) -> list[dict[str, str]]:
    """Write suspected label errors as suggestions, in the format of ``overrides.csv`` but without decisions.

    Used as a file of overrides, it changes nothing until a person writes ``relabel``, ``drop`` or ``keep``
    into the column ``decision``; the column ``class`` has the suggested class.

    Args:
        errors: The suspected errors.
        probabilities: Shape (N, K).
        manifest: The images, N rows.
        path: The file to write.

    Returns:
        The rows, one mapping each.
    """
    rows = [
        {
            **raw_file(manifest, row),
            "decision": "",
            "class": manifest.classes[to],
            "note": f"{SUGGESTED}labelled {manifest.classes[int(manifest.targets[row])]} "
            f"({percent(probabilities[row, manifest.targets[row]])}), "
            f"looks like {manifest.classes[to]} ({percent(probabilities[row, to])})",
        }
        for row, to in zip(errors.rows.tolist(), errors.suggested.tolist(), strict=True)
    ]
    write_text(path, csv_of_records(COLUMNS, rows))
    return rows


def raw_file(manifest: Manifest, row: int) -> dict[str, str]:
    """Return ``file`` and ``sha256`` of the raw photograph of an image, for ``overrides.csv``.

    A data set that was not curated does not record it; the image itself is then the photograph.
    """
    columns: Sequence[str] = manifest.table.column_names
    if "raw_file" in columns:
        checksum = manifest.table["raw_sha256"][row].as_py() if "raw_sha256" in columns else None
        return {"file": str(manifest.table["raw_file"][row].as_py()), "sha256": (checksum or "")[:12]}
    return {"file": str(manifest.table["file"][row].as_py()), "sha256": ""}
