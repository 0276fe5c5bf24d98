"""Networks on a device with their preprocessing: one, or several whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heritage.core.image_io import Pixels
from heritage.data.augment import downscale, eval_transform
from heritage.explanation.saliency import Method, saliency
from heritage.features.predict_loop import autocast
from heritage.inference.checkpoint import TrainedClassifier
from heritage.models.views import Views, pooled_logits, require_views, views, whole_image


class MemberNetwork:
    """A network on a device.

    Args:
        trained: The network.
        device: Where to compute.
        tta: Test-time augmentation: probabilities and embeddings are averaged over these views.

    Raises:
        ConfigError: The network does not take these views.
    """

    def __init__(self, trained: TrainedClassifier, device: torch.device, tta: Views) -> None:
        self.trained = trained
        self.device = device
        self.tta: Views = tta
        self.precision = trained.precision(device)
        self.model = trained.model.to(device).eval()
        require_views(self.model, tta, trained.image_size)
        self._features: Tensor | None = None
        head: Any = trained.model.net.get_classifier()  # type: ignore[operator]  # part of timm's interface
        head.register_forward_pre_hook(self._keep_features)

    def outputs(self, images: Tensor) -> tuple[Tensor, npt.NDArray[np.float32]]:
        """Return logits (B, K) and embeddings (B, D) of uint8 images (B, S, S, 3), averaged over views."""
        logits, embeddings = [], []
        with torch.inference_mode(), autocast(self.device, self.precision):
            for view in views(images.to(self.device, non_blocking=True), self.tta):
                logits.append(self.model(view).float())
                embeddings.append(cast("Tensor", self._features).flatten(1).float().cpu().numpy())
            pooled = pooled_logits(logits).cpu()
        self._features = None
        return pooled, np.mean(embeddings, axis=0, dtype=np.float32)

    def saliency(self, pixels: Pixels, target: int, method: Method) -> npt.NDArray[np.float32]:
        """Return a saliency map (S, S) of the input (S, S, 3) for a class."""
        images = torch.from_numpy(pixels.copy())[None].to(self.device)
        maps = saliency(self.model, images, torch.tensor([target], device=self.device), method)
        self._features = None
        strength: npt.NDArray[np.float32] = maps[0].float().cpu().numpy()
        return strength

    def _keep_features(self, _: object, inputs: tuple[Tensor, ...]) -> None:
        self._features = inputs[0]


class NetworkInputs:
    """The inputs of networks that may differ in size, crop and interpolation.

    An image for networks of one kind of input has the shape (S, S, 3). For several kinds, the inputs of all
    are one row of bytes, so that loaders and queues need not know how many there are.

    Args:
        networks: The networks.
    """

    def __init__(self, networks: Sequence[TrainedClassifier]) -> None:
        forms = [(one.image_size, one.crop_pct, one.interpolation) for one in networks]
        kinds = list(dict.fromkeys(forms))
        self.sizes = [size for size, _, _ in kinds]
        self._kind = [kinds.index(form) for form in forms]
        self._resize = [eval_transform(*kind) for kind in kinds]

    @property
    def image_size(self) -> int:
        """The largest input in pixels: files are decoded at this size at least."""
        return max(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a prepared image."""
        if len(self.sizes) == 1:
            return (self.sizes[0], self.sizes[0], 3)
        return (sum(3 * size**2 for size in self.sizes),)

    def prepare(self, pixels: Pixels) -> Pixels:
        """Resize an image (H, W, 3) as evaluation does."""
        inputs = [
            resize(downscale(pixels, size)) for resize, size in zip(self._resize, self.sizes, strict=True)
        ]
        return inputs[0] if len(inputs) == 1 else np.concatenate([one.ravel() for one in inputs])

    def split(self, images: Tensor) -> list[Tensor]:
        """Return the input of each network, (B, S, S, 3), from prepared images (B, *shape)."""
        if len(self.sizes) == 1:
            return [images] * len(self._kind)
        parts = torch.split(images, [3 * size**2 for size in self.sizes], dim=1)
        inputs = [part.reshape(-1, size, size, 3) for part, size in zip(parts, self.sizes, strict=True)]
        return [inputs[kind] for kind in self._kind]

    def blank(self) -> Tensor:
        """Return a black image as a batch of one."""
        return torch.zeros((1, *self.shape), dtype=torch.uint8)


def mean_saliency(
    members: Sequence[MemberNetwork], inputs: NetworkInputs, pixels: Pixels, target: int, method: Method
) -> npt.NDArray[np.float32]:
    """Return the mean of the networks' saliency maps, brought to the first one's crop and size, (S, S)."""
    prepared = inputs.split(torch.from_numpy(pixels.copy())[None])
    maps = [
        member.saliency(one[0].numpy(), target, method) for member, one in zip(members, prepared, strict=True)
    ]
    side, crop = len(maps[0]), members[0].trained.crop_pct
    strength: npt.NDArray[np.float32] = np.mean(
        [
            cropped(one, member.trained.crop_pct, side, crop)
            for one, member in zip(maps, members, strict=True)
        ],
        axis=0,
        dtype=np.float32,
    )
    return strength


def cropped(
    strength: npt.NDArray[np.float32], crop_pct: float, side: int, target: float
) -> npt.NDArray[np.float32]:
    """Return a map of one central crop as a map (side, side) of another, 0 outside the first."""
    if crop_pct == target:
        return strength if len(strength) == side else whole_image(strength, (side, side), 1.0)
    whole = round(side / target)
    start = (whole - side) // 2
    return whole_image(strength, (whole, whole), crop_pct)[start : start + side, start : start + side]
