"""A network's output for a batch of images as a `Prediction` of each image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from heritage.metrics.calibration import Floats
from heritage.metrics.finite import NO_PREDICTION
from heritage.prediction.batch_prediction import BatchPrediction
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.results import Prediction
from heritage.prediction.streaming import PreparedImage
from heritage.runs.outliers import is_unlike


def image_predictions(
    batch: Iterable[PreparedImage], output: BatchPrediction, classes: Sequence[str], rule: DecisionRule
) -> list[Prediction]:
    """Return the predictions for a batch, in its order.

    Args:
        batch: B readable images, and unreadable ones, whose predictions have an error.
        output: The network's output for the B readable images.
        classes: The class list, length K.
        rule: Decides which predictions are unsure.
    """
    scores = [None] * len(output.probabilities) if output.outlier_scores is None else output.outlier_scores
    rows = zip(output.probabilities, output.predicted, scores, strict=True)
    return [
        Prediction(None, {}, float("nan"), True, image.name, image.error)
        if image.pixels is None
        else _prediction(image, *next(rows), classes, rule)
        for image in batch
    ]


def _prediction(
    image: PreparedImage,
    probabilities: Floats,
    predicted: bool,
    score: float | None,
    classes: Sequence[str],
    rule: DecisionRule,
) -> Prediction:
    if not predicted:
        return Prediction(None, {}, float("nan"), True, image.name, NO_PREDICTION, image.source)
    order = np.argsort(-probabilities, kind="stable")
    confidence = float(probabilities[order[0]])
    unlike = is_unlike(score)
    return Prediction(
        label=classes[order[0]],
        probabilities={classes[k]: float(probabilities[k]) for k in order},
        confidence=confidence,
        unsure=rule.unsure(confidence) or unlike,
        prediction_set=None if unlike else rule.prediction_set(probabilities, classes),
        unlike_training=None if score is None else unlike,
        outlier_score=None if score is None else float(score),
        name=image.name,
        source=image.source,
    )
