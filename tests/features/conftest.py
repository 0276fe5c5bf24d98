"""The smallest network with features, and stores of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from heritage.data import ArtefactDataModule
from heritage.features.compute import ImageFeatures, image_features
from heritage.models.network import InputSpec, set_input_spec
from heritage.models.normalize import NormalizedModel

SIZE, WIDTH = 16, 5
CPU = torch.device("cpu")


class Net(nn.Module):
    """The smallest network with timm's interface; counts the images that it has seen."""

    def __init__(self, classes: int = 6, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Linear(3, WIDTH)
        self.fc = nn.Linear(WIDTH, classes)
        self._seen = 0
        set_input_spec(self, InputSpec(SIZE, (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0))

    def forward_features(self, images: Tensor) -> Tensor:
        self._seen += len(images)
        return cast("Tensor", self.stem(images.mean(dim=(2, 3))))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return x if pre_logits else cast("Tensor", self.fc(x))

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def get_classifier(self) -> nn.Module:
        return self.fc


Open = Callable[..., ImageFeatures]


def place(features: ImageFeatures) -> Path:
    assert features.store.folder is not None
    return features.store.folder


@pytest.fixture
def data(tree: Path) -> ArtefactDataModule:
    return ArtefactDataModule(tree, image_size=SIZE, batch_size=16, num_workers=0)


@pytest.fixture
def opened(tmp_path: Path, data: ArtefactDataModule) -> Open:
    def run(net: nn.Module | None = None, images: ArtefactDataModule = data, **options: Any) -> ImageFeatures:
        places = options.pop("places", [tmp_path / "features"])
        return image_features(
            NormalizedModel(net or Net()).eval(),
            images,
            device=CPU,
            precision="32-true",
            places=places,
            **options,
        )

    return run
