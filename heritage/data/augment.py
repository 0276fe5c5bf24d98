"""Augmentation of uint8 pixels in the data workers, with albumentations.

albumentations 2.0 is the last series of that library under a permissive licence, so no other module imports
it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from heritage.core.image_io import Pixels
from heritage.core.types import NonNegativeFloat, NonNegativeInt, Probability

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would query a package index

import albumentations as A  # noqa: N812  after the variable is set

Interpolation = Literal["bilinear", "bicubic"]
Range = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]
CropScale = Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2, max_length=2)]

_CV2 = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_EDGE = cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class Augmentation:
    """Random transforms of a training image; 0 or null disables one.

    Attributes:
        crop_scale: Smallest and largest fraction of the image's area in a random resized crop; null resizes
            the whole image.
        crop_ratio: Smallest and largest aspect ratio of the crop.
        flip: Probability of a horizontal flip.
        rotate: Maximum rotation to either side, in degrees.
        zoom: Maximum change of scale (0.2: factors from 0.8 to 1.2).
        shear: Maximum shear, in degrees.
        distort: Strength of a grid distortion.
        brightness: Maximum change of brightness, as a fraction of the range.
        contrast: Maximum change of contrast, as a fraction of the range.
        saturation: Maximum change of saturation, as a fraction of the range.
        hue: Maximum change of hue, as a fraction of the colour circle.
        grey: Probability of conversion to greyscale.
        blur: Probability of a slight blur.
        rand_ops: Number of random operations (N of RandAugment, Cubuk et al. 2020).
        rand_magnitude: Their magnitude from 0 to 10 (M of RandAugment).
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
        """Return the transforms as a pipeline that outputs ``size`` × ``size`` pixels."""
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
        transforms = [first]
        if self.flip:
            transforms.append(A.HorizontalFlip(p=self.flip))
        if self.zoom or self.rotate or self.shear:
            # one warp for all three: each would interpolate the image again
            transforms.append(
                A.Affine(
                    scale=(1 - self.zoom, 1 + self.zoom),
                    rotate=(-self.rotate, self.rotate),
                    shear=(-self.shear, self.shear),
                    border_mode=_EDGE,
                    p=1.0,
                )
            )
        if self.distort:
            transforms.append(A.GridDistortion(distort_limit=self.distort, border_mode=_EDGE, p=1.0))
        return transforms

    def _colour(self) -> list[Any]:
        transforms: list[Any] = []
        if self.saturation or self.hue:
            transforms.append(
                A.ColorJitter(
                    brightness=self.brightness,
                    contrast=self.contrast,
                    saturation=self.saturation,
                    hue=self.hue,
                    p=1.0,
                )
            )
        elif self.brightness or self.contrast:
            # four times as fast as ColorJitter
            transforms.append(
                A.RandomBrightnessContrast(
                    brightness_limit=self.brightness, contrast_limit=self.contrast, p=1.0
                )
            )
        if self.grey:
            transforms.append(A.ToGray(p=self.grey))
        if self.blur:
            transforms.append(A.GaussianBlur(sigma_limit=(0.3, 1.0), p=self.blur))
        return transforms

    def _random(self) -> list[Any]:
        if not self.rand_ops:
            return []
        return [A.SomeOf(_rand_operations(self.rand_magnitude / 10), n=self.rand_ops, replace=False, p=1.0)]


NO_AUGMENTATION = Augmentation(
    crop_scale=None, crop_ratio=[1.0, 1.0], flip=0, rotate=0, zoom=0, shear=0, distort=0, brightness=0,
    contrast=0, saturation=0, hue=0, grey=0, blur=0, rand_ops=0, rand_magnitude=0,
)  # fmt: skip
"""Resizing alone."""

LIGHT = replace(NO_AUGMENTATION, crop_scale=[0.7, 1.0], crop_ratio=[0.85, 1.1765], flip=0.5)
"""As ``conf/augment/ops/light.yaml``: of training images, by default."""

STRONG = replace(
    LIGHT, crop_scale=[0.35, 1.0], crop_ratio=[0.75, 1.3333], rotate=15, zoom=0.1, shear=5, brightness=0.3,
    contrast=0.3, saturation=0.3, hue=0.03, grey=0.1, blur=0.1,
)  # fmt: skip
"""As ``conf/augment/ops/strong.yaml``: of copies made by oversampling, by default."""


class Pipeline:
    """A chain of random transforms, seeded explicitly."""

    def __init__(self, transforms: list[Any]) -> None:
        self._chain = A.Compose(transforms)

    def seed(self, seed: int) -> None:
        """Reset the random state, with an independent seed for each transform.

        albumentations' own ``set_random_seed`` gives every transform the same seed, so that their random
        numbers are equal.
        """
        self._chain.set_random_seed(seed)
        for child, state in zip(_leaves(self._chain), _child_seeds(seed), strict=False):
            child.set_random_seed(state)

    def __call__(self, pixels: Pixels) -> Pixels:
        """Transform an image; input and output are RGB, uint8, of shape (height, width, 3)."""
        transformed: Pixels = self._chain(image=pixels)["image"]
        return transformed


def downscale(pixels: Pixels, at_least: int) -> Pixels:
    """Halve an image by area averaging as long as neither side gets shorter than ``at_least``.

    The remaining reduction to the network's input is by less than a factor of two, which linear
    interpolation does without aliasing at a sixth of the cost of area averaging.
    """
    factor = min(pixels.shape[:2]) // at_least
    halvings = factor.bit_length() - 1
    if halvings < 1:
        return pixels
    height, width = (side >> halvings for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def eval_transform(size: int, crop_pct: float, interpolation: Interpolation) -> Callable[[Pixels], Pixels]:
    """Return the transform for evaluation and prediction: a central crop and resizing.

    Args:
        size: Pixels per side of the output.
        crop_pct: The fraction of each side that is kept; 1.0 keeps the whole image.
        interpolation: Used for enlarging; reduction to two thirds or less averages areas instead.
    """
    # Not a local function: workers that are not forked receive it by pickle.
    return partial(_crop_and_resize, size=size, crop_pct=crop_pct, interpolation=interpolation)


def _crop_and_resize(pixels: Pixels, *, size: int, crop_pct: float, interpolation: Interpolation) -> Pixels:
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


def _rand_operations(strength: float) -> list[Any]:
    """Return the operations of RandAugment that albumentations has, at a magnitude from 0 to 1."""
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
    """Return all transforms of a chain and of the chains inside it."""
    leaves: list[Any] = []
    for child in chain.transforms:
        leaves.append(child)
        if isinstance(child, A.BaseCompose):
            leaves.extend(_leaves(child))
    return leaves


def _child_seeds(seed: int) -> list[int]:
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(64)]
