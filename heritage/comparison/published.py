"""What the thesis published, to stand beside our own figures.

``thesis.csv`` holds its tables A.1 to A.4 (ResNet50 and EfficientNet B0, B1, B2, each with three optimisers)
and B.1 (three ways of balancing EfficientNetB0 with Adam), figure by figure. Its test set is not ours: images
were split by image, so photographs of one object are on both sides, and no figure had an interval.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from heritage.core.taxonomy import CLASSES

_FILE = Path(__file__).parent / "thesis.csv"

AVERAGES = ("macro_avg", "weighted_avg")
SUPPORT = dict(zip(CLASSES, (4420, 5172, 6798, 1842, 813, 3318), strict=True))
"""Test images of each class. Not printed in the thesis; they follow from its recalls as fractions, and with
them the accuracies and averages of all fifteen runs come out to the sixth decimal."""

TABLES = {
    "A.1": "ResNet50",
    "A.2": "EfficientNetB0",
    "A.3": "EfficientNetB1",
    "A.4": "EfficientNetB2",
    "B.1": "EfficientNetB0 with Adam, balanced",
}
"""Its tables and what they show."""


IN_WORDS = {
    "oversample": "oversample sampling.classes=[byzantium]",
    "undersample": "undersample sampling.redraw=false",
}
"""Its ways of balancing as the command line says them axis by axis (`heritage.runs.description`)."""


@dataclass(frozen=True)
class Published:
    """One published run.

    Attributes:
        table: The thesis's number of the table.
        model: The option of our group ``model``.
        optimizer: The same of ``optimizer``.
        balance: The same of ``balance``.
        rows: Precision, recall and F1 of each class, of ``macro_avg`` and of ``weighted_avg``.
        accuracy: The part of test images that was called right.
    """

    table: str
    model: str
    optimizer: str
    balance: str
    rows: dict[str, tuple[float, float, float]]
    accuracy: float


@cache
def published() -> tuple[Published, ...]:
    """Return the fifteen published runs, in the thesis's order."""
    lines = [line for line in _FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found: dict[tuple[str, str, str, str], list[dict[str, str]]] = {}
    for row in csv.DictReader(lines):
        found.setdefault((row["table"], row["model"], row["optimizer"], row["balance"]), []).append(row)
    runs = []
    for key, rows in found.items():
        figures = {
            row["row"]: (float(row["precision"]), float(row["recall"]), float(row["f1_or_accuracy"]))
            for row in rows
            if row["row"] != "accuracy"
        }
        accuracy = next(float(row["f1_or_accuracy"]) for row in rows if row["row"] == "accuracy")
        runs.append(Published(*key, rows=figures, accuracy=accuracy))
    return tuple(runs)
