"""Scores of a confusion matrix agree with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as reference_matrix

from heritage.metrics.classification import Scores, confusion_matrix, scores


def as_dict(result: Scores) -> dict[str, dict[str, float]]:
    return {
        str(k): {
            "precision": result.precision[k], "recall": result.recall[k],
            "f1-score": result.f1[k], "support": result.support[k],
        }
        for k in range(len(result.support))
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent", [(), (3,)])
def test_scores_agree_with_scikit_learn(seed: int, absent: tuple[int, ...]) -> None:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 6, 500)
    predictions = np.where(random.random(500) < 0.5, targets, random.integers(0, 6, 500))
    for k in absent:  # without images and predictions it still counts in the macro average
        targets[targets == k], predictions[predictions == k] = 0, 1
    confusion = confusion_matrix(targets, predictions, 6)
    assert np.array_equal(confusion, reference_matrix(targets, predictions, labels=range(6)))
    result = scores(confusion)
    expected = classification_report(targets, predictions, labels=range(6), output_dict=True, zero_division=0)
    for name, row in as_dict(result).items():
        for key, value in row.items():
            assert value == pytest.approx(expected[name][key], abs=1e-12)
    assert result.accuracy == pytest.approx(np.mean(targets == predictions), abs=1e-12)
    for ours, theirs in ((result.macro, "macro avg"), (result.weighted, "weighted avg")):
        assert ours.precision == pytest.approx(expected[theirs]["precision"], abs=1e-12)
        assert ours.recall == pytest.approx(expected[theirs]["recall"], abs=1e-12)
        assert ours.f1 == pytest.approx(expected[theirs]["f1-score"], abs=1e-12)
