"""Multinomial logistic regression with an L2 penalty, for many penalties at once.

For each penalty α the minimum over W and b of

    Σ w_i · −log softmax(W x_i + b + shift)_{y_i} / Σ w_i  +  α/2 · ‖W‖²

which is scikit-learn's ``LogisticRegression`` with C = 1 / (α · Σ w_i). The intercept is not penalised.

All penalties are fitted together by L-BFGS (Liu & Nocedal 1989), so that each iteration is one product of the
features with a (D, K·S) matrix and one with its transpose. Two things keep the iterations few:

* Features are rotated onto their principal axes, where the Hessian is nearly diagonal: about c_k · λ_j + α
  for class k and axis j, with λ_j the variance and c_k the mean of p_k (1 − p_k). Its inverse is the first
  approximation of L-BFGS in every iteration. The penalty does not depend on the rotation.
* Penalties that have converged leave the computation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from heritage.probes.task import ABSENT, Floats, LinearFits, Task

LOOSE, TIGHT = 3e-3, 1e-6
"""Tolerances of cross-validation and of the final fit: √(gᵀ H⁻¹ g), about the root of what is left."""

_MEMORY = 8  # pairs of L-BFGS
_BLOCK = 2048  # rows at once: their logits stay in the cache
_SMALLEST_VARIANCE = 1e-9  # of an axis over that of the first: rounding, not data
_SMALLEST_CURVATURE = 1e-4
_HALVINGS = 12


@dataclass(frozen=True)
class Axes:
    """Principal axes of centred features.

    Attributes:
        mean: (D,).
        axes: Orthonormal columns (D, R), R at most D: those with variance.
        variance: Along each axis, (R,).
    """

    mean: Tensor
    axes: Tensor
    variance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Axes:
        """Compute the axes of features (N, D)."""
        mean = features.mean(dim=0)
        centred = features - mean
        wide = centred.shape[0] < centred.shape[1]
        gram = (centred @ centred.T if wide else centred.T @ centred).double() / len(features)
        variance, vectors = torch.linalg.eigh(gram)
        kept = variance > _SMALLEST_VARIANCE * variance[-1].clamp(min=1e-30)
        variance, vectors = variance[kept], vectors[:, kept]
        if wide:
            vectors = centred.double().T @ vectors / (variance * len(features)).sqrt()
        return cls(mean, vectors.to(features.dtype), variance.to(features.dtype))

    def project(self, features: Tensor) -> Tensor:
        """Return coordinates (N, R + 1) of features (N, D): along the axes, and a constant 1."""
        coordinates = (features - self.mean) @ self.axes
        return torch.cat([coordinates, coordinates.new_ones(len(features), 1)], dim=1)


def fit_logistic(
    task: Task,
    penalties: Sequence[float],
    *,
    tolerance: float = TIGHT,
    max_iterations: int = 1000,
    dtype: torch.dtype = torch.float32,
) -> LinearFits:
    """Fit logistic regression for each of S penalties.

    Args:
        task: Features, classes and weights.
        penalties: α of each setting, positive.
        tolerance: √(gᵀ H⁻¹ g) at which a setting has converged, with g the gradient of the objective.
        max_iterations: Settings that have not converged by then are returned as they are.
        dtype: float32 is enough for the choice of a penalty; float64 for the final fit.
    """
    used = task.balance.weights > 0
    present = np.flatnonzero(task.present)
    features = torch.from_numpy(np.ascontiguousarray(task.features[used])).to(dtype)
    axes = Axes.of(features)
    problem = _Problem(
        axes.project(features),
        torch.from_numpy(np.searchsorted(present, task.targets[used])),
        torch.from_numpy(task.balance.weights[used] / task.balance.weights[used].sum()).to(dtype),
        torch.from_numpy(task.balance.shift[present]).to(dtype),
        torch.cat([axes.variance, axes.variance.new_ones(1)]),
    )
    solver = _Lbfgs(problem, torch.tensor(list(penalties), dtype=dtype), tolerance)
    solver.run(max_iterations)
    weight = solver.weights[:, :, :-1] @ axes.axes.T  # (K', S, D)
    intercept = solver.weights[:, :, -1]
    intercept = intercept - intercept.mean(dim=0)  # what all classes share has no effect
    bias = intercept - weight @ axes.mean
    return _with_absent_classes(task.classes, present, weight, bias, solver)


def _with_absent_classes(
    classes: int,
    present: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    weight: Tensor,
    bias: Tensor,
    solver: _Lbfgs,
) -> LinearFits:
    settings, width = weight.shape[1:]
    whole: Floats = np.zeros((settings, classes, width), dtype=np.float32)
    offsets: Floats = np.full((settings, classes), ABSENT, dtype=np.float32)
    whole[:, present] = weight.transpose(0, 1).float().numpy()
    offsets[:, present] = bias.T.float().numpy()
    return LinearFits(whole, offsets, solver.iterations.numpy(), solver.converged.numpy())


@dataclass(frozen=True)
class _Problem:
    """The objective without penalty, on R + 1 coordinates of n images."""

    coordinates: Tensor  # (n, R + 1)
    targets: Tensor  # (n,)
    weights: Tensor  # (n,), with sum 1
    shift: Tensor  # (K,)
    variance: Tensor  # (R + 1,)

    def evaluate(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses (S,), gradients (K, S, R + 1) and mean curvatures (K, S) at weights (K, S, R + 1)."""
        classes, settings, width = weights.shape
        matrix = weights.reshape(classes * settings, width)
        loss = weights.new_zeros(settings)
        gradient = torch.zeros_like(matrix)
        curvature = weights.new_zeros(classes, settings)
        for start in range(0, len(self.targets), _BLOCK):
            part = slice(start, start + _BLOCK)
            x, y, share = self.coordinates[part], self.targets[part], self.weights[part]
            logits = (x @ matrix.T).view(len(x), classes, settings) + self.shift[:, None]
            log_p = logits.log_softmax(dim=1)
            own = torch.arange(len(x))
            loss -= share @ log_p[own, y]
            p = log_p.exp_()
            weighted = p * share[:, None, None]
            curvature += weighted.sum(dim=0) - (weighted * p).sum(dim=0)
            weighted[own, y] -= share[:, None]
            gradient.addmm_(weighted.view(len(x), -1).T, x)
        return loss, gradient.view_as(weights), curvature


class _Lbfgs:
    """L-BFGS on many penalties of one problem; the settings that still run are ``active``."""

    def __init__(self, problem: _Problem, penalties: Tensor, tolerance: float) -> None:
        self.problem = problem
        self.tolerance = tolerance
        classes, width = len(problem.shift), len(problem.variance)
        self.weights = penalties.new_zeros(classes, len(penalties), width)
        self.iterations = torch.zeros(len(penalties), dtype=torch.int64)
        self.converged = torch.zeros(len(penalties), dtype=torch.bool)
        self.penalties = penalties
        self.penalised = torch.cat([problem.variance.new_ones(width - 1), problem.variance.new_zeros(1)])

    def run(self, max_iterations: int) -> None:
        """Iterate until every setting has converged, or cannot be improved, or the limit is reached."""
        active = torch.arange(len(self.penalties))
        w = self.weights.clone()
        value, gradient, curvature = self._objective(w, self.penalties)
        pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        for iteration in range(1, max_iterations + 1):
            inverse = self._inverse_diagonal(curvature, self.penalties[active])
            done = _dot(gradient, inverse * gradient).sqrt() <= self.tolerance
            direction = -_two_loops(gradient, inverse, pairs)
            w_next, value_next, gradient_next, curvature, stuck = self._step(
                w, value, gradient, direction, active, done
            )
            self.converged[active] = done
            self.iterations[active] = iteration - 1
            step, change = w_next - w, gradient_next - gradient
            product = _dot(step, change)
            rho = torch.where(product > 1e-12 * _dot(change, change), 1 / product, torch.zeros_like(product))
            pairs = [*pairs[-_MEMORY + 1 :], (step, change, rho)]
            w, value, gradient = w_next, value_next, gradient_next
            self.weights[:, active] = w
            keep = ~(done | stuck)
            if not keep.all():
                active, w, value, gradient = active[keep], w[:, keep], value[keep], gradient[:, keep]
                curvature = curvature[:, keep]
                pairs = [(s[:, keep], y[:, keep], r[keep]) for s, y, r in pairs]
            if not len(active):
                return
        self.iterations[active] = max_iterations

    def _objective(self, w: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, gradient, curvature = self.problem.evaluate(w)
        ridge = penalties[:, None] * self.penalised * w
        return loss + _dot(ridge, w) / 2, gradient + ridge, curvature

    def _inverse_diagonal(self, curvature: Tensor, penalties: Tensor) -> Tensor:
        """Return 1 / (c_k · λ_j + α), (K, S, R + 1)."""
        c = curvature.clamp(min=_SMALLEST_CURVATURE)[:, :, None]
        return 1 / (c * self.problem.variance + penalties[:, None] * self.penalised)

    def _step(
        self, w: Tensor, value: Tensor, gradient: Tensor, direction: Tensor, active: Tensor, done: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Halve the step of each setting until its objective decreases enough (Armijo)."""
        slope = _dot(gradient, direction)
        noise = 8 * torch.finfo(value.dtype).eps * value.abs()
        size = (~done).to(value.dtype)
        penalties = self.penalties[active]
        w_next = w + size[:, None] * direction
        f, g, c = self._objective(w_next, penalties)
        for _ in range(_HALVINGS):
            failed = ~done & ~(f <= value + 1e-4 * size * slope + noise)
            if not failed.any():
                return w_next, f, g, c, torch.zeros_like(done)
            size = torch.where(failed, size / 2, size)
            w_next[:, failed] = w[:, failed] + size[failed, None] * direction[:, failed]
            f[failed], g[:, failed], c[:, failed] = self._objective(w_next[:, failed], penalties[failed])
        failed = ~done & ~(f <= value + noise)
        w_next[:, failed], f[failed], g[:, failed] = w[:, failed], value[failed], gradient[:, failed]
        return w_next, f, g, c, failed


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of each setting, (S,)."""
    return torch.einsum("ksd,ksd->s", a, b)


def _two_loops(gradient: Tensor, inverse: Tensor, pairs: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Return the product of the approximate inverse Hessian with the gradient (Nocedal & Wright, 7.4)."""
    q = gradient.clone()
    factors = []
    for step, change, rho in reversed(pairs):
        factor = rho * _dot(step, q)
        q -= factor[:, None] * change
        factors.append(factor)
    q *= inverse
    for (step, change, rho), factor in zip(pairs, reversed(factors), strict=True):
        q += (factor - rho * _dot(change, q))[:, None] * step
    return q
