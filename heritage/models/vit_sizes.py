"""Sizes of the plain Vision Transformer, and a patch size that suits the images: ``model=vit``."""

from __future__ import annotations

import math
from typing import Literal

from heritage.core.option_types import FilePath
from heritage.core.types import ImageSize, PositiveFloat, PositiveInt
from heritage.errors import ConfigError
from heritage.models.builders import register_network
from heritage.models.network import Rate, refuse_pretrained
from heritage.models.vit import Pool, Positions, Stem, VisionTransformer

SIZES: dict[str, tuple[int, int, int]] = {
    "mini": (192, 6, 3),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
}
"""Width, depth and heads: base is Dosovitskiy et al.'s, tiny and small are DeiT's (Touvron et al. 2021).

Mini has half the depth of tiny, for some thousand images on a laptop.
"""

DEFAULT_IMAGE_SIZE = 224
PATCH_SIZES = (4, 8, 16)
PATCHES_A_SIDE = 8


@register_network
def vit(
    *,
    size: Literal["mini", "tiny", "small", "base"],
    width: PositiveInt | None,
    depth: PositiveInt | None,
    heads: PositiveInt | None,
    patch_size: PositiveInt | None,
    mlp_ratio: PositiveFloat,
    pool: Pool,
    positions: Positions,
    stem: Stem,
    dropout: Rate,
    drop_path: Rate,
    layer_scale: PositiveFloat | None,
    grad_checkpointing: bool,
    weights: FilePath,
    num_classes: PositiveInt,
    image_size: ImageSize | None,
) -> VisionTransformer:
    """Build a plain Vision Transformer; see `VisionTransformer` for the details of the arguments.

    Args:
        size: Sets width, depth and heads where those are None.
        width: Width of a token.
        depth: Number of blocks.
        heads: Attention heads.
        patch_size: Patch side in pixels; None is chosen by `choose_patch_size`.
        mlp_ratio: Hidden width of the MLP over ``width``.
        pool: Mean over patches or class token.
        positions: Fixed or learned.
        stem: Linear or convolutional.
        dropout: Rate of dropout.
        drop_path: Rate of stochastic depth.
        layer_scale: Initial value of the layer scales; None has no layer scales.
        grad_checkpointing: Recompute activations in the backward pass: less memory, more time.
        weights: ``none``, a file of weights, or ``hf-hub:owner/name``.
        num_classes: Number of classes.
        image_size: Image side in pixels; None is 224.

    Raises:
        ConfigError: The sizes are incompatible, or ``weights=pretrained``.
        WeightsError: The file cannot be read or does not fit.
    """
    refuse_pretrained(weights, "vit")
    usual_width, usual_depth, usual_heads = SIZES[size]
    width, depth, heads = width or usual_width, depth or usual_depth, heads or usual_heads
    image_size = image_size or DEFAULT_IMAGE_SIZE
    patch_size = patch_size or choose_patch_size(image_size)
    _require_fit(image_size, patch_size, width, heads, stem)
    net = VisionTransformer(
        image_size=image_size,
        patch_size=patch_size,
        width=width,
        depth=depth,
        heads=heads,
        mlp_ratio=mlp_ratio,
        num_classes=num_classes,
        pool=pool,
        positions=positions,
        stem=stem,
        dropout=dropout,
        drop_path=drop_path,
        layer_scale=layer_scale,
    )
    net.prepare(weights, grad_checkpointing)
    return net


def choose_patch_size(image_size: int) -> int:
    """Return the largest patch size among 4, 8 and 16 that gives at least 8 patches per side.

    If none does, return the smallest that divides the image size. 32 pixels give 4; 64 and 96 give 8; 128,
    224 and 384 give 16, as in the papers. The attention map grows with the fourth power of the patches per
    side, and smaller patches do not improve small images.

    Raises:
        ConfigError: None of them divides the image size.
    """
    fitting = [patch for patch in PATCH_SIZES if image_size % patch == 0]
    if not fitting:
        raise ConfigError(
            f"no patch size among {', '.join(map(str, PATCH_SIZES))} divides {image_size} pixels",
            where="model.patch_size",
            remedy=f"{_nearest_sizes(image_size, PATCH_SIZES[0])}, or set model.patch_size",
        )
    return max((patch for patch in fitting if image_size >= patch * PATCHES_A_SIDE), default=min(fitting))


def _require_fit(image_size: int, patch_size: int, width: int, heads: int, stem: Stem) -> None:
    if image_size % patch_size:
        raise ConfigError(
            f"patches of {patch_size} pixels do not divide images of {image_size}",
            where="model.patch_size",
            remedy=f"{_nearest_sizes(image_size, patch_size)}, or model.patch_size=null to choose one",
        )
    if width % heads or width % 4:
        raise ConfigError(
            f"a width of {width} is not divisible by 4 and by {heads} heads",
            where="model.width",
            remedy=f"set model.width={math.lcm(4, heads) * max(1, round(width / math.lcm(4, heads)))}",
        )
    if stem == "conv" and (patch_size & (patch_size - 1) or patch_size == 1 or width % (patch_size // 2)):
        raise ConfigError(
            f"a convolutional stem cannot have patches of {patch_size} pixels and a width of {width}",
            where="model.stem",
            remedy="set model.stem=linear, or a patch size of 4, 8, 16 or 32 whose half divides the width",
        )


def _nearest_sizes(image_size: int, divisor: int) -> str:
    below = image_size // divisor * divisor
    return f"use an image size of {f'{below} or ' if below else ''}{below + divisor}"
