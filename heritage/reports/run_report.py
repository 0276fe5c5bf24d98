"""The report of a training run on its test split: a table in the console, and files in the run folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table as ConsoleTable

from heritage.core.console import Console
from heritage.core.escaping import html, markdown, markdown_row
from heritage.core.files import write_text
from heritage.core.manifest import Manifest
from heritage.core.option_types import FigureWidth
from heritage.metrics.classification import Scores
from heritage.metrics.confusion import ConfusionMatrix
from heritage.metrics.registry import metrics_of_predictions
from heritage.reports.figures import confusion_figure, curves_figure
from heritage.reports.tables import Table, confusion_table, write_tables
from heritage.runs.files import IMAGES_SEEN, REPORT_FILE
from heritage.runs.record import write_metrics
from heritage.runs.write_predictions import predictions_table, write_predictions

_HEAD = ("class", "precision", "recall", "F1", "support")


@dataclass(frozen=True)
class Report:
    """Predictions of a network on a set of images, and their scores.

    Attributes:
        title: Model and data, one line.
        manifest: The images, N rows.
        targets: Shape (N,).
        probabilities: Shape (N, K).
        facts: Facts about the run, by name.
        notes: Warnings for the reader.
        history: Logged metrics, one mapping per epoch.
        images_seen: Training images over all epochs, with repetition.
        tables: Further tables of the report, written as CSV and LaTeX, too.
    """

    title: str
    manifest: Manifest
    targets: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    facts: Mapping[str, str]
    notes: Sequence[str] = ()
    history: Sequence[Mapping[str, float]] = field(default=())
    images_seen: int | None = None
    tables: Sequence[Table] = ()

    @cached_property
    def confusion(self) -> ConfusionMatrix:
        """The confusion matrix."""
        return ConfusionMatrix.of(self.targets, self.probabilities.argmax(axis=1), self.manifest.classes)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """All metrics of `heritage.metrics.registry` by name."""
        return metrics_of_predictions(self.probabilities, self.targets)

    def write(self, folder: Path, width: FigureWidth = "double") -> Path:
        """Write all files into a folder and return the path of ``report.md``.

        Args:
            folder: The run folder.
            width: One or two columns, of the figures.
        """
        confusion, classes = self.confusion, self.manifest.classes
        write_predictions(predictions_table(self.manifest, self.targets, self.probabilities), folder)
        confusion_figure(confusion, folder / "confusion.png", width)
        if self.history:
            curves_figure(self.history, folder / "curves.png", width)
        rows = score_rows(confusion.scores, classes)
        scores = Table("classes", f"Scores of each class, {self.title}", _HEAD, rows, rules=(len(classes),))
        write_tables((scores, confusion_table(confusion), *self.tables), folder)
        record = as_record(confusion.scores, classes) | self.metrics
        record |= {"confusion": confusion.counts.tolist(), "facts": dict(self.facts)}
        if self.images_seen is not None:
            record[IMAGES_SEEN] = self.images_seen
        write_metrics(record, folder)
        path = folder / REPORT_FILE
        write_text(path, self._markdown())
        return path

    def print(self, console: Console) -> None:
        """Print the scores as a table."""
        table = ConsoleTable(title=self.title, title_justify="left")
        for name in _HEAD:
            table.add_column(name, justify="left" if name == "class" else "right")
        rows = score_rows(self.confusion.scores, self.manifest.classes)
        for number, row in enumerate(rows):
            table.add_row(*row, end_section=number == len(self.manifest.classes) - 1)
        console.print(table)
        for note in self.notes:
            console.print(f"Note: {note}", highlight=False)

    def __repr__(self) -> str:
        return f"Report({self.title!r}, {self.confusion!r})"

    def _repr_html_(self) -> str:
        return f"<p>{html(self.title)}</p>{self.confusion._repr_html_()}"

    def _markdown(self) -> str:
        lines = [f"# {markdown(self.title)}", "", *(f"> {markdown(note)}\n" for note in self.notes)]
        lines += [markdown_row(_HEAD), "| --- | ---: | ---: | ---: | ---: |"]
        lines += [markdown_row(row) for row in score_rows(self.confusion.scores, self.manifest.classes)]
        lines += [
            "",
            "True classes in rows, predictions in columns:",
            "",
            "![confusion matrix](confusion.png)",
            "",
        ]
        if self.history:
            lines += ["![learning curves](curves.png)", ""]
            lines += [line for note in loss_note(self.history) for line in (note, "")]
        lines += [table.markdown() for table in self.tables]
        lines += ["## The run", "", "| | |", "|---|---|"]
        lines += [markdown_row(fact) for fact in self.facts.items()]
        return "\n".join(lines) + "\n"


def loss_note(history: Sequence[Mapping[str, float]]) -> list[str]:
    """Return what a validation loss below the training loss means, a paragraph; empty if it is not below.

    Args:
        history: Logged metrics, one mapping per epoch; the last one decides.
    """
    last = history[-1] if history else {}
    if not last.get("val/loss", math.inf) < last.get("train/loss", -math.inf):
        return []
    sentence = (
        "The validation loss is below the training loss, which is no fault: augmentation, dropout, mixing, "
        "label smoothing and class weights make training images harder and are off in validation, and the "
        "training loss is the mean over an epoch in which the network improved."
    )
    return [sentence]


def as_record(scores: Scores, classes: Sequence[str]) -> dict[str, Any]:
    """Return scores as plain data for ``metrics.json``."""
    return {
        "accuracy": scores.accuracy,
        "macro_avg": vars(scores.macro),
        "weighted_avg": vars(scores.weighted),
        "images": int(scores.support.sum()),
        "classes": {
            name: {
                "precision": float(scores.precision[k]),
                "recall": float(scores.recall[k]),
                "f1": float(scores.f1[k]),
                "support": int(scores.support[k]),
            }
            for k, name in enumerate(classes)
        },
    }


def score_rows(scores: Scores, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the rows of a table in the layout of scikit-learn's classification report."""
    total = f"{int(scores.support.sum()):,}"
    rows = [
        (
            name,
            *(f"{value[k]:.4f}" for value in (scores.precision, scores.recall, scores.f1)),
            f"{scores.support[k]:,}",
        )
        for k, name in enumerate(classes)
    ]
    rows.append(("accuracy", "", "", f"{scores.accuracy:.4f}", total))
    for name, average in (("macro avg", scores.macro), ("weighted avg", scores.weighted)):
        rows.append(
            (name, *(f"{value:.4f}" for value in (average.precision, average.recall, average.f1)), total)
        )
    return rows
