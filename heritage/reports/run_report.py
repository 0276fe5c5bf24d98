"""The report of a run: scores of each class, in the console and as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from heritage.core.files import write_text
from heritage.core.manifest import Manifest
from heritage.metrics.classification import Scores, confusion_matrix, scores
from heritage.reports.figures import confusion_figure, curves_figure
from heritage.runs.files import IMAGES_SEEN, METRICS_FILE, REPORT_FILE
from heritage.runs.predictions import predictions_table, write_predictions

_HEAD = ("class", "precision", "recall", "F1", "support")


@dataclass(frozen=True)
class Report:
    """A network's answers on a set of images, scored.

    Attributes:
        title: What was asked of whom, a line.
        manifest: The images that were asked about, N rows.
        targets: Shape (N,).
        probabilities: Shape (N, K).
        facts: What a reader wants to know of the run, by name.
        notes: Warnings for the reader.
        history: One mapping an epoch.
        images_seen: Images that training showed, those shown again counted again.
    """

    title: str
    manifest: Manifest
    targets: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    facts: Mapping[str, str]
    notes: Sequence[str] = ()
    history: Sequence[Mapping[str, float]] = field(default=())
    images_seen: int | None = None

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Targets (rows) by predictions (columns), shape (K, K)."""
        predicted = self.probabilities.argmax(axis=1)
        return confusion_matrix(self.targets, predicted, len(self.manifest.classes))

    def write(self, folder: Path) -> Path:
        """Write all files into a folder and return the path of ``report.md``."""
        confusion, classes = self.confusion, self.manifest.classes
        found = scores(confusion)
        write_predictions(predictions_table(self.manifest, self.targets, self.probabilities), folder)
        confusion_figure(confusion, classes, folder / "confusion.png")
        if self.history:
            curves_figure(self.history, folder / "curves.png")
        record = as_record(found, classes) | {"confusion": confusion.tolist(), "facts": dict(self.facts)}
        if self.images_seen is not None:
            record[IMAGES_SEEN] = self.images_seen
        write_text(folder / METRICS_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        path = folder / REPORT_FILE
        write_text(path, self._markdown(found))
        return path

    def print(self, console: Console) -> None:
        """Print the scores as a table."""
        table = Table(title=self.title, title_justify="left")
        for name in _HEAD:
            table.add_column(name, justify="left" if name == "class" else "right")
        rows = score_rows(scores(self.confusion), self.manifest.classes)
        for number, row in enumerate(rows):
            table.add_row(*row, end_section=number == len(self.manifest.classes) - 1)
        console.print(table)
        for note in self.notes:
            console.print(f"Note: {note}", highlight=False)

    def _markdown(self, found: Scores) -> str:
        rows = [_HEAD, ("---", *["---:"] * 4), *score_rows(found, self.manifest.classes)]
        lines = [f"# {self.title}", "", *(f"> {note}\n" for note in self.notes)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines += [
            "",
            "Rows are true classes, columns predictions:",
            "",
            "![confusion matrix](confusion.png)",
            "",
        ]
        if self.history:
            lines += ["![learning curves](curves.png)", ""]
        lines += ["## The run", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self.facts.items()]
        return "\n".join(lines) + "\n"


def as_record(found: Scores, classes: Sequence[str]) -> dict[str, Any]:
    """Return scores as plain data for ``metrics.json``."""
    return {
        "accuracy": found.accuracy,
        "macro_avg": vars(found.macro),
        "weighted_avg": vars(found.weighted),
        "images": int(found.support.sum()),
        "classes": {
            name: {
                "precision": float(found.precision[k]),
                "recall": float(found.recall[k]),
                "f1": float(found.f1[k]),
                "support": int(found.support[k]),
            }
            for k, name in enumerate(classes)
        },
    }


def score_rows(found: Scores, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return a table's rows in the layout of scikit-learn's classification report."""
    total = f"{int(found.support.sum()):,}"
    rows = [
        (
            name,
            *(f"{value[k]:.4f}" for value in (found.precision, found.recall, found.f1)),
            f"{found.support[k]:,}",
        )
        for k, name in enumerate(classes)
    ]
    rows.append(("accuracy", "", "", f"{found.accuracy:.4f}", total))
    for name, average in (("macro avg", found.macro), ("weighted avg", found.weighted)):
        rows.append(
            (name, *(f"{value:.4f}" for value in (average.precision, average.recall, average.f1)), total)
        )
    return rows
