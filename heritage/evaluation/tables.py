"""Tables of an assessment as CSV and LaTeX: metrics, scores of each class, and the confusion matrix."""

from __future__ import annotations

import math

import numpy as np

from heritage.core.numbers import bounds as interval_text
from heritage.evaluation.assessment import CLASS_SCORES, Assessment
from heritage.metrics.bootstrap import Interval
from heritage.metrics.classification import MEASURES
from heritage.metrics.long_tails import WeightedAccuracy
from heritage.metrics.registry import METRICS
from heritage.reports.html import score
from heritage.reports.tables import Table, confusion_table

_NOTE = "In brackets: 95 % intervals over resamples of groups."


def assessment_tables(assessment: Assessment) -> list[Table]:
    """Return the tables ``metrics``, ``classes``, ``confusion`` and, if there is one, ``long_tails``."""
    tables = [_metrics(assessment), _classes(assessment), confusion_table(assessment.confusion)]
    return [*tables, *long_tail_tables(assessment)]


def long_tail_tables(a: Assessment) -> list[Table]:
    """Return the table of forward to backward long tails; none if it was not computed."""
    if not a.tails:
        return []
    order = ", ".join(a.classes[k] for k in np.argsort(-a.tails[0].shares, kind="stable"))
    rows = [[row.name, *(_accuracy(one) for one in (row.plain, row.known, row.estimated))] for row in a.tails]
    note = (
        "Test images are weighted to class frequencies that fall (forward) or rise (backward) by the ratio, "
        f"from the class that is most frequent in validation to the rarest ({order}). Predictions as they "
        f"are; for these frequencies; and for frequencies that are estimated without labels. {_NOTE}"
    )
    head = ("test set", "as it is", "known prior", "estimated prior")
    return [Table("long_tails", f"Accuracy under other class frequencies, {a.title}", head, rows, note)]


def _accuracy(one: WeightedAccuracy) -> str:
    return f"{score(one.value)} {_brackets(one.interval)}".strip()


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
