"""A map of a test set: t-SNE of the network's features (van der Maaten and Hinton, JMLR 2008)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.collections import PathCollection
from sklearn.manifold import TSNE

from heritage.core.option_types import FigureWidth
from heritage.features.neighbours import Floats, unit_vectors
from heritage.reports.palette import class_style
from heritage.reports.style import (
    INCHES,
    figure_style,
    label,
    legend_above,
    new_figure,
    write_figure,
)

MIN_MAP = 4
"""Images of the smallest map: t-SNE needs more images than its perplexity, which is at least 2."""

_AREA, _SMALLEST, _LARGEST = 6000.0, 11.0, 40.0  # square points of all markers, and of one


def draw_embedding_map(
    features: Floats,
    targets: npt.NDArray[np.int64],
    classes: Sequence[str],
    path: Path,
    *,
    seed: int,
    width: FigureWidth = "double",
) -> None:
    """Draw images as dots on a plane, with a colour and a shape for each class.

    Images of similar features are close to each other.

    Args:
        features: Feature vectors, (N, D); N at least `MIN_MAP`.
        targets: Shape (N,).
        classes: The class list.
        path: The PNG to write, and the PDF beside it.
        seed: Random seed of t-SNE.
        width: One or two columns.
    """
    perplexity = min(30.0, max(2.0, (len(features) - 1) / 4))
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, metric="cosine")
    positions = tsne.fit_transform(unit_vectors(features).astype(np.float32))
    with figure_style(classes):
        figure = new_figure(INCHES[width], 0.72 * INCHES[width])
        axes = figure.subplots()
        area = min(max(_AREA / len(targets), _SMALLEST), _LARGEST)
        shown: list[tuple[PathCollection, str]] = []
        for k, name in enumerate(classes):
            of_class = targets == k
            if of_class.any():
                x, y = positions[of_class].T
                colour, marker = class_style(k)
                dots = axes.scatter(x, y, s=area, alpha=0.8, color=colour, marker=marker, linewidths=0)
                shown.append((dots, label(name, lines=2)))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        legend_above(figure, [dots for dots, _ in shown], [name for _, name in shown])
        write_figure(figure, path, "Map of the test set")
