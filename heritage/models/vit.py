"""A plain Vision Transformer for small data sets.

    image (B, 3, S, S)
      patch_embed    cut into P×P patches; each becomes a vector of D numbers, a token
    tokens (B, N, D)
      + pos_embed    positional embedding
      blocks         x = x + attention(norm(x));  x = x + mlp(norm(x)), `depth` times
      norm
      pool           mean over tokens, or the class token
      head           linear
    logits (B, K)

Shapes
    B  images in a batch            D  width of a token
    S  image side in pixels         H  attention heads, each D/H wide
    P  patch side in pixels         K  classes
    N  tokens: (S/P)² patches, and the class token if there is one

Papers
    [1] Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021: the architecture.
    [2] Beyer, Zhai, Kolesnikov, "Better plain ViT baselines for ImageNet-1k", 2022: sine-cosine positions,
        global average pooling instead of the class token.
    [3] Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016: `DropPath`.
    [4] Touvron et al., "Going deeper with Image Transformers" (CaiT), ICCV 2021: `LayerScale`.
    [5] Xiao et al., "Early Convolutions Help Transformers See Better", NeurIPS 2021: the convolutional stem.

Parameters have the names of timm's ``VisionTransformer``, so weights can be exchanged with it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from heritage.models.encoder import Encoder
from heritage.models.network import centred_input

Pool = Literal["avg", "token"]
Positions = Literal["sincos", "learned"]
Stem = Literal["linear", "conv"]


class PatchEmbed(nn.Module):
    """Cut images into patches and map each to a token: (B, 3, S, S) → (B, (S/P)², D).

    A linear map of non-overlapping patches is a convolution whose stride is its kernel [1]. The ``conv``
    stem [5] has the same stride, by log2(P) convolutions of 3×3 with stride 2, each doubling the channels,
    and a 1×1 convolution; the paper removes one block in exchange.
    """

    def __init__(self, image_size: int, patch_size: int, width: int, stem: Stem) -> None:
        super().__init__()
        self.patch_size = (patch_size, patch_size)
        self.grid_size = (image_size // patch_size, image_size // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.proj: nn.Module
        if stem == "linear":
            self.proj = linear_stem(patch_size, width)
        else:
            self.proj = conv_stem(halvings=patch_size.bit_length() - 1, width=width)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, S, S) to tokens (B, (S/P)², D), row by row."""
        grid: Tensor = self.proj(images)  # (B, D, S/P, S/P)
        return grid.flatten(2).transpose(1, 2)


def linear_stem(patch_size: int, width: int) -> nn.Conv2d:
    """Return the linear map of non-overlapping patches [1], initialised by LeCun's normal."""
    conv = nn.Conv2d(3, width, kernel_size=patch_size, stride=patch_size)
    nn.init.normal_(conv.weight, std=(3 * patch_size**2) ** -0.5)
    nn.init.zeros_(conv.get_parameter("bias"))
    return conv


def conv_stem(halvings: int, width: int) -> nn.Sequential:
    """Return 3×3 convolutions with stride 2 up to ``width`` channels, then one of 1×1 [5]."""
    layers: list[nn.Module] = []
    channels = 3
    for step in reversed(range(halvings)):
        wider = width >> step
        conv = nn.Conv2d(channels, wider, kernel_size=3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        layers += [conv, nn.BatchNorm2d(wider), nn.ReLU()]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(channels, width, kernel_size=1))


class Attention(nn.Module):
    """Multi-head self-attention: every token receives a weighted mean of all tokens [1].

    For each head, softmax(q kᵀ / √(D/H)) v, by torch's fused kernels.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(dropout)
        # q, k and v share a matrix for speed, but are initialised as three D×D matrices.
        for matrix in (*self.qkv.weight.detach().chunk(3), self.proj.weight):
            nn.init.xavier_uniform_(matrix)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens (B, N, D) → (B, N, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, N, 3, H, D/H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, D/H)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2)))
        return y


class Mlp(nn.Module):
    """Two linear layers with GELU between, applied to each token separately."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens (B, N, D) → (B, N, D)."""
        y: Tensor = self.drop(self.fc2(self.drop(functional.gelu(self.fc1(x)))))
        return y


class LayerScale(nn.Module):
    """Scale each channel of a residual branch by a learned factor with a small initial value [4].

    The paper uses 0.1 for up to 18 blocks, 1e-5 for 24 and 1e-6 for more.
    """

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        """Scale (B, N, D) → (B, N, D)."""
        return x * self.gamma


class DropPath(nn.Module):
    """In training, drop a residual branch for randomly chosen images [3].

    Kept branches are divided by the probability of being kept, so the expectation is unchanged.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero whole images of (B, N, D) with probability ``rate``."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * x.new_empty(x.shape[0], 1, 1).bernoulli_(keep).div_(keep)


class Block(nn.Module):
    """A transformer encoder block with the norms before the branches [1]."""

    def __init__(
        self, width: int, heads: int, hidden: int, dropout: float, drop_path: float, layer_scale: float | None
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, dropout)
        self.ls1 = LayerScale(width, layer_scale) if layer_scale else nn.Identity()
        self.drop_path1 = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden, dropout)
        self.ls2 = LayerScale(width, layer_scale) if layer_scale else nn.Identity()
        self.drop_path2 = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens (B, N, D) → (B, N, D)."""
        x = x + self.drop_path1(self.ls1(self.attn(self.norm1(x))))
        y: Tensor = x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))
        return y


def sincos_positions(side: int, width: int) -> Tensor:
    """Return fixed 2-D positional embeddings of a side×side grid, (side², D), row by row [2].

    The four quarters of the channels are sin and cos of the column, sin and cos of the row, at wavelengths
    from 2π to 10,000·2π in a geometric series.
    """
    frequencies = 10_000.0 ** -torch.linspace(0, 1, width // 4)
    steps = torch.arange(side, dtype=torch.float32)
    rows, columns = (
        axis.flatten().outer(frequencies) for axis in torch.meshgrid(steps, steps, indexing="ij")
    )
    return torch.cat([columns.sin(), columns.cos(), rows.sin(), rows.cos()], dim=1)


class VisionTransformer(Encoder):
    """A plain Vision Transformer.

    Args:
        image_size: Image side in pixels, S.
        patch_size: Patch side in pixels, P; divides ``image_size``.
        width: Width of a token, D.
        depth: Number of blocks.
        heads: Attention heads, H; divides ``width``.
        mlp_ratio: Hidden width of the MLP over ``width``.
        num_classes: Classes, K.
        pool: ``avg``, the mean over patches [2], or ``token``, a class token [1].
        positions: ``sincos``, fixed [2], or ``learned`` [1].
        stem: ``linear`` [1] or ``conv`` [5].
        dropout: Rate after the positional embedding and after each linear layer except q, k, v [1].
        drop_path: Rate of stochastic depth in the last block, increasing linearly from 0 in the first [3].
        layer_scale: Initial value of the layer scales; None has no layer scales [4].

    Attributes:
        num_prefix_tokens: Tokens before the patches: 1 with a class token, else 0.
    """

    pos_embed: Tensor

    def __init__(
        self,
        *,
        image_size: int,
        patch_size: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        num_classes: int,
        pool: Pool,
        positions: Positions,
        stem: Stem,
        dropout: float,
        drop_path: float,
        layer_scale: float | None,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.num_prefix_tokens = 1 if pool == "token" else 0
        self.input_spec = centred_input(image_size)

        self.patch_embed = PatchEmbed(image_size, patch_size, width, stem)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if pool == "token" else None
        if positions == "learned":
            length = self.num_prefix_tokens + self.patch_embed.num_patches
            self.pos_embed = nn.Parameter(torch.randn(1, length, width) * 0.02)
        else:
            grid = sincos_positions(self.patch_embed.grid_size[0], width)
            fixed = functional.pad(grid, (0, 0, self.num_prefix_tokens, 0))  # the class token has no position
            self.register_buffer("pos_embed", fixed.unsqueeze(0), persistent=False)
        self.pos_drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, int(width * mlp_ratio), dropout, rate, layer_scale)
            for rate in torch.linspace(0, drop_path, depth, device="cpu").tolist()
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the normalised tokens (B, N, D) of images (B, 3, S, S)."""
        x = self.patch_embed(images)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = self.through_blocks(self.pos_drop(x + self.pos_embed))
        tokens: Tensor = self.norm(x)
        return tokens

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits (B, K) of tokens (B, N, D), or the pooled token (B, D) before the head."""
        x = x[:, 0] if self.pool == "token" else x.mean(dim=1)
        if not pre_logits:
            x = self.head(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of normalised images (B, 3, S, S)."""
        return self.forward_head(self.forward_features(images))

    def no_weight_decay(self) -> set[str]:
        """Return the parameters without weight decay."""
        return {"pos_embed", "cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Return the patterns by which timm orders parameters from input to output."""
        blocks = [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]
        return {"stem": r"^cls_token|pos_embed|patch_embed", "blocks": r"^blocks" if coarse else blocks}
