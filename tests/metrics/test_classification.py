"""Scores agree with scikit-learn, and the thesis's averages come out of its own rows."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as reference_matrix

from heritage.core.taxonomy import CLASSES
from heritage.metrics.classification import Scores, confusion_matrix, from_rows, scores

PUBLISHED = Path(__file__).parents[3] / "shared" / "thesis" / "results.csv"
SUPPORT = np.array([4420, 5172, 6798, 1842, 813, 3318])


def as_dict(found: Scores) -> dict[str, dict[str, float]]:
    return {
        str(k): {
            "precision": found.precision[k], "recall": found.recall[k],
            "f1-score": found.f1[k], "support": found.support[k],
        }
        for k in range(len(found.support))
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent", [(), (3,)])
def test_scores_agree_with_scikit_learn(seed: int, absent: tuple[int, ...]) -> None:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 6, 500)
    predictions = np.where(random.random(500) < 0.5, targets, random.integers(0, 6, 500))
    for k in absent:  # neither there nor predicted: counts in the macro average all the same
        targets[targets == k], predictions[predictions == k] = 0, 1
    confusion = confusion_matrix(targets, predictions, 6)
    assert np.array_equal(confusion, reference_matrix(targets, predictions, labels=range(6)))
    found = scores(confusion)
    expected = classification_report(targets, predictions, labels=range(6), output_dict=True, zero_division=0)
    for name, row in as_dict(found).items():
        for key, value in row.items():
            assert value == pytest.approx(expected[name][key], abs=1e-12)
    assert found.accuracy == pytest.approx(np.mean(targets == predictions), abs=1e-12)
    for ours, theirs in ((found.macro, "macro avg"), (found.weighted, "weighted avg")):
        assert ours.precision == pytest.approx(expected[theirs]["precision"], abs=1e-12)
        assert ours.recall == pytest.approx(expected[theirs]["recall"], abs=1e-12)
        assert ours.f1 == pytest.approx(expected[theirs]["f1-score"], abs=1e-12)


@pytest.mark.skipif(
    not PUBLISHED.is_file(), reason="the thesis's published figures are not beside the checkout"
)
def test_the_thesis_averages_come_out_of_its_rows() -> None:
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(file))
    runs = itertools.groupby(rows, lambda row: (row["table"], row["model"], row["optimizer"], row["balance"]))
    checked = 0
    for name, group in runs:
        run = {row["row"]: row for row in group}
        found = from_rows(
            np.array([float(run[c]["precision"]) for c in CLASSES]),
            np.array([float(run[c]["recall"]) for c in CLASSES]),
            SUPPORT,
            f1=np.array([float(run[c]["f1_or_accuracy"]) for c in CLASSES]),
        )
        own = from_rows(found.precision, found.recall, SUPPORT)
        assert own.f1 == pytest.approx(found.f1, abs=2e-6), name  # rounded rows give rounded F1
        assert found.accuracy == pytest.approx(float(run["accuracy"]["f1_or_accuracy"]), abs=1e-6), name
        for average, row in ((found.macro, "macro_avg"), (found.weighted, "weighted_avg")):
            assert average.precision == pytest.approx(float(run[row]["precision"]), abs=1e-6), name
            assert average.recall == pytest.approx(float(run[row]["recall"]), abs=1e-6), name
            assert average.f1 == pytest.approx(float(run[row]["f1_or_accuracy"]), abs=1e-6), name
        checked += 1
    assert checked == 15
