"""Faithfulness of saliency maps: deletion and insertion against random maps, and a weight-randomisation test.

Deletion and insertion follow Petsiuk, Das, Saenko, "RISE", BMVC 2018. Pixels are blurred in descending order
of the map (deletion), or restored in this order in a blurred image (insertion); for a faithful map the
probability of the class falls or rises early. The score, area under insertion minus area under deletion, is
compared with the score of random maps on the same images.

The weight-randomisation test follows Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: if a
network with shuffled weights gives similar maps, the maps show edges of the image and not what was learnt.
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
SIMILAR = 0.5
"""Rank correlation from which maps do not depend on the weights."""

DOES_NOT_BEAT_RANDOM = "does not beat random"


@dataclass(frozen=True)
class Faithfulness:
    """Faithfulness of a method's maps on B images.

    Attributes:
        method: The method.
        deletion: Mean area under deletion; lower is better.
        insertion: Mean area under insertion; higher is better.
        random_deletion: Mean area under deletion for random maps.
        random_insertion: Mean area under insertion for random maps.
        gain: Insertion minus deletion, relative to random maps, for each image, (B,).
        advantage: 95 % interval of the mean gain over images.
        shuffled_similarity: Mean rank correlation with the maps of the network with shuffled weights; NaN if
            all of these are constant.
    """

    method: str
    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float
    gain: Floats
    advantage: Interval
    shuffled_similarity: float

    @property
    def beats_random(self) -> bool:
        """Whether the maps are significantly better than random ones."""
        return self.advantage.low > 0

    @property
    def depends_on_weights(self) -> bool:
        """Whether the network with shuffled weights gives other maps."""
        return not self.shuffled_similarity >= SIMILAR

    @property
    def label(self) -> str:
        """A warning to show below a map; empty for a faithful method."""
        warnings = [] if self.beats_random else [DOES_NOT_BEAT_RANDOM]
        return "; ".join(warnings + ([] if self.depends_on_weights else ["does not depend on the weights"]))


def faithfulness(
    model: NormalizedNetwork, images: Tensor, targets: Tensor, method: Method, *, maps: Tensor, seed: int = 0
) -> Faithfulness:
    """Test the maps of a method.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K).
        images: uint8, (B, S, S, 3).
        targets: The explained classes, (B,).
        method: The method of the maps.
        maps: Shape (B, S, S).
        seed: Random seed of random maps and shuffled weights.
    """
    generator = torch.Generator().manual_seed(seed)
    blurred = blur(images)
    own = areas(model, images, blurred, targets, maps)
    by_map = []
    for _ in range(_RANDOM_MAPS):
        noise = torch.rand(len(images), 1, _RANDOM_CELLS, _RANDOM_CELLS, generator=generator)
        random_maps = functional.interpolate(
            noise, size=images.shape[1:3], mode="bilinear", align_corners=False
        )
        by_map.append(areas(model, images, blurred, targets, random_maps[:, 0].to(images.device)))
    random_areas = np.mean(by_map, axis=0)  # (2, B)
    gain: Floats = (own[1] - own[0]) - (random_areas[1] - random_areas[0])
    resampling = np.random.default_rng(seed)
    resampled = gain[resampling.integers(0, len(gain), (_RESAMPLES, len(gain)))].mean(axis=1)
    return Faithfulness(
        method,
        deletion=float(own[0].mean()),
        insertion=float(own[1].mean()),
        random_deletion=float(random_areas[0].mean()),
        random_insertion=float(random_areas[1].mean()),
        gain=gain,
        advantage=interval(resampled),
        shuffled_similarity=map_similarity(maps, saliency(shuffled(model, seed), images, targets, method)),
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
                probabilities = model(torch.where(kept, images, blurred)).float().softmax(dim=1)
                curve.append(probabilities.gather(1, targets[:, None])[:, 0])
        steps = _FRACTIONS.to(images.device)
        curve_areas = [torch.trapezoid(torch.stack(curve, dim=1), steps, dim=1) for curve in curves]
    return torch.stack(curve_areas).double().cpu().numpy()


def blur(images: Tensor) -> Tensor:
    """Return images (B, S, S, 3) blurred with a standard deviation of an eighth of a side."""
    size = images.shape[1]
    kernel = max(3, 2 * (size // 4) + 1)
    soft: Tensor = gaussian_blur(images.permute(0, 3, 1, 2), [kernel, kernel], [size / 8, size / 8])
    return soft.permute(0, 2, 3, 1).contiguous()


def shuffled(model: NormalizedNetwork, seed: int) -> NormalizedNetwork:
    """Return a copy of a network with the values of each parameter shuffled."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"not a torch module: {type(model).__name__}")
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other.eval()


def map_similarity(first: Tensor, second: Tensor, cells: int = 16) -> float:
    """Return the mean rank correlation of two sets of maps (B, S, S), averaged to a coarse grid.

    Pairs with a constant map are left out; NaN if none is left.
    """
    coarse = [functional.adaptive_avg_pool2d(one[:, None].float(), cells).flatten(1).cpu().numpy()
              for one in (first, second)]  # fmt: skip
    correlations = [
        float(spearmanr(a, b).statistic)
        for a, b in zip(*coarse, strict=True)
        if np.ptp(a) > 0 and np.ptp(b) > 0
    ]
    return float(np.mean(correlations)) if correlations else float("nan")
