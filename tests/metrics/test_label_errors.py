"""Confident learning against its definitions and on swapped labels; confused pairs of classes."""

from __future__ import annotations

import numpy as np

from heritage.metrics.calibration import softmax
from heritage.metrics.confusion import ConfusionMatrix, confused_pairs
from heritage.metrics.label_errors import class_thresholds, find_label_errors


def test_the_confident_joint_is_that_of_the_paper() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    shares = softmax(random.normal(size=(200, 3)) + 1.5 * np.eye(3)[labels])
    thresholds = [
        np.mean([p[j] for p, label in zip(shares, labels, strict=True) if label == j]) for j in range(3)
    ]
    np.testing.assert_allclose(class_thresholds(shares, labels), thresholds)
    joint = np.zeros((3, 3), dtype=int)
    for p, label in zip(shares, labels, strict=True):
        reached = [j for j in range(3) if p[j] >= thresholds[j]]
        if reached:
            joint[label, max(reached, key=lambda j: p[j])] += 1
    assert find_label_errors(shares, labels).joint.tolist() == joint.tolist()


def test_swapped_labels_come_first() -> None:
    random = np.random.default_rng(2)
    truth = random.integers(0, 4, 500)
    shares = softmax(0.1 * random.normal(size=(500, 4)) + 3 * np.eye(4)[truth])
    swapped = random.choice(500, 25, replace=False)
    labels = truth.copy()
    labels[swapped] = (truth[swapped] + 1) % 4
    errors = find_label_errors(shares, labels)
    assert set(errors.rows[:25]) <= set(swapped)
    assert len(errors.rows) >= 15, "swapped labels with more than average confidence are found"
    assert (errors.suggested == truth[errors.rows]).all()
    assert len(find_label_errors(np.eye(4)[truth], truth).rows) == 0


def test_confused_pairs_by_frequency_and_confidence() -> None:
    targets = np.array([0, 0, 0, 1, 2])
    shares = np.array([[0.2, 0.8, 0], [0.1, 0.9, 0], [0.4, 0, 0.6], [0.9, 0.1, 0], [0, 0, 1]])
    pairs = confused_pairs(targets, shares, images_per_pair=5, max_images=100)
    assert [(one.true, one.predicted, one.count, one.rows) for one in pairs] == [
        (0, 1, 2, (1, 0)), (0, 2, 1, (2,)), (1, 0, 1, (3,)),
    ]  # fmt: skip
    few = confused_pairs(targets, shares, images_per_pair=5, max_images=3)
    assert sum(len(one.rows) for one in few) == 3
    confusion = ConfusionMatrix(np.array([[0, 2, 1], [1, 0, 0], [0, 0, 1]]), ("a", "b", "c"))
    table = confusion.errors_by_class()
    assert table[0] == ("a", 3, [("b", 2), ("c", 1)])
