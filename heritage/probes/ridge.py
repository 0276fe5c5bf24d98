"""Ridge regression to the classes' indicators, for all penalties from one eigendecomposition.

For each penalty α the minimum over W and b of

    Σ w_i · ‖W x_i + b − e(y_i)‖² / Σ w_i  +  α · ‖W‖²

with e(y) the indicator vector of class y: scikit-learn's ``Ridge`` with alpha = α · Σ w_i and sample weights.
With weights by class it is a linear discriminant with a regularised covariance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from heritage.probes.task import ABSENT, Floats, LinearFits, Task


def fit_ridge(task: Task, penalties: Sequence[float]) -> LinearFits:
    """Fit ridge regression for each of S penalties in closed form.

    Args:
        task: Features, classes and weights; the shift is not used, as the loss has no probabilities.
        penalties: α of each setting, positive.
    """
    used = task.balance.weights > 0
    x = torch.from_numpy(np.ascontiguousarray(task.features[used]))
    share = torch.from_numpy(task.balance.weights[used] / task.balance.weights[used].sum())
    indicators = torch.nn.functional.one_hot(torch.from_numpy(task.targets[used]), task.classes).double()
    mean, prior = (share @ x.double()), share @ indicators
    root = share.sqrt().float()[:, None]
    centred = (x - mean.float()) * root
    response = (indicators - prior).float() * root
    wide = centred.shape[0] < centred.shape[1]
    gram = (centred @ centred.T if wide else centred.T @ centred).double()
    variance, vectors = torch.linalg.eigh(gram)
    variance = variance.clamp(min=0)
    against = vectors.T @ (response if wide else centred.T @ response).double()  # (R, K)
    weight: Floats = np.empty((len(penalties), task.classes, x.shape[1]), dtype=np.float32)
    bias: Floats = np.empty((len(penalties), task.classes), dtype=np.float32)
    for number, penalty in enumerate(penalties):
        solution = vectors @ (against / (variance + penalty)[:, None])
        if wide:
            solution = centred.T.double() @ solution
        weight[number] = solution.T.float().numpy()
        bias[number] = (prior - mean @ solution).float().numpy()
    weight[:, ~task.present] = 0
    bias[:, ~task.present] = ABSENT
    count = len(penalties)
    return LinearFits(weight, bias, np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.bool_))
