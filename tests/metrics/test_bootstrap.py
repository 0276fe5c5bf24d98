"""Intervals against resampling by hand and against the binomial distribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from heritage.core.manifest import Manifest
from heritage.evaluation.assessment import Assessment, EvaluationOptions, few_groups_note
from heritage.metrics.bootstrap import bootstrap, draws, group_codes, interval
from heritage.metrics.calibration import softmax
from heritage.metrics.classification import ConfusionScores, confusion_matrix, scores
from heritage.metrics.ranking import auroc, in_top
from heritage.metrics.registry import compute_metrics


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray, list[str]]:
    random = np.random.default_rng(1)
    targets = random.integers(0, 4, 300)
    logits = random.normal(size=(300, 4)).round(1)  # rounded: there are ties
    logits[np.arange(300), targets] += 1
    return targets, softmax(logits), [str(group) for group in random.integers(0, 90, 300)]


def test_a_resample_has_the_metrics_of_its_images(
    predictions: tuple[np.ndarray, np.ndarray, list[str]],
) -> None:
    targets, shares, groups = predictions
    result = bootstrap(targets, shares, groups, resamples=70, seed=3)
    codes = group_codes(groups)
    counts = np.concatenate(list(draws(codes.max() + 1, 70, 3)))
    assert (counts.sum(axis=1) == codes.max() + 1).all()
    for number in (0, 69):
        rows = np.repeat(np.arange(300), counts[number].astype(int)[codes])
        by_hand = scores(confusion_matrix(targets[rows], shares[rows].argmax(axis=1), 4))
        assert result.overall["macro_f1"][number] == pytest.approx(by_hand.macro.f1)
        assert result.overall["accuracy"][number] == pytest.approx(by_hand.accuracy)
        np.testing.assert_allclose(result.by_class["precision"][number], by_hand.precision)
        area = roc_auc_score(targets[rows], shares[rows], multi_class="ovr", average=None)
        np.testing.assert_allclose(result.by_class["auroc"][number], area, atol=1e-12)
        top = in_top(shares, targets, 2)[rows].mean()
        assert result.overall["top2_accuracy"][number] == pytest.approx(top)


def test_grouped_images_give_wider_intervals() -> None:
    # ten photographs of each object, all correct or all wrong: as good as a hundred images
    random = np.random.default_rng(0)
    right = np.repeat(random.random(100) < 0.7, 10)
    targets = np.zeros(1000, dtype=np.int64)
    shares = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    grouped = bootstrap(targets, shares, [str(n // 10) for n in range(1000)], resamples=400)
    alone = bootstrap(targets, shares, [str(n) for n in range(1000)], resamples=400)
    width = [
        result.interval("accuracy").high - result.interval("accuracy").low for result in (grouped, alone)
    ]
    assert width[0] / width[1] == pytest.approx(10**0.5, rel=0.25)
    # the binomial interval of a hundred objects
    assert width[0] == pytest.approx(2 * 1.96 * (0.7 * 0.3 / 100) ** 0.5, rel=0.2)


def test_classes_without_images() -> None:
    cells = np.array([[[3.0, 1, 0], [0, 0, 0], [0, 0, 0]], [[2, 0, 0], [1, 1, 0], [0, 0, 0]]])
    scored = ConfusionScores(cells)
    overall, classes = scored.averages() | compute_metrics(scored), scored.by_class
    assert np.isnan(classes["recall"][0, 1]), "no image in this resample"
    assert classes["recall"][0, 2] == 0, "no image in any resample: as for a single set"
    assert overall["macro_recall"][1] == pytest.approx(scores(cells[1].astype(np.int64)).macro.recall)
    assert overall["balanced_accuracy"].tolist() == pytest.approx([0.75, 0.75]), "of classes that have images"
    assert interval(np.array([np.nan, 1.0])).low == 1
    assert np.isnan(interval(np.array([np.nan])).low)


def test_auroc_counts_ties_half(predictions: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    targets, shares, _ = predictions
    expected = roc_auc_score(targets, shares, multi_class="ovr", average=None)
    np.testing.assert_allclose(auroc(shares, targets), expected, atol=1e-12)
    assert auroc(np.full((4, 2), 0.5), np.array([0, 0, 1, 1])).tolist() == [0.5, 0.5]


def test_a_class_of_few_groups_gets_no_interval(tmp_path: Path) -> None:
    columns = {"file": [f"{n}.jpg" for n in range(20)], "class": ["a", "b"] * 10,
               "group_id": ["one" if n % 2 else str(n) for n in range(20)]}  # fmt: skip
    manifest = Manifest.build(columns, tmp_path, ("a", "b"))
    settings = EvaluationOptions(
        resamples=20,
        target_precision=0.9,
        slices=[],
        images_per_pair=1,
        max_images=1,
        label_errors=1,
        seed=0,
        out_of_fold=None,
    )
    logits = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    result = Assessment("", manifest, manifest.targets, logits, None, settings, {})
    first, second = result.class_intervals("recall")
    assert first.low <= first.high
    assert np.isnan(second.low)
    assert "b (10 images in 1 group)" in few_groups_note(manifest)[0]
