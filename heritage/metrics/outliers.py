"""Scores of how far an image is from the training images, from the features of a network; higher is farther.

Two scores are known for this: the cosine distance to the nearest training images (Sun, Ming, Zhu and Li,
ICML 2022), and the Mahalanobis distance to the nearest class mean (Lee et al., NeurIPS 2018). Both are
computed from features scaled to length 1, and both are small enough to be stored beside a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from heritage.metrics.bootstrap import FEW_GROUPS, Interval, group_codes, interval
from heritage.metrics.prediction_sets import group_weights

Features = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]
Method = Literal["knn", "mahalanobis"]

METHODS: tuple[Method, ...] = get_args(Method)
INSIDE = 0.95
"""Fraction of groups like those of validation whose images are not found unlike the training images."""

_NEIGHBOURS = 5
_COMPONENTS = 128
_SHRINKAGE = 0.1  # of variances towards their mean: small classes have few images
_BLOCK = 2048
_CHUNK = 64  # resamples at once: bounds the memory of their counts
_BANK_BYTES = 3 << 20  # of features, as float16
_ROUNDING = 1e-9


@dataclass(frozen=True)
class OutlierScore:
    """A fitted score.

    Attributes:
        method: ``knn``: one minus the mean cosine similarity to the five nearest training images.
            ``mahalanobis``: distance to the nearest class mean in a covariance that all classes share:
            variances along principal components, and one variance for all other directions.
        arrays: What was fitted, by name: ``bank`` (M, D); or ``means`` (K, D), ``basis`` (D, P) and
            ``variances`` (P + 1,).
    """

    method: Method
    arrays: Mapping[str, npt.NDArray[np.float32]]

    @property
    def width(self) -> int:
        """Length of a feature vector, D."""
        return int(self.arrays["bank" if self.method == "knn" else "means"].shape[1])

    def scores(self, features: Features) -> Floats:
        """Return the scores of feature vectors (N, D), (N,); NaN where they are not finite."""
        scores = np.full(len(features), np.nan)
        finite = np.isfinite(features).all(axis=1)
        rows = np.flatnonzero(finite)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            unit = _unit(features[block])
            scores[block] = self._nearest(unit) if self.method == "knn" else self._distance(unit)
        return scores

    def _nearest(self, unit: npt.NDArray[np.float32]) -> Floats:
        similarity = unit @ self.arrays["bank"].T
        count = min(_NEIGHBOURS, similarity.shape[1])
        nearest = np.partition(similarity, -count, axis=1)[:, -count:]
        distances: Floats = 1 - nearest.mean(axis=1, dtype=np.float64)
        return distances

    def _distance(self, unit: npt.NDArray[np.float32]) -> Floats:
        means, basis, variances = (self.arrays[name] for name in ("means", "basis", "variances"))
        spread, rest = variances[:-1].astype(np.float64), float(variances[-1])
        distances = []
        for mean in means:
            apart = unit - mean
            along = (apart @ basis).astype(np.float64)
            outside = np.maximum((apart.astype(np.float64) ** 2).sum(axis=1) - (along**2).sum(axis=1), 0)
            distances.append((along**2 / spread).sum(axis=1) + outside / rest)
        nearest: Floats = np.sqrt(np.min(distances, axis=0) / unit.shape[1])
        return nearest


def fit_score(method: Method, features: Features, targets: Targets) -> OutlierScore:
    """Fit a score.

    Args:
        method: ``knn`` or ``mahalanobis``.
        features: Features of training images, finite, (M, D).
        targets: Class positions, (M,); classes without an image are left out.
    """
    unit = _unit(features)
    if method == "knn":
        return OutlierScore(method, {"bank": unit})
    present, places, counts = np.unique(targets, return_inverse=True, return_counts=True)
    members = np.eye(len(present), dtype=np.float32)[places]
    means = members.T @ unit / counts[:, None].astype(np.float32)
    # each class counts the same, however many images it has
    weights = np.sqrt(len(unit) / (len(present) * counts))[places, None].astype(np.float32)
    apart = (unit - means[places]) * weights / np.sqrt(max(len(unit) - len(present), 1))
    basis, values = _principal(apart, min(_COMPONENTS, len(unit), unit.shape[1]))
    total = float((apart**2).sum())
    left = unit.shape[1] - len(values)
    rest = max(total - float(values.sum()), 0.0) / left if left else float(values[-1])
    mean = max(total / unit.shape[1], 1e-12)
    variances = (1 - _SHRINKAGE) * np.append(values, rest) + _SHRINKAGE * mean
    arrays = {"means": means, "basis": basis, "variances": variances}
    return OutlierScore(method, {name: value.astype(np.float32) for name, value in arrays.items()})


def _principal(rows: npt.NDArray[np.float32], count: int) -> tuple[npt.NDArray[np.float32], Floats]:
    """Return the first principal directions (D, P) of rows (M, D), and the sums of squares along them.

    By subspace iteration (Halko, Martinsson and Tropp 2011): far faster than all eigenvectors.
    """
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((rows.shape[1], min(count + 16, rows.shape[1]))).astype(np.float32)
    for _ in range(4):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    left, values, turn = np.linalg.svd(rows @ basis, full_matrices=False)
    del left
    directions: npt.NDArray[np.float32] = (basis @ turn.T)[:, :count]
    return directions, values[:count].astype(np.float64) ** 2


def bank_rows(targets: Targets, width: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the training images that scores are fitted on, ascending: as many of each class as possible.

    Args:
        targets: Class positions of all training images, (N,).
        width: Length of a feature vector: a bank has at most some 3 MB.
        seed: Random seed of the choice.
    """
    most = max(_BANK_BYTES // (2 * width), 1)
    order = np.random.default_rng(seed).permutation(len(targets))
    turns = np.zeros(len(targets), dtype=np.int64)  # the first image of each class, then the second of each
    for k in np.unique(targets):
        own = order[targets[order] == k]
        turns[own] = np.arange(len(own))
    return np.sort(order[np.argsort(turns[order], kind="stable")][:most])


def inside_threshold(scores: Floats, groups: Sequence[str], share: float = INSIDE) -> float | None:
    """Return the score up to which an image is like those of training; None if the groups are too few.

    Each of the G groups counts once and has the weight 1 / (G + 1), as in
    `heritage.metrics.prediction_sets`, so an image of a new group of this kind has a score above the
    threshold with a probability of at most ``1 - share``, on average.

    Args:
        scores: Of validation images, (N,).
        groups: The group of each image, length N.
        share: The fraction that is to be inside.
    """
    if not len(scores):
        return None
    codes = group_codes(groups)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(group_weights(codes)[order]) / (int(codes.max()) + 2)
    enough = np.flatnonzero(reached >= share - _ROUNDING)
    return float(scores[order[enough[0]]]) if len(enough) else None


@dataclass(frozen=True)
class Separation:
    """How well scores tell two sets of images apart.

    Attributes:
        auroc: Probability that an image of the other set has the higher score; NaN if a set is empty.
        interval: 95 % bootstrap interval over groups; NaN if a set has fewer than `FEW_GROUPS` of them.
        images: Images of the other set.
        groups: Groups of the other set.
    """

    auroc: float
    interval: Interval
    images: int
    groups: int


def separation(
    own: Floats,
    own_groups: Sequence[str],
    other: Floats,
    other_groups: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> Separation:
    """Measure how well scores tell other images from those like the training images.

    Args:
        own: Scores of images like those of training, (N,).
        own_groups: Their groups, length N.
        other: Scores of other images, (M,).
        other_groups: Their groups, length M.
        resamples: Resamples of the groups of both sets.
        seed: Their random seed.
    """
    nothing = Interval(float("nan"), float("nan"))
    if not len(own) or not len(other):
        return Separation(float("nan"), nothing, len(other), len(set(other_groups)))
    ours, theirs = group_codes(own_groups), group_codes(other_groups)
    counts = int(ours.max()) + 1, int(theirs.max()) + 1
    area = float(_auroc(own, other, np.ones((1, len(own))), np.ones((1, len(other))))[0])
    if min(counts) < FEW_GROUPS or not resamples:
        return Separation(area, nothing, len(other), counts[1])
    rng = np.random.default_rng(seed)
    areas = []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        weights = [
            rng.multinomial(count, np.full(count, 1 / count), size=size)[:, codes].astype(np.float64)
            for count, codes in zip(counts, (ours, theirs), strict=True)
        ]
        areas.append(_auroc(own, other, *weights))
    return Separation(area, interval(np.concatenate(areas)), len(other), counts[1])


def _auroc(own: Floats, other: Floats, own_weights: Floats, other_weights: Floats) -> Floats:
    """Return the weighted AUROC of each row of weights (R, N) and (R, M); equal scores count half."""
    order = np.argsort(own, kind="stable")
    below = np.concatenate(
        [np.zeros((len(own_weights), 1)), np.cumsum(own_weights[:, order], axis=1)], axis=1
    )
    left, right = (np.searchsorted(own[order], other, side=side) for side in ("left", "right"))
    wins = (below[:, left] + below[:, right]) / 2
    areas: Floats = (wins * other_weights).sum(axis=1) / (below[:, -1] * other_weights.sum(axis=1))
    return areas


@dataclass(frozen=True)
class HeldOutClass:
    """Scores that were fitted without the images of one class.

    Attributes:
        target: The class.
        own: Scores of the images of other classes.
        own_rows: Their rows.
        other: Scores of the images of the class.
        other_rows: Their rows.
    """

    target: int
    own: Floats
    own_rows: npt.NDArray[np.int64]
    other: Floats
    other_rows: npt.NDArray[np.int64]


def held_out_classes(
    method: Method, features: Features, targets: Targets, images: Features, image_targets: Targets
) -> list[HeldOutClass]:
    """Hold each class out in turn: fit the score without it, and score all images.

    Args:
        method: The score.
        features: Features that scores are fitted on, (M, D).
        targets: Their classes, (M,).
        images: Features of other images, finite, (N, D).
        image_targets: Their classes, (N,).
    """
    results = []
    for k in np.unique(image_targets).tolist():
        rest = targets != k
        if not rest.any() or not (image_targets != k).any():
            continue
        scores = fit_score(method, features[rest], targets[rest]).scores(images)
        own, other = (np.flatnonzero(part) for part in (image_targets != k, image_targets == k))
        results.append(HeldOutClass(k, scores[own], own, scores[other], other))
    return results


def choose_method(
    features: Features, targets: Targets, images: Features, image_targets: Targets
) -> dict[Method, float]:
    """Return the mean AUROC of each score over classes held out in turn, the best first.

    With fewer than two classes nothing can be measured; ``knn`` is then first, with NaN.

    Args:
        features: Features of training images, (M, D).
        targets: Their classes, (M,).
        images: Features of validation images, finite, (N, D).
        image_targets: Their classes, (N,).
    """
    found: dict[Method, float] = {}
    for method in METHODS:
        held_out = held_out_classes(method, features, targets, images, image_targets)
        areas = [
            float(_auroc(one.own, one.other, np.ones((1, len(one.own))), np.ones((1, len(one.other))))[0])
            for one in held_out
        ]
        found[method] = float(np.mean(areas)) if areas else float("nan")
    return dict(sorted(found.items(), key=lambda one: -np.nan_to_num(one[1], nan=0.0)))


def _unit(features: Features) -> npt.NDArray[np.float32]:
    values = features.astype(np.float32)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = values / np.maximum(length, 1e-12)
    return scaled
