"""The four probes against scikit-learn, or against the formula by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestCentroid

from heritage.probes.logistic import LOOSE, Axes, fit_logistic
from heritage.probes.neighbours import fit_neighbours
from heritage.probes.prototypes import fit_prototypes
from heritage.probes.ridge import fit_ridge
from heritage.probes.scaling import Scaling, unit
from heritage.probes.task import ABSENT, Balance, Floats, Task

CLASSES = 4


def task(images: int = 300, width: int = 24, *, seed: int = 0, weighted: bool = False) -> Task:
    """Return overlapping classes of different sizes with correlated features."""
    random = np.random.default_rng(seed)
    targets = random.choice(CLASSES, images, p=[0.55, 0.25, 0.15, 0.05])
    centres = random.normal(size=(CLASSES, width)) * 0.7
    features = (random.normal(size=(images, width)) + centres[targets]) @ random.normal(size=(width, width))
    weights = random.uniform(0.2, 3.0, images) if weighted else np.ones(images)
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    return Task(standardised.astype(np.float32), targets, CLASSES, Balance(weights, np.zeros(CLASSES)))


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


@pytest.mark.parametrize(("images", "width"), [(300, 24), (60, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_regression_is_scikit_learns(images: int, width: int, *, weighted: bool) -> None:
    one = task(images, width, weighted=weighted)
    penalties = [1.0, 0.1, 0.01, 0.001]
    fits = fit_logistic(one, penalties, dtype=torch.float64)
    assert fits.converged.all()
    total = one.balance.weights.sum()
    for number, penalty in enumerate(penalties):
        reference = LogisticRegression(C=1 / (penalty * total), tol=1e-10, max_iter=5000)
        reference.fit(one.features.astype(np.float64), one.targets, one.balance.weights)
        np.testing.assert_allclose(fits.weight[number], reference.coef_, atol=2e-4)
        probabilities = softmax(fits.scores(one.features)[number])
        np.testing.assert_allclose(probabilities, reference.predict_proba(one.features), atol=2e-4)


def test_the_loose_fit_in_single_precision_predicts_as_the_tight_one() -> None:
    one, penalties = task(600, 40), np.logspace(-5, 1, 13).tolist()
    loose = fit_logistic(one, penalties, tolerance=LOOSE)
    tight = fit_logistic(one, penalties, dtype=torch.float64)
    assert loose.converged.all()
    assert int(loose.iterations.max()) < 60
    held_out = task(400, 40, seed=0).features
    agreement = loose.scores(held_out).argmax(axis=2) == tight.scores(held_out).argmax(axis=2)
    assert agreement.mean() > 0.995


def test_a_shift_of_the_logits_is_balanced_softmax() -> None:
    one = task()
    prior = np.log(np.bincount(one.targets) / len(one.targets))
    shifted = Task(one.features, one.targets, CLASSES, Balance(one.balance.weights, prior))
    # with strong shrinkage only the intercepts count: shifted by the prior they are equal
    fits = fit_logistic(shifted, [1e6], dtype=torch.float64)
    np.testing.assert_allclose(fits.bias[0] - fits.bias[0].mean(), 0, atol=1e-4)
    plain = fit_logistic(one, [1e6], dtype=torch.float64)
    np.testing.assert_allclose(plain.bias[0] - plain.bias[0].mean(), prior - prior.mean(), atol=1e-4)


def test_weights_are_repetitions_of_images() -> None:
    one = task(80, 6)
    counts = np.random.default_rng(1).integers(0, 4, 80)
    weighted = Task(one.features, one.targets, CLASSES, Balance(counts.astype(np.float64), np.zeros(CLASSES)))
    rows = np.repeat(np.arange(80), counts)
    repeated = Task(
        one.features[rows], one.targets[rows], CLASSES, Balance(np.ones(len(rows)), np.zeros(CLASSES))
    )
    for first, second in (
        (
            fit_logistic(weighted, [0.01], dtype=torch.float64),
            fit_logistic(repeated, [0.01], dtype=torch.float64),
        ),
        (fit_ridge(weighted, [0.01]), fit_ridge(repeated, [0.01])),
    ):
        np.testing.assert_allclose(first.weight, second.weight, atol=1e-4)
        np.testing.assert_allclose(first.bias, second.bias, atol=1e-4)


@pytest.mark.parametrize(("images", "width"), [(300, 24), (60, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_regression_is_scikit_learns(images: int, width: int, *, weighted: bool) -> None:
    one = task(images, width, weighted=weighted)
    penalties = [1.0, 0.01]
    fits = fit_ridge(one, penalties)
    for number, penalty in enumerate(penalties):
        reference = Ridge(alpha=penalty * one.balance.weights.sum())
        reference.fit(one.features, np.eye(CLASSES)[one.targets], one.balance.weights)
        np.testing.assert_allclose(fits.weight[number], reference.coef_, atol=2e-4)
        np.testing.assert_allclose(fits.bias[number], reference.intercept_, atol=2e-4)


def test_a_class_without_images_is_never_predicted() -> None:
    one = task()
    without = Balance(np.where(one.targets == 2, 0.0, 1.0), np.zeros(CLASSES))
    half = Task(one.features, one.targets, CLASSES, without)
    assert half.present.tolist() == [True, True, False, True]
    for fits in (fit_logistic(half, [0.01]), fit_ridge(half, [0.01])):
        assert 2 not in fits.scores(one.features)[0].argmax(axis=1)
        assert fits.bias[0, 2] == ABSENT
    prototypes = fit_prototypes(
        one.features[one.targets != 2], one.targets[one.targets != 2], CLASSES, centre=True
    )
    assert 2 not in prototypes.scores(one.features).argmax(axis=1)


def test_constant_features_and_a_single_class_do_not_break_a_fit() -> None:
    one = task(50, 5)
    flat = one.features.copy()
    flat[:, 0] = 3.0
    scaling = Scaling.of(flat, each=True)
    scaled = Task(scaling.apply(flat), one.targets, CLASSES, one.balance)
    assert np.isfinite(fit_logistic(scaled, [0.1]).weight).all()
    single = Task(one.features, np.full(50, 1), CLASSES, one.balance)
    assert (fit_logistic(single, [0.1]).scores(one.features)[0].argmax(axis=1) == 1).all()


def test_standardisation_is_folded_into_the_weights() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(size=(200, 7)) * [1, 10, 0.1, 1, 1, 5, 0.01] + 4).astype(np.float32)
    weight, bias = random.normal(size=(3, 7)).astype(np.float32), np.ones(3, dtype=np.float32)
    for each in (True, False):
        scaling = Scaling.of(features, each=each)
        expected = scaling.apply(features) @ weight.T + bias
        raw, offset = scaling.fold(weight, bias)
        np.testing.assert_allclose(features @ raw.T + offset, expected, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(Scaling.of(features, each=True).apply(features).std(axis=0), 1, rtol=1e-4)


def test_axes_are_principal_components() -> None:
    for images, width in ((100, 12), (10, 30)):
        features = torch.randn(images, width, dtype=torch.float64)
        axes = Axes.of(features)
        coordinates = axes.project(features)
        assert coordinates.shape == (images, min(images - 1, width) + 1)
        covariance = coordinates[:, :-1].T @ coordinates[:, :-1] / images
        torch.testing.assert_close(covariance, torch.diag(axes.variance), atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(coordinates[:, :-1] @ axes.axes.T + axes.mean, features)


def test_prototypes_are_mean_directions() -> None:
    one = task()
    fitted = fit_prototypes(one.features, one.targets, CLASSES, centre=False)
    directions = unit(one.features)
    reference = NearestCentroid().fit(directions, one.targets).centroids_
    np.testing.assert_allclose(fitted.vectors, unit(reference), atol=1e-5)
    assert not fitted.mean.any()
    centred = fit_prototypes(one.features + 5, one.targets, CLASSES, centre=True)
    np.testing.assert_allclose(centred.scores(one.features + 5), fit_prototypes(
        one.features, one.targets, CLASSES, centre=True).scores(one.features), atol=1e-4)  # fmt: skip


def test_neighbours_vote_as_the_formula_says() -> None:
    one = task(120, 10)
    stored = fit_neighbours(one.features, one.targets, np.array([1.0, 2.0, 0.5, 1.0]), centre=True)
    queries = task(20, 10, seed=3).features
    logits = stored.scores(queries, [(7, 0.1), (30, 0.5)])
    for row, query in enumerate(unit(queries - stored.mean).astype(np.float64)):
        cosines = stored.features.astype(np.float64) @ query
        for number, (count, temperature) in enumerate([(7, 0.1), (30, 0.5)]):
            near = np.argsort(-cosines)[:count]
            votes = np.bincount(one.targets[near], np.exp(cosines[near] / temperature), minlength=CLASSES)
            votes *= np.array([1.0, 2.0, 0.5, 1.0])
            np.testing.assert_allclose(np.exp(logits[number, row]), votes / votes.sum(), atol=1e-4)
