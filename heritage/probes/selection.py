"""Choose a probe's setting by cross-validation with whole groups, then fit it to all training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.core.group_split import assign_groups
from heritage.core.numbers import counted
from heritage.errors import ConfigError, TrainingError
from heritage.metrics.calibration import cross_entropy
from heritage.metrics.registry import metrics_of_confusion
from heritage.probes.heads import Fitted, Probe, Setting
from heritage.probes.task import ABSENT, Balance, Classes, Floats, Task

METRIC = "macro_f1"
"""The metric, over the pooled predictions of all folds, by which a setting is chosen."""

TABLE_METRICS = ("macro_f1", "balanced_accuracy", "accuracy")

_SCALES = np.logspace(-1, 3, 401)
_REAL = 1e-9  # two values of a metric that differ by less are equal

BalanceOf = Callable[[Classes], Balance]
"""Rows of the training split, (n,), to their balance: weights (n,) and shift."""


@dataclass(frozen=True)
class CrossValidation:
    """Results of all settings.

    Attributes:
        settings: The grid, S.
        metrics: For each setting, the `TABLE_METRICS` of the pooled predictions and ``deviation``, the
            standard deviation of the folds' `METRIC`.
        folds: Number of folds.
        notes: What the folds cannot show.
    """

    settings: tuple[Setting, ...]
    metrics: tuple[dict[str, float], ...]
    folds: int
    notes: tuple[str, ...]

    @property
    def best(self) -> int:
        """The first of the settings with the largest `METRIC`."""
        values = np.array([row[METRIC] for row in self.metrics])
        return int(np.flatnonzero(values >= values.max() - _REAL)[0])


@dataclass(frozen=True)
class Selected:
    """A fitted probe.

    Attributes:
        fitted: The head.
        setting: Its setting.
        validation: The cross-validation; None if one setting was given and there is one group.
    """

    fitted: Fitted
    setting: Setting
    validation: CrossValidation | None


@dataclass(frozen=True)
class TrainingSplit:
    """The training images.

    Attributes:
        features: (N, D).
        targets: Class positions (N,).
        groups: Group of each image, (N,); images of a group are never in different folds.
        classes: Class names, K.
        balance_of: The balance of some of the images.
    """

    features: Floats
    targets: Classes
    groups: npt.NDArray[np.str_]
    classes: Sequence[str]
    balance_of: BalanceOf

    def task(self, rows: Classes) -> Task:
        """Return the task of fitting to some of the images."""
        return Task(self.features[rows], self.targets[rows], len(self.classes), self.balance_of(rows))

    def check(self) -> None:
        """Refuse a split that no head can be fitted to.

        Raises:
            TrainingError: A feature is not finite, there is only one class, or a class has no image.
        """
        if not np.isfinite(self.features).all():
            raise TrainingError(
                f"the features of {counted(int((~np.isfinite(self.features)).any(axis=1).sum()), 'image')} "
                "are not finite",
                where="finetune=probe",
                remedy="use a precision of 32-true, or other weights",
            )
        if len(np.unique(self.targets)) < 2:
            raise TrainingError(
                "all training images are of one class",
                where="finetune=probe",
                remedy="a probe needs two classes: check data.classes and data/split",
            )
        counts = np.bincount(self.targets, minlength=len(self.classes))
        if absent := [name for name, count in zip(self.classes, counts.tolist(), strict=True) if not count]:
            raise TrainingError(
                f"no training image of {', '.join(absent)} has features",
                where="finetune=probe",
                remedy="check that its files can be read, or shorten data.classes",
            )


def fit_probe(
    probe: Probe,
    split: TrainingSplit,
    folds: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Selected:
    """Choose the setting by cross-validation and fit it to the whole training split.

    Args:
        probe: The kind of head with its grid.
        split: The training images.
        folds: Number of folds, at most as many as there are groups.
        seed: Random seed of the folds.
        progress: Called with the number of finished folds and of all.

    Raises:
        ConfigError: There is a choice to make and only one group.
        TrainingError: The features or classes are unsuitable.
    """
    split.check()
    fold_of = _folds(split, folds, seed)
    validation, setting, scale = None, probe.settings[0], 1.0
    if len(np.unique(fold_of)) > 1:
        validation = cross_validate(probe, split, fold_of, progress)
        setting = validation.settings[validation.best]
        scale = 1.0 if probe.calibrated else _best_scale(probe.only(setting), split, fold_of)
    elif len(probe.settings) > 1:
        raise ConfigError(
            f"each class's training images are of one group: none of {len(probe.settings)} settings can be "
            "validated on others",
            where="finetune=probe",
            remedy="give one value to each list of the probe, such as finetune.penalty=[0.01]",
        )
    everything = np.arange(len(split.targets))
    return Selected(probe.fit(split.task(everything), setting).scaled(scale), setting, validation)


def _folds(split: TrainingSplit, folds: int, seed: int) -> Classes:
    """Return the fold of each image, (N,); fewer folds than wanted if there are fewer groups."""
    codes = np.unique(split.groups, return_inverse=True)[1]
    count = min(folds, int(codes.max()) + 1)
    return assign_groups(split.targets, codes, split.groups.tolist(), [1 / count] * count, seed)


def cross_validate(
    probe: Probe,
    split: TrainingSplit,
    fold_of: Classes,
    progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Predict every fold by probes that were fitted to the others.

    Args:
        probe: The kind of head with its grid.
        split: The training images.
        fold_of: The fold of each image, (N,).
        progress: Called with the number of finished folds and of all.
    """
    classes, folds = len(split.classes), np.unique(fold_of)
    confusions = np.zeros((len(folds), len(probe.settings), classes, classes), dtype=np.int64)
    for number, fold in enumerate(folds):
        held_out = np.flatnonzero(fold_of == fold)
        task = split.task(np.flatnonzero(fold_of != fold))
        predicted = probe.scores(task, split.features[held_out]).argmax(axis=2)
        cells = split.targets[held_out] * classes + predicted
        for row, values in enumerate(cells):
            confusions[number, row] = np.bincount(values, minlength=classes**2).reshape(classes, classes)
        if progress is not None:
            progress(number + 1, len(folds))
    rows = []
    for setting in range(len(probe.settings)):
        pooled = metrics_of_confusion(confusions[:, setting].sum(axis=0))
        single = [metrics_of_confusion(confusion)[METRIC] for confusion in confusions[:, setting]]
        rows.append({name: pooled[name] for name in TABLE_METRICS} | {"deviation": float(np.std(single))})
    return CrossValidation(probe.settings, tuple(rows), len(folds), tuple(_fold_notes(split, fold_of)))


def _fold_notes(split: TrainingSplit, fold_of: Classes) -> list[str]:
    """Return which classes are in one fold only, so that no other fold can predict them."""
    lonely = [
        name for k, name in enumerate(split.classes) if len(np.unique(fold_of[split.targets == k])) == 1
    ]
    if not lonely:
        return []
    names = ", ".join(lonely)
    return [f"cross-validation cannot predict {names}: all its training images are in one fold (one group)"]


def _best_scale(probe: Probe, split: TrainingSplit, fold_of: Classes) -> float:
    """Return the factor of the logits with the smallest log loss on the held-out images of all folds."""
    logits = np.zeros((len(split.targets), len(split.classes)), dtype=np.float64)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        task = split.task(np.flatnonzero(~held_out))
        logits[held_out] = probe.scores(task, split.features[held_out])[0]
    known = logits[np.arange(len(logits)), split.targets] > ABSENT
    logits, targets = logits[known], split.targets[known]
    losses = [cross_entropy(scale * logits, targets).mean() for scale in _SCALES]
    return float(_SCALES[int(np.argmin(losses))])
