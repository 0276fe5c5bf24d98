"""Difficulty of the demo set: colour and background alone must not reveal the class."""

from __future__ import annotations

import csv
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from heritage.core.image_io import decode
from heritage.demo import write_demo_dataset

Pixels = npt.NDArray[np.uint8]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Pixels], list[str], list[str]]:
    """Return images, classes and object ids."""
    root = write_demo_dataset(tmp_path_factory.mktemp("demo") / "set", images=1500, size=64, seed=0)
    rows = list(csv.DictReader((root / "metadata.csv").read_text(encoding="utf-8").splitlines()))
    pictures = [decode((root / "images" / row["filename"]).read_bytes()) for row in rows]
    return pictures, [row["class"] for row in rows], [row["object_id"] for row in rows]


def joint_histogram(picture: Pixels) -> npt.NDArray[np.float64]:
    """Return the normalised histogram of 8 × 8 × 8 colours."""
    red, green, blue = (picture.reshape(-1, 3) // 32).T.astype(int)
    return np.bincount(64 * red + 8 * green + blue, minlength=512) / red.size


def marginal_histograms(picture: Pixels) -> npt.NDArray[np.float64]:
    """Return the normalised histograms of 32 levels per channel."""
    levels = (picture.reshape(-1, 3) // 8).T
    return np.concatenate([np.bincount(level, minlength=32) for level in levels]) / levels.shape[1]


def corners(picture: Pixels) -> npt.NDArray[np.float64]:
    """Return mean and standard deviation of the four corners, where the background is visible."""
    parts = [picture[y, x] for y in (slice(7), slice(-7, None)) for x in (slice(7), slice(-7, None))]
    return np.concatenate([np.r_[part.mean((0, 1)), part.std((0, 1))] for part in parts])


def macro_f1(
    labelled: tuple[list[Pixels], list[str], list[str]], features: Callable[[Pixels], npt.NDArray[np.float64]]
) -> float:
    """Return the mean macro F1 of logistic regression over five splits by object."""
    pictures, classes, objects = labelled
    x, y = np.array([features(picture) for picture in pictures]), np.array(classes)
    scores = []
    for seed in range(5):
        split = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(x, y, objects)
        train, test = next(iter(split))
        # With a weak penalty the model converges faster.
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        scores.append(f1_score(y[test], model.fit(x[train], y[train]).predict(x[test]), average="macro"))
    return float(np.mean(scores))


def test_colour_alone_does_not_reveal_the_class(
    labelled: tuple[list[Pixels], list[str], list[str]],
) -> None:
    assert 0.40 < macro_f1(labelled, joint_histogram) < 0.70
    assert 0.25 < macro_f1(labelled, marginal_histograms) < 0.70


def test_the_background_alone_does_not_reveal_the_class(
    labelled: tuple[list[Pixels], list[str], list[str]],
) -> None:
    # Random guessing scores about 1/6.
    assert macro_f1(labelled, corners) < 0.26
