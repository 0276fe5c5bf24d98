"""Labels that are probably wrong: confident learning.

Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021. An image
is counted in cell (i, j) of the *confident joint* when its label is i, and j is the likeliest of the classes
whose probability for it reaches that class's own average: t_j, the mean probability of class j over images
labelled j (equations 1 and 2). Suspects are the images off the diagonal (their "confident learning" method)
for which another class than their label is likeliest, worst first by the probability of the label.

The authors' package cleanlab finds the same images in the same order; it would bring pandas and some seconds
of start-up for what is one table of counts here.

Probabilities must come from a network that was not trained on the images.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heritage.core.files import write_text
from heritage.core.manifest import Manifest
from heritage.core.overrides import COLUMNS

SUSPECTS_FILE = "label_errors.csv"

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Suspects:
    """Images whose label the network confidently contradicts.

    Attributes:
        rows: Positions of the images, the least believable label first, (M,).
        suggested: The class that the network is confident of, (M,).
        joint: The confident joint: labels (rows) by what they probably are (columns), (K, K).
    """

    rows: Targets
    suggested: Targets
    joint: npt.NDArray[np.int64]


def class_thresholds(probabilities: Floats, targets: Targets) -> Floats:
    """Return each class's mean probability over the images labelled so, (K,); infinity without images."""
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(targets)), targets]
    support = np.bincount(targets, minlength=classes)
    sums = np.bincount(targets, weights=own, minlength=classes)
    return np.where(support > 0, sums / np.maximum(support, 1), np.inf)


def suspects(probabilities: Floats, targets: Targets) -> Suspects:
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
    return Suspects(rows, probable[rows], joint)


def write_suspects(
    found: Suspects, probabilities: Floats, manifest: Manifest, path: Path
) -> list[dict[str, str]]:
    """Write suspects as decisions that a curator may take, in the format of ``overrides.csv``.

    Each line suggests to relabel. It is a suggestion of a network: `heritage curate` reads only what a person
    copies into ``overrides.csv``, or chooses in the report.

    Args:
        found: The suspects.
        probabilities: Shape (N, K).
        manifest: Their images, N rows.
        path: The file.

    Returns:
        The lines.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    lines = [
        {
            **raw_file(manifest, row),
            "decision": "relabel",
            "class": manifest.classes[to],
            "note": f"labelled {manifest.classes[int(manifest.targets[row])]} "
            f"({probabilities[row, manifest.targets[row]]:.1%}), "
            f"looks like {manifest.classes[to]} ({probabilities[row, to]:.1%})",
        }
        for row, to in zip(found.rows.tolist(), found.suggested.tolist(), strict=True)
    ]
    writer.writerows(lines)
    write_text(path, text.getvalue())
    return lines


def raw_file(manifest: Manifest, row: int) -> dict[str, str]:
    """Return ``file`` and ``sha256`` of an image as the curation step knows it.

    A curated data set knows the photograph that each image was made from; elsewhere the image is that file.
    """
    columns: Sequence[str] = manifest.table.column_names
    if "raw_file" in columns:
        checksum = manifest.table["raw_sha256"][row].as_py() if "raw_sha256" in columns else None
        return {"file": str(manifest.table["raw_file"][row].as_py()), "sha256": (checksum or "")[:12]}
    return {"file": str(manifest.table["file"][row].as_py()), "sha256": ""}
