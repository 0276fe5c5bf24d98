"""The score of images unlike the training images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from heritage.metrics.bootstrap import FEW_GROUPS
from heritage.metrics.outliers import (
    METHODS,
    Method,
    bank_rows,
    choose_method,
    fit_score,
    held_out_classes,
    inside_threshold,
    separation,
)

WIDTH = 24


def clusters(seed: int, each: int = 40, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return features around a direction of each class, and their classes."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(classes), each)
    return np.eye(WIDTH)[targets] * 4 + rng.normal(0, 0.4, (len(targets), WIDTH)), targets


def test_the_nearest_images_give_the_mean_cosine_distance_of_five() -> None:
    bank, targets = clusters(0)
    queries = np.random.default_rng(1).normal(size=(7, WIDTH))
    unit, others = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (queries, bank))
    expected = 1 - np.sort(unit @ others.T, axis=1)[:, -5:].mean(axis=1)
    np.testing.assert_allclose(fit_score("knn", bank, targets).scores(queries), expected, atol=1e-5)


def test_the_mahalanobis_distance_is_that_of_the_shrunk_covariance() -> None:
    features, targets = clusters(0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    means = np.stack([unit[targets == k].mean(axis=0) for k in range(3)])
    apart = unit - means[targets]
    covariance = apart.T @ apart / (len(unit) - 3)
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / WIDTH * np.eye(WIDTH)
    queries = np.random.default_rng(1).normal(size=(5, WIDTH))
    ours = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    distances = [np.einsum("nd,de,ne->n", ours - one, np.linalg.inv(covariance), ours - one) for one in means]
    expected = np.sqrt(np.min(distances, axis=0) / WIDTH)
    np.testing.assert_allclose(
        fit_score("mahalanobis", features, targets).scores(queries), expected, rtol=1e-3
    )


@pytest.mark.parametrize("method", METHODS)
def test_other_images_have_higher_scores_and_not_finite_features_none(method: Method) -> None:
    score = fit_score(method, *clusters(0))
    inside, _ = clusters(1)
    outside = np.random.default_rng(2).normal(size=(50, WIDTH))
    assert score.scores(inside).max() < score.scores(outside).min()
    outside[3, 0] = np.nan
    assert np.flatnonzero(np.isnan(score.scores(outside))).tolist() == [3]


@pytest.mark.parametrize("method", METHODS)
def test_one_image_and_equal_images_have_a_score(method: Method) -> None:
    for count in (1, 4):
        score = fit_score(method, np.ones((count, WIDTH)), np.zeros(count, dtype=np.int64))
        assert np.isfinite(score.scores(np.random.default_rng(0).normal(size=(3, WIDTH)))).all()


def test_a_bank_has_as_many_images_of_each_class_as_possible() -> None:
    targets = np.repeat([0, 1, 2], [9000, 500, 30])
    counts = np.bincount(targets[bank_rows(targets, 1280, 0)])
    assert counts[2] == 30
    assert abs(int(counts[0]) - 599) < 102
    assert counts[1] == 500
    assert counts.sum() == (3 << 20) // 2560


def test_the_threshold_counts_each_group_once() -> None:
    scores = np.array([0.0] * 500 + [float(k) for k in range(1, 40)])
    groups = ["one"] * 500 + [str(k) for k in range(1, 40)]
    # 40 groups of weight 1 / 41: the 39th of them reaches 0.95
    assert inside_threshold(scores, groups) == 38.0
    assert inside_threshold(np.arange(18.0), [str(k) for k in range(18)]) is None
    assert inside_threshold(np.arange(19.0), [str(k) for k in range(19)]) == 18.0


def test_the_auroc_is_that_of_scikit_learn_and_its_interval_needs_groups() -> None:
    rng = np.random.default_rng(0)
    own, other = rng.integers(0, 9, 80).astype(float), rng.integers(3, 12, 50).astype(float)
    names = [str(k // 2) for k in range(80)]
    found = separation(own, names, other, [str(k) for k in range(50)], resamples=200, seed=0)
    truth = np.repeat([0, 1], [80, 50])
    assert found.auroc == pytest.approx(roc_auc_score(truth, np.concatenate([own, other])))
    assert found.interval.low < found.auroc < found.interval.high
    few = separation(own, names, other, [str(k % (FEW_GROUPS - 1)) for k in range(50)], resamples=9, seed=0)
    assert np.isnan(few.interval.low)
    assert np.isnan(separation(own, names, other[:0], [], resamples=9, seed=0).auroc)


def test_a_class_that_is_held_out_is_recognised_if_it_differs() -> None:
    features, targets = clusters(0)
    images, image_targets = clusters(1, each=20)
    for method in METHODS:
        for held in held_out_classes(method, features, targets, images, image_targets):
            assert held.own.max() < held.other.min()
            assert set(image_targets[held.other_rows]) == {held.target}
    assert list(choose_method(features, targets, images, image_targets).values()) == [1.0, 1.0]
    alone = choose_method(features[targets == 0], targets[targets == 0], images[:20], image_targets[:20])
    assert list(alone) == ["knn", "mahalanobis"]
    assert np.isnan(list(alone.values())).all()
