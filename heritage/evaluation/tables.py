"""Tables of an assessment as CSV and LaTeX: metrics, scores of each class, and the confusion matrix."""

from __future__ import annotations

import math

from heritage.core.numbers import bounds as interval_text
from heritage.evaluation.assessment import CLASS_SCORES, Assessment
from heritage.metrics.bootstrap import Interval
from heritage.metrics.classification import MEASURES
from heritage.metrics.registry import METRICS
from heritage.reports.html import score
from heritage.reports.tables import Table, confusion_table

_NOTE = "In brackets: 95 % intervals over resamples of groups."


def assessment_tables(assessment: Assessment) -> list[Table]:
    """Return the tables ``metrics``, ``classes`` and ``confusion``."""
    return [_metrics(assessment), _classes(assessment), confusion_table(assessment.confusion)]


def _metrics(a: Assessment) -> Table:
    rows = [
        (metric.title, score(a.values[name]), _brackets(a.interval(name))) for name, metric in METRICS.items()
    ]
    note = f"95 % intervals from {a.settings.resamples:,} bootstrap resamples of groups."
    return Table("metrics", f"Metrics of {a.title}", ("metric", "value", "95 % interval"), rows, note)


def _classes(a: Assessment) -> Table:
    values = dict(zip(CLASS_SCORES, (a.scores.precision, a.scores.recall, a.scores.f1, a.auroc), strict=True))
    bounds = {name: a.class_intervals(name) for name in CLASS_SCORES}
    rows = []
    for k, name in enumerate(a.classes):
        cells = [
            f"{score(float(values[one][k]))} {_brackets(bounds[one][k])}".strip() for one in CLASS_SCORES
        ]
        rows.append([name, *cells, f"{int(a.scores.support[k]):,}"])
    for key, average in (("macro", a.scores.macro), ("weighted", a.scores.weighted)):
        cells = [
            f"{score(float(getattr(average, one)))} {_brackets(a.interval(f'{key}_{one}'))}"
            for one in MEASURES
        ]
        area = f"{score(a.values['macro_auroc'])} {_brackets(a.interval('macro_auroc'))}"
        rows.append([f"{key} average", *cells, area if key == "macro" else "", f"{len(a.manifest):,}"])
    head = ("class", "precision", "recall", "F1", "AUROC", "images")
    return Table("classes", f"Scores of each class, {a.title}", head, rows, _NOTE, rules=(len(a.classes),))


def _brackets(bounds: Interval) -> str:
    if math.isnan(bounds.low):
        return ""
    text = interval_text(bounds.low, bounds.high)
    return f"({text})" if "–" in text else ""
