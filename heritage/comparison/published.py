"""The published results of the thesis.

``thesis.csv`` holds its tables A.1 to A.4 (ResNet50 and EfficientNet B0, B1, B2, each with three optimisers)
and B.1 (EfficientNetB0 with Adam and three balancing methods). Its test set differs from ours: it was split
by image, so photographs of one object may be in training and test set. No value has an interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from heritage.core.csv_files import read_records
from heritage.core.taxonomy import CLASSES

_FILE = Path(__file__).parent / "thesis.csv"

AVERAGES = ("macro_avg", "weighted_avg")
SUPPORT = dict(zip(CLASSES, (4420, 5172, 6798, 1842, 813, 3318), strict=True))
"""Test images of each class. The thesis does not give them; they follow from its recalls as fractions, and
reproduce accuracies and averages of all fifteen runs to the sixth decimal."""

TABLES = {
    "A.1": "ResNet50",
    "A.2": "EfficientNetB0",
    "A.3": "EfficientNetB1",
    "A.4": "EfficientNetB2",
    "B.1": "EfficientNetB0 with Adam, balanced",
}
"""Its tables and their subjects."""


IN_WORDS = {
    "oversample": "oversample sampling.classes=[byzantium]",
    "undersample": "undersample sampling.redraw=false",
}
"""Its balancing methods as overrides of single axes (`heritage.runs.description`)."""


@dataclass(frozen=True)
class Published:
    """One published run.

    Attributes:
        table: Number of the table in the thesis.
        model: The corresponding option of the group ``model``.
        optimizer: The corresponding option of the group ``optimizer``.
        balance: The corresponding option of the group ``balance``.
        rows: Precision, recall and F1 of each class, of ``macro_avg`` and of ``weighted_avg``.
        accuracy: Accuracy on the test set.
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
    tables: dict[tuple[str, str, str, str], list[dict[str, str]]] = {}
    for row in read_records(lines):
        tables.setdefault((row["table"], row["model"], row["optimizer"], row["balance"]), []).append(row)
    runs = []
    for key, rows in tables.items():
        scores = {
            row["row"]: (float(row["precision"]), float(row["recall"]), float(row["f1_or_accuracy"]))
            for row in rows
            if row["row"] != "accuracy"
        }
        accuracy = next(float(row["f1_or_accuracy"]) for row in rows if row["row"] == "accuracy")
        runs.append(Published(*key, rows=scores, accuracy=accuracy))
    return tuple(runs)
