"""The thesis's Vision Transformer: every number of its layer table, and that it learns."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from heritage.errors import ConfigError
from heritage.models.vit_thesis import PatchEncoder, WideAttention, vit_thesis

PUBLISHED: dict[str, Any] = {
    "width": 768,
    "depth": 4,
    "heads": 8,
    "key_size": None,
    "patch_size": 16,
    "dense_sizes": [1024, 1024],
    "dropout": 0.1,
    "dense_dropout": 0.5,
    "grad_checkpointing": False,
    "weights": "none",
    "num_classes": 6,
    "image_size": None,
}
SMALL: dict[str, Any] = PUBLISHED | {"width": 16, "heads": 2, "dense_sizes": [32, 32], "image_size": 32}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_layer_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net: Any = vit_thesis(**PUBLISHED)
        logits = net(torch.empty(2, 3, 256, 256))
    assert count(net.patch_encoder.projection) == 590_592
    assert net.patch_encoder.position.numel() == 196_608
    assert count(net.patch_encoder) == 787_200
    assert len(net.blocks) == 4
    for block in net.blocks:
        attention = block.attn
        assert count(block.norm1) + count(block.norm2) == 3_072
        assert count(attention.q) + count(attention.k) + count(attention.v) == 14_174_208
        assert count(attention.proj) == 4_719_360
        assert count(block.feed_forward) == 1_181_184
        assert count(block) == 20_077_824
    assert [count(layer) for layer in net.dense] == [201_327_616, 1_049_600]
    assert count(net.head) == 6_150
    assert count(net) == 283_481_862
    assert logits.shape == (2, 6)


def test_a_smaller_width_gives_a_small_network() -> None:
    with torch.device("meta"):
        net: Any = vit_thesis(**PUBLISHED | {"width": 96})
    assert net.blocks[0].attn.q.weight.shape == (8 * 96, 96)
    assert count(net) == 27_586_278


def test_attention_scales_by_the_heads_own_width() -> None:
    torch.manual_seed(0)
    layer = WideAttention(width=6, heads=2, key_size=5, dropout=0.0)
    x = torch.randn(2, 4, 6)
    q, k, v = (part(x).reshape(2, 4, 2, 5) for part in (layer.q, layer.k, layer.v))
    weights = torch.einsum("bqhe,bkhe->bhqk", q, k).div(math.sqrt(5)).softmax(dim=-1)
    mixed = torch.einsum("bhqk,bkhe->bqhe", weights, v).reshape(2, 4, 10)
    torch.testing.assert_close(layer(x), layer.proj(mixed))


def test_patches_are_encoded_row_by_row() -> None:
    torch.manual_seed(0)
    encoder = PatchEncoder(image_size=8, patch_size=4, width=5)
    images = torch.randn(1, 3, 8, 8)
    second = images[0, :, :4, 4:].reshape(1, -1)  # the upper right patch
    expected = encoder.projection(second) + encoder.position[0, 1]
    torch.testing.assert_close(encoder(images)[0, 1], expected[0])


def test_overfits_a_small_batch() -> None:
    torch.manual_seed(0)
    net = vit_thesis(**SMALL | {"depth": 1, "dropout": 0.0, "dense_dropout": 0.0})
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    images, targets = torch.randn(6, 3, 32, 32), torch.arange(6)
    losses = []
    for _ in range(12):
        loss: Any = nn.functional.cross_entropy(net(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert losses[-1] < 0.1 * losses[0]


def test_gradient_checkpointing_changes_nothing() -> None:
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        net = vit_thesis(**SMALL | {"grad_checkpointing": checkpointing})
        net(torch.randn(2, 3, 32, 32)).square().sum().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
    for plain, again in zip(*gradients, strict=True):
        assert plain is not None
        torch.testing.assert_close(plain, again)


def test_features_and_head_give_the_logits() -> None:
    net = vit_thesis(**SMALL).eval()
    images = torch.randn(2, 3, 32, 32)
    tokens = net.forward_features(images)
    assert tokens.shape == (2, 4, 16)
    assert net.forward_head(tokens, pre_logits=True).shape == (2, 32)
    torch.testing.assert_close(net.forward_head(tokens), net(images))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="use an image size of 48"):
        vit_thesis(**SMALL | {"image_size": 40})
    with pytest.raises(ConfigError, match="no pretrained weights for vit_thesis"):
        vit_thesis(**SMALL | {"weights": "pretrained"})
