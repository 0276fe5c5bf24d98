"""Is a map true? Held against random maps, and against a network that has learnt nothing.

Deletion and insertion follow Petsiuk, Das, Saenko, "RISE", BMVC 2018: take the pixels away in the order that
the map gives them, and a true map makes the answer break down early; bring them back into a blurred picture,
and it comes back early. The score is the area under insertion minus that under deletion, and it means
something only beside that of random maps on the same pictures.

The sanity check is that of Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: if weights drawn
by lot give the same maps, the maps show edges and not what was learnt.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur  # type: ignore[import-untyped]

from heritage.explanation.saliency import BATCH, Method, NormalizedNetwork, saliency
from heritage.metrics.bootstrap import Interval, interval

Floats = npt.NDArray[np.float64]

_FRACTIONS = torch.linspace(0, 1, 13)
_RANDOM_MAPS, _RANDOM_CELLS = 3, 8
_RESAMPLES = 2000
ALIKE = 0.5
"""Rank correlation from which maps of a network without knowledge count as the same maps."""

DOES_NOT_BEAT_RANDOM = "does not beat random"


@dataclass(frozen=True)
class Faithfulness:
    """How a method's maps do on some pictures.

    Attributes:
        method: The method.
        deletion: Mean area under deletion: lower is better.
        insertion: Mean area under insertion: higher is better.
        random_deletion: The same of random maps.
        random_insertion: The same of random maps.
        gain: Insertion minus deletion over that of random maps, of each picture; (B,).
        advantage: 95 % interval of the mean gain, over pictures.
        alike: Mean rank correlation with the maps of a network whose weights were shuffled; NaN where
            one of them is flat.
    """

    method: str
    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float
    gain: Floats
    advantage: Interval
    alike: float

    @property
    def beats_random(self) -> bool:
        """Whether the maps are better than chance, beyond doubt."""
        return self.advantage.low > 0

    @property
    def depends_on_weights(self) -> bool:
        """Whether a network that learnt nothing gives other maps."""
        return not self.alike >= ALIKE

    @property
    def label(self) -> str:
        """What to write beneath a map."""
        said = [] if self.beats_random else [DOES_NOT_BEAT_RANDOM]
        return "; ".join(said + ([] if self.depends_on_weights else ["does not depend on what was learnt"]))


def faithfulness(
    model: NormalizedNetwork, images: Tensor, targets: Tensor, method: Method, *, maps: Tensor, seed: int = 0
) -> Faithfulness:
    """Score a method's maps.

    Args:
        model: uint8 images to logits.
        images: uint8, (B, S, S, 3).
        targets: The class that was explained, (B,).
        method: The method that made the maps.
        maps: Shape (B, S, S).
        seed: Of random maps and shuffled weights.
    """
    draw = torch.Generator().manual_seed(seed)
    blurred = blur(images)
    ours = areas(model, images, blurred, targets, maps)
    chance = []
    for _ in range(_RANDOM_MAPS):
        noise = torch.rand(len(images), 1, _RANDOM_CELLS, _RANDOM_CELLS, generator=draw)
        random = functional.interpolate(noise, size=images.shape[1:3], mode="bilinear", align_corners=False)
        chance.append(areas(model, images, blurred, targets, random[:, 0].to(images.device)))
    by_chance = np.mean(chance, axis=0)  # (2, B)
    gain: Floats = (ours[1] - ours[0]) - (by_chance[1] - by_chance[0])
    random_state = np.random.default_rng(seed)
    drawn = gain[random_state.integers(0, len(gain), (_RESAMPLES, len(gain)))].mean(axis=1)
    return Faithfulness(
        method,
        deletion=float(ours[0].mean()),
        insertion=float(ours[1].mean()),
        random_deletion=float(by_chance[0].mean()),
        random_insertion=float(by_chance[1].mean()),
        gain=gain,
        advantage=interval(drawn),
        alike=likeness(maps, saliency(shuffled(model, seed), images, targets, method)),
    )


def areas(model: NormalizedNetwork, images: Tensor, blurred: Tensor, targets: Tensor, maps: Tensor) -> Floats:
    """Return the areas under deletion and insertion of each image, (2, B)."""
    parts = zip(*(torch.split(one, BATCH) for one in (images, blurred, targets, maps)), strict=True)
    return np.concatenate([_areas(model, *part) for part in parts], axis=1)


def _areas(
    model: NormalizedNetwork, images: Tensor, blurred: Tensor, targets: Tensor, maps: Tensor
) -> Floats:
    order = maps.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    rank = (order.float() / order.shape[1]).view_as(maps)[..., None]
    curves = [], []  # type: tuple[list[Tensor], list[Tensor]]
    with torch.inference_mode():
        for fraction in _FRACTIONS.tolist():
            first = rank < fraction
            for curve, kept in zip(curves, (~first, first), strict=True):
                shares = model(torch.where(kept, images, blurred)).float().softmax(dim=1)
                curve.append(shares.gather(1, targets[:, None])[:, 0])
        steps = _FRACTIONS.to(images.device)
        found = [torch.trapezoid(torch.stack(curve, dim=1), steps, dim=1) for curve in curves]
    return torch.stack(found).double().cpu().numpy()


def blur(images: Tensor) -> Tensor:
    """Return images (B, S, S, 3) in which nothing but broad colours is left."""
    size = images.shape[1]
    kernel = max(3, 2 * (size // 4) + 1)
    soft: Tensor = gaussian_blur(images.permute(0, 3, 1, 2), [kernel, kernel], [size / 8, size / 8])
    return soft.permute(0, 2, 3, 1).contiguous()


def shuffled(model: NormalizedNetwork, seed: int) -> NormalizedNetwork:
    """Return a copy of a network in which each tensor of weights is shuffled: all it learnt is lost."""
    if not isinstance(model, nn.Module):
        raise TypeError("a network is a torch module")
    other = copy.deepcopy(model)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            order = torch.randperm(parameter.numel(), generator=draw).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other.eval()


def likeness(first: Tensor, second: Tensor, cells: int = 16) -> float:
    """Return the mean rank correlation of maps (B, S, S), compared on a coarse grid."""
    coarse = [functional.adaptive_avg_pool2d(one[:, None].float(), cells).flatten(1).cpu().numpy()
              for one in (first, second)]  # fmt: skip
    found = [
        float(spearmanr(a, b).statistic)
        for a, b in zip(*coarse, strict=True)
        if np.ptp(a) > 0 and np.ptp(b) > 0
    ]
    return float(np.mean(found)) if found else float("nan")
