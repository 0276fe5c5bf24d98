"""Augmentation on uint8 pixels in the workers; the only module that knows albumentations.

albumentations 2.0 is the last line of that library under a permissive licence, so everything else
sees only `Augmentation` and `Pipeline`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from heritage.core.image_io import Pixels
from heritage.core.types import NonNegativeFloat, NonNegativeInt, Probability

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask a package index for news

import albumentations as A  # noqa: N812  the variable must be set first

Interpolation = Literal["bilinear", "bicubic"]
Range = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]
CropScale = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)]

_CV2 = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_EDGE = cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image; 0 or null leaves a change out.

    Attributes:
        crop_scale: Smallest and largest part of the picture's area that is kept (random resized crop);
            null resizes the whole picture.
        crop_ratio: Smallest and largest aspect ratio of that part.
        flip: Probability of a left-right flip.
        rotate: Rotation, up to this many degrees to either side.
        zoom: Enlargement about the centre, up to this factor in or out (0.2: 0.8 to 1.2).
        shear: Shear, up to this many degrees.
        distort: Strength of a grid distortion.
        brightness: Change of brightness, as a part of the range.
        contrast: Change of contrast, as a part of the range.
        saturation: Change of saturation, as a part of the range.
        hue: Change of hue, as a part of the colour circle.
        grey: Probability of a greyscale picture.
        blur: Probability of a slight blur.
        rand_ops: How many random operations to apply (RandAugment, Cubuk et al. 2020: N).
        rand_magnitude: Their strength from 0 to 10 (RandAugment: M).
    """

    crop_scale: CropScale | None
    crop_ratio: Range
    flip: Probability
    rotate: NonNegativeFloat
    zoom: Probability
    shear: NonNegativeFloat
    distort: Probability
    brightness: Probability
    contrast: Probability
    saturation: Probability
    hue: Annotated[float, Field(ge=0, le=0.5)]
    grey: Probability
    blur: Probability
    rand_ops: NonNegativeInt
    rand_magnitude: Annotated[float, Field(ge=0, le=10)]

    def pipeline(self, size: int, interpolation: Interpolation) -> Pipeline:
        """Return the changes, ending in pictures of ``size`` × ``size`` pixels."""
        return Pipeline([*self._geometry(size, _CV2[interpolation]), *self._colour(), *self._random()])

    def _geometry(self, size: int, interpolation: int) -> list[Any]:
        if self.crop_scale is None:
            first: Any = A.Resize(size, size, interpolation=interpolation)
        else:
            first = A.RandomResizedCrop(
                (size, size),
                scale=tuple(self.crop_scale),
                ratio=tuple(self.crop_ratio),
                interpolation=interpolation,
            )
        changes = [first]
        if self.flip:
            changes.append(A.HorizontalFlip(p=self.flip))
        if self.zoom or self.rotate or self.shear:
            # one warp for all three: each would read and interpolate the picture again
            changes.append(
                A.Affine(
                    scale=(1 - self.zoom, 1 + self.zoom),
                    rotate=(-self.rotate, self.rotate),
                    shear=(-self.shear, self.shear),
                    border_mode=_EDGE,
                    p=1.0,
                )
            )
        if self.distort:
            changes.append(A.GridDistortion(distort_limit=self.distort, border_mode=_EDGE, p=1.0))
        return changes

    def _colour(self) -> list[Any]:
        changes: list[Any] = []
        if self.saturation or self.hue:
            changes.append(
                A.ColorJitter(
                    brightness=self.brightness,
                    contrast=self.contrast,
                    saturation=self.saturation,
                    hue=self.hue,
                    p=1.0,
                )
            )
        elif self.brightness or self.contrast:
            # four times as fast as the general jitter
            changes.append(
                A.RandomBrightnessContrast(
                    brightness_limit=self.brightness, contrast_limit=self.contrast, p=1.0
                )
            )
        if self.grey:
            changes.append(A.ToGray(p=self.grey))
        if self.blur:
            changes.append(A.GaussianBlur(sigma_limit=(0.3, 1.0), p=self.blur))
        return changes

    def _random(self) -> list[Any]:
        if not self.rand_ops:
            return []
        return [A.SomeOf(_rand_operations(self.rand_magnitude / 10), n=self.rand_ops, replace=False, p=1.0)]


class Pipeline:
    """A seeded chain of changes from one picture to another."""

    def __init__(self, changes: list[Any]) -> None:
        self._chain = A.Compose(changes)

    def seed(self, seed: int) -> None:
        """Start all random streams again, each from its own seed.

        albumentations' own ``set_random_seed`` gives every transform the same seed, so that two of
        them that draw once an image always decide alike.
        """
        self._chain.set_random_seed(seed)
        for child, state in zip(_leaves(self._chain), _spawn(seed), strict=False):
            child.set_random_seed(state)

    def __call__(self, pixels: Pixels) -> Pixels:
        """Return the changed picture; input and output are RGB, uint8, (height, width, 3)."""
        changed: Pixels = self._chain(image=pixels)["image"]
        return changed


def downscale(pixels: Pixels, at_least: int) -> Pixels:
    """Halve a picture, averaging areas, as long as neither side gets shorter than ``at_least``.

    What is left of the reduction to a network's size is less than a factor of two, which linear
    interpolation does without aliasing at a sixth of the cost of averaging areas.
    """
    factor = min(pixels.shape[:2]) // at_least
    halvings = factor.bit_length() - 1
    if halvings < 1:
        return pixels
    height, width = (side >> halvings for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def eval_transform(size: int, crop_pct: float, interpolation: Interpolation) -> Callable[[Pixels], Pixels]:
    """Return what happens to a picture when a model is asked about it: resizing, and nothing random.

    Args:
        size: Pixels a side of the result.
        crop_pct: The central part of each side that is kept; 1.0 is the whole picture.
        interpolation: How to enlarge; reducing to two thirds or less averages areas instead.
    """

    def resize(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        if crop_pct < 1:
            rows, columns = round(height * crop_pct), round(width * crop_pct)
            top, left = (height - rows) // 2, (width - columns) // 2
            pixels = pixels[top : top + rows, left : left + columns]
            height, width = rows, columns
        if (height, width) == (size, size):
            return pixels
        how = cv2.INTER_AREA if 2 * min(height, width) >= 3 * size else _CV2[interpolation]
        return cv2.resize(pixels, (size, size), interpolation=how).astype(np.uint8, copy=False)

    return resize


def _rand_operations(strength: float) -> list[Any]:
    """The operations of RandAugment that albumentations has, at a strength from 0 to 1."""
    move, turn = 0.45 * strength, 30.0 * strength
    tone = (max(1 - 0.9 * strength, 0.1), 1 + 0.9 * strength)
    return [
        A.NoOp(),
        A.AutoContrast(p=1.0),
        A.Equalize(p=1.0),
        A.Rotate((-turn, turn), border_mode=_EDGE, p=1.0),
        A.Affine(shear={"x": (-turn, turn), "y": 0.0}, border_mode=_EDGE, p=1.0),
        A.Affine(shear={"x": 0.0, "y": (-turn, turn)}, border_mode=_EDGE, p=1.0),
        A.Affine(translate_percent={"x": (-move, move), "y": 0.0}, border_mode=_EDGE, p=1.0),
        A.Affine(translate_percent={"x": 0.0, "y": (-move, move)}, border_mode=_EDGE, p=1.0),
        A.ColorJitter(brightness=tone, contrast=(1, 1), saturation=(1, 1), hue=0, p=1.0),
        A.ColorJitter(brightness=(1, 1), contrast=tone, saturation=(1, 1), hue=0, p=1.0),
        A.ColorJitter(brightness=(1, 1), contrast=(1, 1), saturation=tone, hue=0, p=1.0),
        A.Sharpen(alpha=(0.0, max(0.5 * strength, 0.01)), p=1.0),
        A.Posterize(num_bits=max(round(8 - 4 * strength), 2), p=1.0),
        A.Solarize(threshold_range=(1 - 0.5 * strength, 1.0), p=1.0),
    ]


def _leaves(chain: Any) -> list[Any]:
    found: list[Any] = []
    for child in chain.transforms:
        found.append(child)
        if isinstance(child, A.BaseCompose):
            found.extend(_leaves(child))
    return found


def _spawn(seed: int) -> list[int]:
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(64)]
