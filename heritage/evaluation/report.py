"""Write an assessment: figures, tables, ``metrics.json`` and a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heritage.core.csv_files import csv_text
from heritage.core.escaping import markdown, markdown_row
from heritage.core.files import write_text
from heritage.core.manifest import Manifest
from heritage.core.numbers import percent
from heritage.core.option_types import FigureWidth
from heritage.core.overrides import COLUMNS
from heritage.evaluation.assessment import CLASS_SCORES, Assessment
from heritage.evaluation.mistakes import MISTAKES_FILE, MISTAKES_FOLDER, Mistakes
from heritage.evaluation.tables import assessment_tables, long_tail_tables
from heritage.metrics.calibration import brier_score
from heritage.metrics.calibration_claim import threshold_sentence
from heritage.metrics.confusion import confused_pairs
from heritage.metrics.label_errors import LABEL_ERRORS_FILE, LabelErrors, write_label_errors
from heritage.metrics.registry import METRICS, headline_metrics
from heritage.reports.charts import coverage_figure, reliability_figure
from heritage.reports.figures import confusion_figure, curves_figure
from heritage.reports.html import embedded_png, score, write_page
from heritage.reports.palette import class_colour
from heritage.reports.run_report import loss_note
from heritage.reports.tables import write_tables
from heritage.reports.thumbnails import PAGE_BYTES, Thumbnails
from heritage.runs.audits import AuditResult
from heritage.runs.files import REPORT_FILE
from heritage.runs.record import write_metrics
from heritage.runs.write_predictions import predictions_table, write_predictions

PAGE_FILE = "report.html"
PER_CLASS_FILE = "per_class.csv"
CURVES_FILE = "curves.png"
CONFUSION_FILE, RELIABILITY_FILE, COVERAGE_FILE = "confusion.png", "reliability.png", "coverage.png"
_LABEL_ERROR_BYTES = 1_000_000  # of thumbnails reserved for suspected label errors in a full page


@dataclass(frozen=True)
class LabelCheck:
    """Images that the network was not trained on, and the suspected label errors among them.

    Attributes:
        manifest: The images, N rows.
        probabilities: Shape (N, K).
        errors: Suspected label errors.
    """

    manifest: Manifest
    probabilities: np.ndarray[Any, np.dtype[np.float64]]
    errors: LabelErrors


def write_evaluation(
    assessment: Assessment,
    label_check: LabelCheck,
    audits: Sequence[AuditResult],
    folder: Path,
    *,
    extra: Mapping[str, Any],
    embedding_map: tuple[Path, str] | None = None,
    mistakes: Mistakes | None = None,
    history: Sequence[Mapping[str, float]] = (),
    width: FigureWidth = "double",
) -> Path:
    """Write all files and return the path of ``report.html``.

    Args:
        assessment: The measured predictions.
        label_check: The suspected label errors.
        audits: Results of the audits.
        folder: The folder to write to.
        extra: Further plain data for ``metrics.json``.
        embedding_map: The PNG of the map of the test set, and its caption.
        mistakes: The files of misclassified images, which the page links.
        history: The metrics of each epoch of the training (`heritage.runs.history`).
        width: Width of the confusion matrix: one or two columns.
    """
    table = predictions_table(assessment.manifest, assessment.targets, assessment.probabilities)
    write_predictions(table, folder)
    confusion_figure(assessment.confusion, folder / CONFUSION_FILE, width)
    calibration = assessment.calibration
    reliability_figure(*assessment.reliability, folder / RELIABILITY_FILE)
    coverage_figure(
        assessment.risk,
        None if calibration is None else calibration.target_precision,
        assessment.abstention,
        folder / COVERAGE_FILE,
    )
    write_tables(assessment_tables(assessment), folder)
    write_metrics(
        assessment.record() | {"audits": {one.key: one.record for one in audits}} | dict(extra), folder
    )
    write_text(folder / PER_CLASS_FILE, per_class_csv(assessment))
    suggestions = write_label_errors(
        label_check.errors, label_check.probabilities, label_check.manifest, folder / LABEL_ERRORS_FILE
    )
    if history:
        curves_figure(history, folder / CURVES_FILE, width)
    write_text(folder / REPORT_FILE, markdown_report(assessment, audits, len(suggestions), history))
    _write_page(
        assessment, label_check, suggestions, audits, folder / PAGE_FILE, embedding_map, mistakes, history
    )
    return folder / PAGE_FILE


def per_class_csv(assessment: Assessment) -> str:
    """Return a CSV of the scores, intervals and support of each class."""
    head = ["class", *(f"{name}{end}" for name in CLASS_SCORES for end in ("", "_low", "_high")), "support"]
    rows = []
    values = (
        assessment.scores.precision,
        assessment.scores.recall,
        assessment.scores.f1,
        assessment.auroc,
    )
    bounds = [assessment.class_intervals(name) for name in CLASS_SCORES]
    for k, name in enumerate(assessment.classes):
        cells: list[object] = [name]
        for value, interval in zip(values, bounds, strict=True):
            numbers = (value[k], interval[k].low, interval[k].high)
            cells += ["" if np.isnan(number) else f"{number:.6f}" for number in numbers]
        rows.append([*cells, int(assessment.scores.support[k])])
    return csv_text(head, rows)


def markdown_report(
    assessment: Assessment,
    audits: Sequence[AuditResult],
    label_errors: int,
    history: Sequence[Mapping[str, float]] = (),
) -> str:
    """Return the report without images.

    Args:
        assessment: The measured predictions.
        audits: Results of the audits.
        label_errors: Number of suspected label errors.
        history: As for `write_evaluation`.
    """
    a = assessment
    lines = [f"# {markdown(a.title)}", "", *(f"> {markdown(note)}\n" for note in a.notes),
             "| metric | value | 95 % interval |", "|---|---:|---:|"]  # fmt: skip
    for name, metric in METRICS.items():
        bounds = a.interval(name)
        lines.append(
            f"| {metric.title} | {score(a.values[name], 4)} | {score(bounds.low)} – {score(bounds.high)} |"
        )
    lines += ["", "| class | precision | recall | F1 | AUROC | support |", "|---|---:|---:|---:|---:|---:|"]
    recalls = a.class_intervals("recall")
    for k, name in enumerate(a.classes):
        lines.append(
            f"| {markdown(name)} | {a.scores.precision[k]:.4f} | {a.scores.recall[k]:.4f} "
            f"({score(recalls[k].low)} – {score(recalls[k].high)}) | {a.scores.f1[k]:.4f} "
            f"| {score(float(a.auroc[k]), 4)} | {a.scores.support[k]:,} |"
        )
    lines += [
        "",
        "True classes in rows, predictions in columns:",
        "",
        "![confusion matrix](confusion.png)",
        "",
    ]
    lines += ["## Errors by class", "", "| class | errors | predicted as |", "|---|---:|---|"]
    for name, count, others in a.confusion.errors_by_class():
        words = ", ".join(f"{other} {n:,}" for other, n in others if n) or "–"
        lines.append(markdown_row((name, f"{count:,}", words)))
    lines += ["", "## Calibration", "", _calibration_sentence(a), ""]
    lines += [] if a.sets is None else a.sets.lines()
    for by, parts in a.slices.items():
        lines += [
            f"## By {markdown(by)}",
            "",
            f"| {markdown(by)} | images | accuracy | 95 % interval |",
            "|---|---:|---:|---:|",
        ]
        lines += [
            f"| {markdown(one.name)} | {one.images:,} | {one.accuracy:.4f} | {score(one.interval.low)} – "
            f"{score(one.interval.high)} |"
            for one in parts
        ]
        lines.append("")
    for table in long_tail_tables(a):
        lines += ["## Long tails", "", table.markdown()]
    for audit in audits:
        lines += [f"## {markdown(audit.name)}", "", markdown(f"{audit.verdict} {audit.words}"), ""]
        if audit.rows:
            lines += [markdown_row(audit.head), f"|{'---|' * len(audit.head)}"]
            lines += [*(markdown_row(row) for row in audit.rows), ""]
    suggested = (
        "" if not label_errors else ": suggestions, which change nothing until a person enters a decision"
    )
    lines += ["## Suspected label errors", "", f"{label_errors:,} in `{LABEL_ERRORS_FILE}`{suggested}.", ""]
    lines += [*_training_section(history), "## The run", "", "| | |", "|---|---|"]
    lines += [markdown_row(fact) for fact in a.facts.items()]
    return "\n".join(lines) + "\n"


def _training_section(history: Sequence[Mapping[str, float]]) -> list[str]:
    if not history:
        return []
    notes = [line for note in loss_note(history) for line in (note, "")]
    return ["## Training", "", f"![learning curves]({CURVES_FILE})", "", *notes]


def _calibration_sentence(a: Assessment) -> str:
    before, after = a.reliability
    words = f"{a.claim.sentence} Expected calibration error on these images: {percent(before.error)}"
    if a.calibration is None or after is None:
        return f"{words}."
    words += f", {percent(after.error)} with temperature {a.calibration.temperature:.3f}. "
    words += threshold_sentence(a.calibration)
    if a.calibration.threshold is None or a.abstention is None:
        return words
    return (
        f"{words} On these images coverage is {percent(a.abstention[0])} and precision "
        f"{percent(a.abstention[1])}."
    )


def _write_page(
    a: Assessment,
    label_check: LabelCheck,
    suggestions: Sequence[dict[str, str]],
    audits: Sequence[AuditResult],
    path: Path,
    embedding_map: tuple[Path, str] | None,
    mistakes: Mistakes | None,
    history: Sequence[Mapping[str, float]],
) -> None:
    thumbnails = Thumbnails(a.manifest)
    pairs = [
        {
            "true": a.classes[pair.true],
            "predicted": a.classes[pair.predicted],
            "count": pair.count,
            "images": [_error(a, thumbnails, row, mistakes) for row in pair.rows],
        }
        for pair in confused_pairs(
            a.targets,
            a.calibrated,
            images_per_pair=a.settings.images_per_pair,
            max_images=a.settings.max_images,
        )
    ]
    used = sum(map(len, thumbnails.sources))
    others = Thumbnails(label_check.manifest, max(0, PAGE_BYTES + _LABEL_ERROR_BYTES - used))
    label_errors = _label_errors(a, label_check, suggestions, others, offset=len(thumbnails.sources))
    before, after = a.reliability
    headline = {metric.name for metric in headline_metrics(METRICS.values())}
    write_page(
        "evaluation",
        path,
        a=a,
        headline=[metric for name, metric in METRICS.items() if name in headline],
        further=[metric for name, metric in METRICS.items() if name not in headline],
        bounds={name: a.class_intervals(name) for name in CLASS_SCORES},
        group_count=len(set(a.groups)),
        errors_by_class=a.confusion.errors_by_class(),
        before=before,
        after=after,
        brier_after=brier_score(a.calibrated, a.targets),
        threshold_sentence=threshold_sentence(a.calibration),
        charts={
            "reliability": embedded_png(path.parent / RELIABILITY_FILE),
            "coverage": embedded_png(path.parent / COVERAGE_FILE),
        },
        mistakes=mistakes and {"count": len(mistakes.paths), "list": f"{MISTAKES_FOLDER}/{MISTAKES_FILE}"},
        audits=audits,
        long_tails=long_tail_tables(a),
        pairs=pairs,
        colours=[class_colour(k) for k in range(len(a.classes))],
        label_errors=label_errors,
        label_error_count=len(suggestions),
        checked=len(label_check.manifest),
        label_errors_file=LABEL_ERRORS_FILE,
        columns=COLUMNS,
        map=embedding_map and {"source": embedded_png(embedding_map[0]), "words": embedding_map[1]},
        training=history and {"curves": embedded_png(path.parent / CURVES_FILE), "notes": loss_note(history)},
        pictures=[*thumbnails.sources, *others.sources],
    )


def _error(a: Assessment, thumbnails: Thumbnails, row: int, mistakes: Mistakes | None) -> dict[str, Any]:
    probabilities = a.calibrated[row]
    order = np.argsort(-probabilities, kind="stable")
    return {
        "place": thumbnails.place(row),
        "caption": thumbnails.caption(row),
        "true": a.classes[int(a.targets[row])],
        "true_probability": float(probabilities[a.targets[row]]),
        "predicted": a.classes[int(order[0])],
        "confidence": float(probabilities[order[0]]),
        "words": ", ".join(f"{a.classes[k]} {percent(probabilities[k])}" for k in order.tolist()),
        "bars": [
            {"share": float(probabilities[k]), "colour": class_colour(k)} for k in range(len(a.classes))
        ],
        "file": "" if mistakes is None else mistakes.path(row),
    }


def _label_errors(
    a: Assessment,
    label_check: LabelCheck,
    suggestions: Sequence[dict[str, str]],
    thumbnails: Thumbnails,
    offset: int,
) -> list[dict[str, Any]]:
    errors = label_check.errors
    shown = []
    rows = zip(errors.rows.tolist(), errors.suggested.tolist(), suggestions, strict=True)
    for row, suggested, suggestion in list(rows)[: a.settings.label_errors]:
        place = thumbnails.place(row)
        label = int(label_check.manifest.targets[row])
        shown.append(
            {
                "place": None if place is None else place + offset,
                "caption": thumbnails.caption(row),
                "suggestion": suggestion,
                "label": a.classes[label],
                "label_probability": float(label_check.probabilities[row, label]),
                "suggested_probability": float(label_check.probabilities[row, suggested]),
            }
        )
    return shown
