"""Features of a trained network's images, from their store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.console import Console
from heritage.core.manifest import Manifest
from heritage.data import ArtefactDataModule
from heritage.features.compute import ImageFeatures, feature_places, image_features
from heritage.inference.checkpoint import TrainedClassifier
from heritage.models.views import Views


def classifier_features(
    classifier: TrainedClassifier,
    data: ArtefactDataModule,
    device: torch.device,
    outputs: str | Path | None,
    tta: Views = "none",
) -> ImageFeatures:
    """Open the features of a data module's images by a trained network; nothing is computed yet.

    Args:
        classifier: The network.
        data: The images, with the network's input size.
        device: Where to compute.
        outputs: ``paths.outputs``, where features that several runs share are kept; a run's own ones are in
            its folder. None keeps them in memory.
        tta: The views of an image, whose features are averaged.

    Raises:
        HeritageError: The network has no features before its classifier, or a store is damaged.
    """
    places = () if outputs is None else feature_places(classifier.folder, outputs)
    return image_features(
        classifier.model,
        data,
        device=device,
        precision=classifier.precision(device),
        places=places,
        tta=tta,
    )


def of_predicted(features: ImageFeatures, split: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the features of images that the network has predicted, (N, D).

    Args:
        features: The features of the data set.
        split: ``train``, ``val`` or ``test``.
        rows: Positions in the split of the predicted images, (N,): their logits, and therefore their
            features, are finite.
    """
    # an image that could not be read when the store was made can be read now
    kept, values = features.of(
        features.data.rows(split)[rows], description=f"features of {split}", retry=True
    )
    whole = np.zeros((len(rows), values.shape[1]), dtype=np.float32)
    whole[kept] = values
    return whole


def manifest_data(
    classifier: TrainedClassifier, manifest: Manifest, *, num_workers: int | None = None
) -> ArtefactDataModule:
    """Return a data module of a manifest, with the input of a trained network.

    Args:
        classifier: The network.
        manifest: Images of any classes.
        num_workers: Processes that decode; None is one per core.
    """

    def reader(root: Path, classes: Sequence[str] | None) -> Manifest:
        return manifest

    data = ArtefactDataModule(
        manifest.root,
        reader=reader,
        classes=list(manifest.classes),
        split=lambda table: table,
        crop_pct=classifier.crop_pct,
        num_workers=num_workers,
        packed=classifier.config["data"].get("packed", "auto"),
    )
    data.set_input(classifier.image_size, classifier.interpolation)
    return data


def print_store(features: ImageFeatures | None, console: Console) -> None:
    """Print where features are kept, and the space that they take; nothing if they are not kept."""
    store = None if features is None else features.store
    if store is not None and store.folder is not None:
        kept = f"{store.count:,} × {store.width:,} {store.key.dtype}, {store.bytes / 1e6:,.1f} MB"
        console.print(f"features: {store.folder} ({kept})", highlight=False, markup=False, soft_wrap=True)
