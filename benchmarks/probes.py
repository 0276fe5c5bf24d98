"""Settings of a probe per second, and the ratio to scikit-learn in the same run.

    python -m benchmarks.probes                                          14,223 × 1,280 features, 100 settings
    python -m benchmarks.probes --images 2000 --width 256 --settings 20 --folds 2   some seconds

The features are drawn: six overlapping classes as frequent as in met-ceramics, and correlated axes with a
decaying spectrum, as a network's features have. A setting is one penalty of logistic regression and one kind
of standardisation. Three durations are printed: all settings fitted to the whole set once; all settings in a
cross-validation, which fits each of them once for each fold; and some of them by scikit-learn's
``LogisticRegression`` (lbfgs with its default tolerance, same objective), one by one, with the share of
predictions that agree. Only the ratios mean anything on a shared machine.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from heritage.probes.heads import LogisticProbe, RidgeProbe
from heritage.probes.scaling import Scaling
from heritage.probes.selection import TrainingSplit, cross_validate
from heritage.probes.task import Balance, Classes, Floats, Task

_SHARES = (0.42, 0.22, 0.14, 0.11, 0.07, 0.04)


def draw(images: int, width: int, seed: int = 0) -> tuple[Floats, Classes]:
    """Return features (N, D) and their classes (N,)."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1) ** -0.6
    targets = random.choice(len(_SHARES), images, p=_SHARES)
    centres = 0.2 * random.normal(size=(len(_SHARES), width)) * spectrum
    latent = centres[targets] + random.normal(size=(images, width)) * spectrum
    rotation = np.linalg.qr(random.normal(size=(width, width)))[0]
    return (latent @ rotation).astype(np.float32), targets


def main() -> None:
    """Print the durations and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=14_223)
    parser.add_argument("--width", type=int, default=1_280)
    parser.add_argument("--settings", type=int, default=100)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--references", type=int, default=3, help="settings that scikit-learn fits")
    chosen = parser.parse_args()
    features, targets = draw(chosen.images, chosen.width)
    classes, penalties = len(_SHARES), np.logspace(0, -5, chosen.settings // 2).tolist()
    probe = LogisticProbe(penalties, [True, False])

    def balance_of(rows: Classes) -> Balance:
        return Balance(np.ones(len(rows)), np.zeros(classes))

    everything = Task(features, targets, classes, balance_of(targets))
    print(
        f"{chosen.images:,} × {chosen.width:,} features, {classes} classes, {torch.get_num_threads()} threads"
    )
    began = time.perf_counter()
    scores = probe.scores(everything, features)
    ours = (time.perf_counter() - began) / len(probe.settings)
    total = ours * len(probe.settings)
    print(f"{len(probe.settings)} settings, fitted once each: {total:.1f} s, {1 / ours:.2f} a second")

    groups = np.arange(chosen.images).astype(np.str_)
    split = TrainingSplit(features, targets, groups, [str(k) for k in range(classes)], balance_of)
    for name, kind in (("logistic", probe), ("ridge", RidgeProbe(penalties, [True, False]))):
        began = time.perf_counter()
        validation = cross_validate(kind, split, np.arange(chosen.images) % chosen.folds)
        seconds = time.perf_counter() - began
        best = validation.metrics[validation.best]["macro_f1"]
        count = len(kind.settings)
        print(f"{name}: {count} settings in {chosen.folds}-fold cross-validation: {seconds:.1f} s, "
              f"{count / seconds:.2f} a second; best macro-F1 {best:.3f}")  # fmt: skip

    scaled = Scaling.of(features, each=True).apply(features)
    durations = []
    for number in np.linspace(0, len(penalties) - 1, chosen.references).astype(int):
        reference = LogisticRegression(C=1 / (penalties[number] * chosen.images), max_iter=1000)
        began = time.perf_counter()
        reference.fit(scaled, targets)
        durations.append(time.perf_counter() - began)
        agreement = (reference.predict(scaled) == scores[number].argmax(axis=1)).mean()
        print(f"scikit-learn, penalty {penalties[number]:.2g}: {durations[-1]:.1f} s; "
              f"{agreement:.4f} of the predictions agree")  # fmt: skip
    print(f"ratio of the durations of one fit: {np.mean(durations) / ours:.1f}")


if __name__ == "__main__":
    main()
