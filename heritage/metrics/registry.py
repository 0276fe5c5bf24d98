"""The table of summary metrics: one entry is all that a metric takes.

`heritage evaluate` (values, intervals, ``metrics.json``, page), `heritage compare`, the report of a run, the
model card and the metrics of a validation loop over `METRICS`. To add a metric, add an entry:

    ConfusionMetric("informedness", "informedness", lambda s: 2 * s.macro(s.recall) - 1)

Every metric is computed for R sets of images at once: the set itself (R = 1), or resamples of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heritage.metrics.calibration import brier_terms
from heritage.metrics.classification import (
    ConfusionScores,
    Counts,
    Floats,
    confusion_matrix,
    mean_of_known,
)
from heritage.metrics.ranking import auroc, in_top

Targets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Metric:
    name: str
    label: str
    higher_is_better: bool = field(default=True, kw_only=True)
    headline: bool = field(default=True, kw_only=True)

    @property
    def title(self) -> str:
        """The label, with a remark where lower values are better."""
        return self.label if self.higher_is_better else f"{self.label} (lower is better)"


@dataclass(frozen=True)
class ConfusionMetric(_Metric):
    """A metric of the confusion matrix; logged by every validation, too, as ``val/<name>``.

    Attributes:
        name: Its key in ``metrics.json``.
        label: Its name in tables and pages.
        compute: Scores of R confusion matrices to R values.
        higher_is_better: Whether larger values are better.
        headline: Whether it is among the few that the page shows first and `heritage compare` shows of
            every setting.
    """

    compute: Callable[[ConfusionScores], Floats]


@dataclass(frozen=True)
class ImageMetric(_Metric):
    """The mean over images of a term that each image has.

    Attributes:
        terms: Probabilities (N, K) and targets (N,) to terms (N,).
        name, label, higher_is_better, headline: As for `ConfusionMetric`.
    """

    terms: Callable[[Floats, Targets], npt.NDArray[np.float64] | npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class AurocMetric(_Metric):
    """A summary of the area under the ROC curve of each class against the rest.

    Resampling it takes seconds for each network, so `heritage compare` leaves it out.

    Attributes:
        compute: Areas (R, K), NaN for a class without images or with all of them, to R values.
        name, label, higher_is_better, headline: As for `ConfusionMetric`.
    """

    compute: Callable[[Floats], Floats]


Metric = ConfusionMetric | ImageMetric | AurocMetric


def balanced_accuracy(scores: ConfusionScores) -> Floats:
    """Return the mean recall of the classes that have images, as scikit-learn does, (R,)."""
    return mean_of_known(np.where(scores.support > 0, scores.recall, np.nan))


def matthews_correlation(scores: ConfusionScores) -> Floats:
    """Return the multiclass Matthews correlation coefficient, (R,) (Gorodkin 2004, equation 8).

    It is 0 where targets or predictions are all of one class.
    """
    support, predicted, images = scores.support, scores.predicted, scores.images
    covariance = scores.correct.sum(axis=1) * images - (support * predicted).sum(axis=1)
    variances = (images**2 - (support**2).sum(axis=1)) * (images**2 - (predicted**2).sum(axis=1))
    correlation: Floats = np.where(variances > 0, covariance / np.sqrt(np.maximum(variances, 1)), 0.0)
    return correlation


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        ConfusionMetric("accuracy", "accuracy", lambda s: s.accuracy),
        ConfusionMetric("balanced_accuracy", "balanced accuracy", balanced_accuracy),
        ConfusionMetric("macro_f1", "macro-F1", lambda s: s.macro(s.f1)),
        ConfusionMetric("weighted_f1", "weighted F1", lambda s: s.weighted(s.f1), headline=False),
        ConfusionMetric("matthews_correlation", "Matthews correlation", matthews_correlation, headline=False),
        ImageMetric("top2_accuracy", "top-2 accuracy", lambda shares, targets: in_top(shares, targets, 2)),
        AurocMetric("macro_auroc", "macro AUROC", mean_of_known),
        ImageMetric("brier", "Brier score", brier_terms, higher_is_better=False, headline=False),
    )
}
"""All summary metrics by name, in the order of tables."""


def confusion_metrics() -> list[ConfusionMetric]:
    """Return the metrics that a confusion matrix is enough for."""
    return [metric for metric in METRICS.values() if isinstance(metric, ConfusionMetric)]


def image_metrics() -> list[ImageMetric]:
    """Return the metrics that are means over images."""
    return [metric for metric in METRICS.values() if isinstance(metric, ImageMetric)]


def headline_metrics(metrics: Iterable[Metric]) -> list[Metric]:
    """Return those that are shown first."""
    return [metric for metric in metrics if metric.headline]


def image_terms(probabilities: Floats, targets: Targets) -> Floats:
    """Return the terms of each of the T `image_metrics` for each image, (N, T)."""
    columns = [metric.terms(probabilities, targets).astype(np.float64) for metric in image_metrics()]
    return np.column_stack(columns) if columns else np.empty((len(targets), 0))


def compute_metrics(
    scores: ConfusionScores, image_means: Floats | None = None, areas: Floats | None = None
) -> dict[str, Floats]:
    """Return metrics by name, each (R,), in the order of `METRICS`.

    Args:
        scores: Of R confusion matrices.
        image_means: Means of `image_terms`, (R, T); without them `image_metrics` are left out.
        areas: AUROC of each class, (R, K); without them metrics of AUROC are left out.
    """
    means: Mapping[str, Floats] = {}
    if image_means is not None:
        means = {metric.name: image_means[:, place] for place, metric in enumerate(image_metrics())}
    values: dict[str, Floats] = {}
    for name, metric in METRICS.items():
        if isinstance(metric, ConfusionMetric):
            values[name] = metric.compute(scores)
        elif isinstance(metric, AurocMetric):
            if areas is not None:
                values[name] = metric.compute(areas)
        elif name in means:
            values[name] = means[name]
    return values


def metrics_of_confusion(confusion: Counts) -> dict[str, float]:
    """Return the `confusion_metrics` of one confusion matrix (K, K)."""
    return _single(compute_metrics(ConfusionScores(confusion[None].astype(np.float64))))


def metrics_of_predictions(probabilities: Floats, targets: Targets) -> dict[str, float]:
    """Return all metrics of predictions.

    Args:
        probabilities: Shape (N, K).
        targets: Shape (N,).
    """
    confusion = confusion_matrix(targets, probabilities.argmax(axis=1), probabilities.shape[1])
    return _single(
        compute_metrics(
            ConfusionScores(confusion[None].astype(np.float64)),
            np.array([[column.mean() for column in image_terms(probabilities, targets).T]]),
            auroc(probabilities, targets)[None],
        )
    )


def _single(values: Mapping[str, Floats]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in values.items()}


def logged_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of `logged_metrics`."""
    return *(metric.name for metric in confusion_metrics()), *(f"recall/{name}" for name in classes)


def logged_metrics(confusion: Counts, classes: Sequence[str]) -> dict[str, float]:
    """Return the metrics that training logs of a split: `confusion_metrics` and the recall of each class.

    Args:
        confusion: Targets (rows) by predictions (columns), (K, K).
        classes: The class list, K.
    """
    scores = ConfusionScores(confusion[None].astype(np.float64))
    recalls = {f"recall/{name}": scores.recall[:, k] for k, name in enumerate(classes)}
    return _single(compute_metrics(scores) | recalls)
