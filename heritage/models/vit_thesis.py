"""The Vision Transformer that the thesis built but did not train, with the same 283,481,862 parameters.

    image (B, 3, 256, 256)
      patch_encoder   256 patches of 16×16×3 = 768 numbers; linear 768 → D, plus a learned position
    tokens (B, 256, D)
      blocks ×4       x = x + attention(norm(x));  x = x + feed_forward(norm(x))
      dense           all tokens side by side, 256·D numbers → 1,024 → 1,024, GELU and dropout after each
      head            1,024 → K
    logits (B, K)

It is the Keras example "Image classification with Vision Transformer" (K. Salama, 2021) with other sizes.
With D = 768, 8 heads and 6 classes the layers have

    patch encoder           787,200 = 768·768 + 768   linear
                                    + 256·768         positions
    block, each of 4     20,077,824 = 2·2·768         two layer norms
                                    + 3·(768·6,144 + 6,144) + 6,144·768 + 768   attention
                                    + 2·(768·768 + 768)                         feed-forward
    dense               201,327,616 = 196,608·1,024 + 1,024
    dense                 1,049,600 = 1,024·1,024 + 1,024
    head                      6,150 = 1,024·6 + 6

parameters. 6,144 is 8·768: Keras's ``key_dim`` is the width of each head, whereas the usual ViT divides the
width among the heads. 196,608 is 256·768: the tokens are flattened, not pooled, and that layer has 71 % of
the parameters. The published total excludes the layer norm (1,536) that the example has after the last
block, so there is none here. Linear layers are initialised Xavier-uniform with zero biases, positions
uniformly in ±0.05, Keras's defaults.

Shapes: B images, N tokens, D width of a token, H heads, E width of a head, K classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heritage.core.option_types import FilePath
from heritage.core.types import ImageSize, PositiveInt
from heritage.errors import ConfigError
from heritage.models.builders import register_network
from heritage.models.encoder import Encoder
from heritage.models.network import Rate, centred_input, refuse_pretrained

DEFAULT_IMAGE_SIZE = 256


class PatchEncoder(nn.Module):
    """Flatten each patch, map it to D numbers and add its position: (B, 3, S, S) → (B, N, D)."""

    def __init__(self, image_size: int, patch_size: int, width: int) -> None:
        super().__init__()
        side = image_size // patch_size
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (side, side)
        self.projection = nn.Linear(3 * patch_size**2, width)
        self.position = nn.Parameter(torch.empty(1, side**2, width).uniform_(-0.05, 0.05))

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, S, S) as tokens (B, N, D), row by row."""
        patches = functional.unfold(images, self.patch_size, stride=self.patch_size)  # (B, 3·P·P, N)
        tokens: Tensor = self.projection(patches.transpose(1, 2)) + self.position
        return tokens


class WideAttention(nn.Module):
    """Multi-head self-attention with heads of width E, independent of D: softmax(q kᵀ / √E) v."""

    def __init__(self, width: int, heads: int, key_size: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = heads
        self.dropout = dropout
        self.q = nn.Linear(width, heads * key_size)
        self.k = nn.Linear(width, heads * key_size)
        self.v = nn.Linear(width, heads * key_size)
        self.proj = nn.Linear(heads * key_size, width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens (B, N, D) → (B, N, D); dropout is applied to the attention weights."""
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, N, E)
            for layer in (self.q, self.k, self.v)
        )
        rate = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=rate)
        y: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return y


class Block(nn.Module):
    """An encoder block with the norms before the branches; GELU and dropout follow both dense layers."""

    def __init__(self, width: int, heads: int, key_size: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = WideAttention(width, heads, key_size, dropout)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.feed_forward = nn.Sequential(*dense(width, width, dropout), *dense(width, width, dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens (B, N, D) → (B, N, D)."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.feed_forward(self.norm2(x))
        return y


def dense(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    """Return a linear layer, GELU and dropout."""
    return [nn.Linear(inputs, outputs), nn.GELU(), nn.Dropout(dropout)]


class ThesisVisionTransformer(Encoder):
    """The thesis's Vision Transformer.

    Args:
        image_size: Image side in pixels; determines the size of the first dense layer.
        patch_size: Patch side in pixels; divides ``image_size``.
        width: Width of a token, D.
        depth: Number of blocks.
        heads: Attention heads, H.
        key_size: Width of each head, E.
        dense_sizes: Units of the dense layers between the tokens and the head.
        dropout: Rate inside the blocks.
        dense_dropout: Rate before and after the dense layers.
        num_classes: Classes, K.

    Attributes:
        num_prefix_tokens: 0, there is no class token.
    """

    num_prefix_tokens = 0

    def __init__(
        self,
        *,
        image_size: int,
        patch_size: int,
        width: int,
        depth: int,
        heads: int,
        key_size: int,
        dense_sizes: list[int],
        dropout: float,
        dense_dropout: float,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.input_spec = centred_input(image_size)
        self.patch_encoder = PatchEncoder(image_size, patch_size, width)
        self.blocks = nn.ModuleList(Block(width, heads, key_size, dropout) for _ in range(depth))
        sizes = [width * (image_size // patch_size) ** 2, *dense_sizes]
        self.flat_drop = nn.Dropout(dense_dropout)
        self.dense = nn.ModuleList(
            nn.Sequential(*dense(inputs, outputs, dense_dropout)) for inputs, outputs in pairwise(sizes)
        )
        self.head = nn.Linear(sizes[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the tokens (B, N, D) of images (B, 3, S, S)."""
        return self.through_blocks(self.patch_encoder(images))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits (B, K) of tokens (B, N, D), or the last dense layer's output."""
        x = self.flat_drop(x.flatten(1))
        for layer in self.dense:
            x = layer(x)
        if not pre_logits:
            x = self.head(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of normalised images (B, 3, S, S)."""
        return self.forward_head(self.forward_features(images))

    def no_weight_decay(self) -> set[str]:
        """Return the parameters without weight decay."""
        return {"patch_encoder.position"}

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Return the patterns by which timm orders parameters from input to output."""
        blocks, dense = (r"^blocks", r"^dense") if coarse else (r"^blocks\.(\d+)", r"^dense\.(\d+)")
        return {"stem": r"^patch_encoder", "blocks": blocks, "dense": dense}


@register_network
def vit_thesis(
    *,
    width: PositiveInt,
    depth: PositiveInt,
    heads: PositiveInt,
    key_size: PositiveInt | None,
    patch_size: PositiveInt,
    dense_sizes: Annotated[list[PositiveInt], Field(min_length=1)],
    dropout: Rate,
    dense_dropout: Rate,
    grad_checkpointing: bool,
    weights: FilePath,
    num_classes: PositiveInt,
    image_size: ImageSize | None,
) -> ThesisVisionTransformer:
    """Build the thesis's Vision Transformer; ``model=vit_thesis``.

    Args:
        width: Width of a token.
        depth: Number of blocks.
        heads: Attention heads.
        key_size: Width of each head; None is ``width``.
        patch_size: Patch side in pixels.
        dense_sizes: Units of the dense layers before the head.
        dropout: Rate inside the blocks.
        dense_dropout: Rate before and after the dense layers.
        grad_checkpointing: Recompute activations in the backward pass: less memory, more time.
        weights: ``none``, a file of weights, or ``hf-hub:owner/name``.
        num_classes: Number of classes.
        image_size: Image side in pixels; None is 256.

    Raises:
        ConfigError: The patch size does not divide the image size, or ``weights=pretrained``.
        WeightsError: The file cannot be read or does not fit.
    """
    refuse_pretrained(weights, "vit_thesis")
    image_size = image_size or DEFAULT_IMAGE_SIZE
    if image_size % patch_size:
        raise ConfigError(
            f"patches of {patch_size} pixels do not divide images of {image_size}",
            where="model.patch_size",
            remedy=f"use an image size of {-(-image_size // patch_size) * patch_size}",
        )
    net = ThesisVisionTransformer(
        image_size=image_size,
        patch_size=patch_size,
        width=width,
        depth=depth,
        heads=heads,
        key_size=key_size or width,
        dense_sizes=dense_sizes,
        dropout=dropout,
        dense_dropout=dense_dropout,
        num_classes=num_classes,
    )
    net.prepare(weights, grad_checkpointing)
    return net
