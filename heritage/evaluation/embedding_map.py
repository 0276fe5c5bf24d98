"""A map of a test set: t-SNE of the network's features (van der Maaten and Hinton, JMLR 2008)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from heritage.core.escaping import figure_text
from heritage.inference.embeddings import Floats, unit_vectors
from heritage.reports.charts import PALETTE
from heritage.reports.figures import save

MIN_MAP = 4
"""Images of the smallest map: t-SNE needs more images than its perplexity, which is at least 2."""


def draw_embedding_map(
    features: Floats, targets: npt.NDArray[np.int64], classes: Sequence[str], path: Path, *, seed: int
) -> None:
    """Draw images as dots on a plane, coloured by class; images of similar features are close to each other.

    Args:
        features: Feature vectors, (N, D); N at least `MIN_MAP`.
        targets: Shape (N,).
        classes: The class list.
        path: The PNG to write.
        seed: Random seed of t-SNE.
    """
    perplexity = min(30.0, max(2.0, (len(features) - 1) / 4))
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, metric="cosine")
    positions = tsne.fit_transform(unit_vectors(features).astype(np.float32))
    figure = Figure(figsize=(8.6, 6.4), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(classes):
        of_class = targets == k
        if of_class.any():
            x, y = positions[of_class].T
            axes.scatter(
                x, y, s=9, alpha=0.75, color=PALETTE[k % len(PALETTE)], label=figure_text(name), linewidths=0
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    figure.legend(frameon=False, loc="outside upper left", ncols=6, markerscale=2)
    save(figure, path)
