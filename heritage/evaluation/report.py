"""An assessment as files: figures, tables, and a page with pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heritage.core.files import write_text
from heritage.core.manifest import Manifest
from heritage.core.overrides import COLUMNS
from heritage.evaluation.assessment import NAMES, Assessment
from heritage.metrics.calibration import brier_score
from heritage.metrics.confusions import mistaken_for, pairs
from heritage.metrics.label_errors import SUSPECTS_FILE, Suspects, write_suspects
from heritage.reports.charts import PALETTE, reliability_chart, risk_chart
from heritage.reports.figures import confusion_figure
from heritage.reports.html import embedded_png, percent, score, write_page
from heritage.reports.thumbnails import PAGE_BYTES, Thumbnails
from heritage.runs.audits import AuditResult
from heritage.runs.files import METRICS_FILE, REPORT_FILE
from heritage.runs.predictions import predictions_table, write_predictions

PAGE_FILE = "report.html"
PER_CLASS_FILE = "per_class.csv"
_FOR_SUSPECTS = 1_000_000  # bytes of pictures that are left to them in a full page


@dataclass(frozen=True)
class Unseen:
    """Images that the network was not trained on, with its beliefs, to look for wrong labels in.

    Attributes:
        manifest: N rows.
        probabilities: Shape (N, K).
        found: The suspects among them.
    """

    manifest: Manifest
    probabilities: np.ndarray[Any, np.dtype[np.float64]]
    found: Suspects


def write_evaluation(
    assessment: Assessment,
    unseen: Unseen,
    audits: Sequence[AuditResult],
    folder: Path,
    *,
    extra: Mapping[str, Any],
    picture_map: tuple[Path, str] | None = None,
) -> Path:
    """Write everything and return the path of ``report.html``.

    Args:
        assessment: What was measured.
        unseen: Where label errors were looked for.
        audits: What was found out besides.
        folder: Where to write.
        extra: Further plain data for ``metrics.json``.
        picture_map: The map of the test set and what is to be said of it.
    """
    table = predictions_table(assessment.manifest, assessment.targets, assessment.probabilities)
    write_predictions(table, folder)
    confusion_figure(assessment.confusion, assessment.classes, folder / "confusion.png")
    record = assessment.record() | {"audits": {one.key: one.record for one in audits}} | dict(extra)
    write_text(folder / METRICS_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / PER_CLASS_FILE, per_class_csv(assessment))
    lines = write_suspects(unseen.found, unseen.probabilities, unseen.manifest, folder / SUSPECTS_FILE)
    write_text(folder / REPORT_FILE, markdown(assessment, audits, len(lines)))
    _write_page(assessment, unseen, lines, audits, folder / PAGE_FILE, picture_map)
    return folder / PAGE_FILE


def per_class_csv(assessment: Assessment) -> str:
    """Return a row for each class: scores, intervals, support."""
    names = ("precision", "recall", "f1", "auroc")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["class", *(f"{name}{end}" for name in names for end in ("", "_low", "_high")), "support"]
    )
    values = (
        assessment.scores.precision,
        assessment.scores.recall,
        assessment.scores.f1,
        assessment.auroc,
    )
    bounds = [assessment.class_intervals(name) for name in names]
    for k, name in enumerate(assessment.classes):
        cells: list[object] = [name]
        for value, interval in zip(values, bounds, strict=True):
            numbers = (value[k], interval[k].low, interval[k].high)
            cells += ["" if np.isnan(number) else f"{number:.6f}" for number in numbers]
        writer.writerow([*cells, int(assessment.scores.support[k])])
    return text.getvalue()


def markdown(assessment: Assessment, audits: Sequence[AuditResult], suspects: int) -> str:
    """Return the report without pictures, for a terminal or a repository."""
    a = assessment
    lines = [f"# {a.title}", "", *(f"> {note}\n" for note in a.notes)]
    lines += ["| score | value | 95 % interval |", "|---|---:|---:|"]
    for name, words in NAMES.items():
        bounds = a.interval(name)
        lines.append(f"| {words} | {score(a.values[name], 4)} | {score(bounds.low)} – {score(bounds.high)} |")
    lines += ["", "| class | precision | recall | F1 | AUROC | support |", "|---|---:|---:|---:|---:|---:|"]
    recalls = a.class_intervals("recall")
    for k, name in enumerate(a.classes):
        lines.append(
            f"| {name} | {a.scores.precision[k]:.4f} | {a.scores.recall[k]:.4f} "
            f"({score(recalls[k].low)} – {score(recalls[k].high)}) | {a.scores.f1[k]:.4f} "
            f"| {score(float(a.auroc[k]), 4)} | {a.scores.support[k]:,} |"
        )
    lines += ["", "Rows are true classes, columns predictions:", "", "![confusion matrix](confusion.png)", ""]
    lines += ["## What each class is mistaken for", "", "| class | mistaken | for |", "|---|---:|---|"]
    for name, count, others in mistaken_for(a.confusion, a.classes):
        words = ", ".join(f"{other} {n:,}" for other, n in others if n) or "nothing"
        lines.append(f"| {name} | {count:,} | {words} |")
    lines += ["", "## Calibration", "", _calibration_words(a), ""]
    for by, parts in a.slices.items():
        lines += [f"## By {by}", "", f"| {by} | images | accuracy | 95 % interval |", "|---|---:|---:|---:|"]
        lines += [
            f"| {one.name} | {one.images:,} | {one.accuracy:.4f} | {score(one.interval.low)} – "
            f"{score(one.interval.high)} |"
            for one in parts
        ]
        lines.append("")
    for audit in audits:
        lines += [f"## {audit.name}", "", f"{audit.verdict} {audit.words}", ""]
        if audit.rows:
            lines += [
                f"| {' | '.join(row)} |" for row in (audit.head, ("---",) * len(audit.head), *audit.rows)
            ]
            lines.append("")
    lines += [f"{suspects:,} labels are confidently contradicted: `{SUSPECTS_FILE}`.", ""]
    lines += ["## The run", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in a.facts.items()]
    return "\n".join(lines) + "\n"


def _calibration_words(a: Assessment) -> str:
    before, after = a.reliability
    words = f"Expected calibration error {percent(before.error)}"
    if a.calibration is None or after is None:
        return f"{words}; no temperature was fitted."
    words += f", {percent(after.error)} with temperature {a.calibration.temperature:.3f}, fitted on "
    words += f"{a.calibration.fitted_on.images:,} images of the {a.calibration.fitted_on.split} split."
    if a.abstention is None:
        return f"{words} No confidence promises {percent(a.calibration.target_precision, 0)} right answers."
    return (
        f"{words} Answering only where it is {percent(a.calibration.threshold)} sure, it answers "
        f"{percent(a.abstention[0])} of the images and {percent(a.abstention[1])} of its answers are right "
        f"(wished: {percent(a.calibration.target_precision, 0)})."
    )


def _write_page(
    a: Assessment,
    unseen: Unseen,
    lines: Sequence[dict[str, str]],
    audits: Sequence[AuditResult],
    path: Path,
    picture_map: tuple[Path, str] | None,
) -> None:
    pictures = Thumbnails(a.manifest)
    kinds = [
        {
            "true": a.classes[kind.true],
            "predicted": a.classes[kind.predicted],
            "count": kind.count,
            "shown": [_figure(a, pictures, row) for row in kind.rows],
        }
        for kind in pairs(a.targets, a.believed, each=a.settings.each, most=a.settings.pictures)
    ]
    spent = sum(map(len, pictures.sources))
    others = Thumbnails(unseen.manifest, max(0, PAGE_BYTES + _FOR_SUSPECTS - spent))
    suspects = _suspects(a, unseen, lines, others, offset=len(pictures.sources))
    bounds = {name: a.class_intervals(name) for name in ("precision", "recall", "f1", "auroc")}
    before, after = a.reliability
    wished = None if a.calibration is None else a.calibration.target_precision
    write_page(
        "evaluation",
        path,
        a=a,
        names=NAMES,
        bounds=bounds,
        group_count=len(set(a.groups)),
        shares=(a.confusion / np.maximum(a.confusion.sum(axis=1, keepdims=True), 1)).tolist(),
        mistaken=mistaken_for(a.confusion, a.classes),
        before=before,
        after=after,
        brier_after=brier_score(a.believed, a.targets),
        charts={
            "reliability": reliability_chart(before, after),
            "risk": risk_chart(a.risk, wished, a.abstention),
        },
        audits=audits,
        kinds=kinds,
        colours=[PALETTE[k % len(PALETTE)] for k in range(len(a.classes))],
        suspects=suspects,
        suspect_count=len(lines),
        asked=len(unseen.manifest),
        suspects_file=SUSPECTS_FILE,
        columns=COLUMNS,
        map=picture_map and {"source": embedded_png(picture_map[0]), "words": picture_map[1]},
        pictures=[*pictures.sources, *others.sources],
    )


def _figure(a: Assessment, pictures: Thumbnails, row: int) -> dict[str, Any]:
    shares = a.believed[row]
    order = np.argsort(-shares, kind="stable")
    return {
        "place": pictures.place(row),
        "about": pictures.about(row),
        "true": a.classes[int(a.targets[row])],
        "own": float(shares[a.targets[row]]),
        "predicted": a.classes[int(order[0])],
        "confidence": float(shares[order[0]]),
        "words": ", ".join(f"{a.classes[k]} {shares[k]:.1%}" for k in order.tolist()),
        "parts": [
            {"share": float(shares[k]), "colour": PALETTE[k % len(PALETTE)]} for k in range(len(a.classes))
        ],
    }


def _suspects(
    a: Assessment, unseen: Unseen, lines: Sequence[dict[str, str]], pictures: Thumbnails, offset: int
) -> list[dict[str, Any]]:
    shown = []
    found = zip(unseen.found.rows.tolist(), unseen.found.suggested.tolist(), lines, strict=True)
    for row, to, line in list(found)[: a.settings.suspects]:
        place = pictures.place(row)
        label = int(unseen.manifest.targets[row])
        shown.append(
            {
                "place": None if place is None else place + offset,
                "about": pictures.about(row),
                "line": line,
                "true": a.classes[label],
                "own": float(unseen.probabilities[row, label]),
                "looks": float(unseen.probabilities[row, to]),
            }
        )
    return shown
