"""The Vision Transformer against timm's with the same weights, and against the papers' formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from heritage.errors import ConfigError
from heritage.models.vit import Attention, DropPath, VisionTransformer, conv_stem, sincos_positions
from heritage.models.vit_sizes import SIZES, choose_patch_size, vit

TINY: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 8,
    "width": 24,
    "depth": 3,
    "heads": 3,
    "mlp_ratio": 2.0,
    "num_classes": 5,
    "pool": "avg",
    "positions": "sincos",
    "stem": "linear",
    "dropout": 0.0,
    "drop_path": 0.0,
    "layer_scale": None,
}
PRESET: dict[str, Any] = {
    "size": "tiny",
    "width": 24,
    "depth": 2,
    "heads": 3,
    "patch_size": None,
    "mlp_ratio": 2.0,
    "pool": "avg",
    "positions": "sincos",
    "stem": "linear",
    "dropout": 0.0,
    "drop_path": 0.1,
    "layer_scale": None,
    "grad_checkpointing": False,
    "weights": "none",
    "num_classes": 5,
    "image_size": 32,
}


def randomised(**changes: Any) -> Any:
    """A network none of whose weights is zero, so that none can be missed."""
    torch.manual_seed(0)
    net = VisionTransformer(**TINY | changes)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    return net.eval()


@pytest.mark.parametrize(
    "changes",
    [
        {"pool": "token", "positions": "learned"},
        {"pool": "avg", "positions": "learned"},
        {"pool": "avg", "positions": "sincos"},
        {"pool": "token", "positions": "sincos", "layer_scale": 0.1},
    ],
)
def test_agrees_with_timm_given_the_same_weights(changes: dict[str, Any]) -> None:
    ours = randomised(**changes)
    theirs = timm.models.VisionTransformer(
        img_size=32,
        patch_size=8,
        embed_dim=24,
        depth=3,
        num_heads=3,
        mlp_ratio=2.0,
        num_classes=5,
        global_pool=ours.pool,
        class_token=ours.pool == "token",
        init_values=ours.blocks[0].ls1.gamma[0].item() if changes.get("layer_scale") else None,
        fc_norm=False,
    ).eval()
    theirs.load_state_dict(ours.state_dict() | {"pos_embed": ours.pos_embed})

    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = ours.forward_features(images)
        torch.testing.assert_close(tokens, theirs.forward_features(images), atol=1e-5, rtol=0)
        pooled = theirs.forward_head(tokens, pre_logits=True)
        torch.testing.assert_close(ours.forward_head(tokens, pre_logits=True), pooled, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=0)
    assert ours.num_prefix_tokens == theirs.num_prefix_tokens
    assert ours.patch_embed.grid_size == theirs.patch_embed.grid_size


def test_attention_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    layer = Attention(width=12, heads=3, dropout=0.0)
    x = torch.randn(2, 5, 12)
    q, k, v = layer.qkv(x).split(12, dim=-1)
    heads = []
    for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
        weights = torch.softmax(q[..., part] @ k[..., part].mT / math.sqrt(4), dim=-1)
        heads.append(weights @ v[..., part])
    torch.testing.assert_close(layer(x), layer.proj(torch.cat(heads, dim=-1)))


def test_sincos_positions_follow_the_formula() -> None:
    side, width = 3, 16
    table = sincos_positions(side, width)
    quarter = width // 4
    for row in range(side):
        for column in range(side):
            frequencies = [10_000 ** (-i / (quarter - 1)) for i in range(quarter)]
            expected = [
                wave(place * f)
                for place in (column, row)
                for wave in (math.sin, math.cos)
                for f in frequencies
            ]
            assert table[row * side + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_class_token_has_no_sincos_position() -> None:
    net = VisionTransformer(**TINY | {"pool": "token"})
    assert torch.equal(net.pos_embed[0, 0], torch.zeros(24))
    assert torch.equal(net.pos_embed[0, 1:], sincos_positions(4, 24))
    assert "pos_embed" not in net.state_dict()


def test_weights_start_as_in_the_papers() -> None:
    torch.manual_seed(0)
    net: Any = VisionTransformer(**TINY | {"width": 96, "positions": "learned", "pool": "token"})
    bound = math.sqrt(6 / (96 + 96))  # Xavier for a D×D matrix, not for the fused 3D×D one
    for matrix in net.blocks[0].attn.qkv.weight.chunk(3):
        assert bound * 0.99 < matrix.abs().max() <= bound
        assert matrix.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert net.patch_embed.proj.weight.std().item() == pytest.approx((3 * 8 * 8) ** -0.5, rel=0.05)
    assert net.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)
    zeros = (net.head.weight, net.head.bias, net.cls_token, net.blocks[0].attn.qkv.bias)
    assert all(torch.count_nonzero(parameter) == 0 for parameter in zeros)


@pytest.mark.parametrize("patch_size", [4, 8, 16])
def test_convolutional_stem_gives_the_same_grid(patch_size: int) -> None:
    net = randomised(stem="conv", patch_size=patch_size)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 5)
    halvings = int(math.log2(patch_size))
    stem = conv_stem(halvings, 64)
    convolutions = [layer for layer in stem if isinstance(layer, nn.Conv2d)]
    assert [layer.stride[0] for layer in convolutions] == [2] * halvings + [1]
    assert [layer.out_channels for layer in convolutions] == [64 >> i for i in reversed(range(halvings))] + [
        64
    ]


def test_drop_path_drops_whole_images_and_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    layer = DropPath(0.25)
    x = torch.ones(4000, 2, 3)
    y = layer(x)
    per_image = y.flatten(1)
    assert sorted(set(per_image[:, 0].tolist())) == [0.0, pytest.approx(1 / 0.75)]
    assert torch.equal(per_image, per_image[:, :1].expand_as(per_image))
    # 4000 draws: four standard deviations of the mean are 0.037.
    assert y.mean().item() == pytest.approx(1.0, abs=0.037)
    assert layer.eval()(x) is x


def test_stochastic_depth_grows_linearly() -> None:
    net: Any = VisionTransformer(**TINY | {"depth": 5, "drop_path": 0.2})
    rates = [rate for block in net.blocks for rate in (block.drop_path1.rate, block.drop_path2.rate)]
    expected = [0.0, 0.0, 0.05, 0.05, 0.1, 0.1, 0.15, 0.15, 0.2, 0.2]
    assert rates == pytest.approx(expected)


def test_gradient_checkpointing_changes_nothing() -> None:
    def gradients(checkpointing: bool) -> list[Tensor]:
        net = randomised(dropout=0.1, drop_path=0.2).train()
        net.set_grad_checkpointing(checkpointing)
        torch.manual_seed(1)
        net(torch.randn(4, 3, 32, 32)).square().sum().backward()
        return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]

    plain, again = gradients(False), gradients(True)
    assert len(plain) == len(again) == len(list(randomised().parameters()))
    for before, after in zip(plain, again, strict=True):
        torch.testing.assert_close(before, after)


@pytest.mark.parametrize(("size", "shape"), [item for item in SIZES.items() if item[0] != "mini"])
def test_named_sizes(size: str, shape: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        net: Any = vit(
            **PRESET | {"size": size, "width": None, "depth": None, "heads": None, "image_size": 224}
        )
        theirs = timm.create_model(f"vit_{size}_patch16_224", num_classes=5)
    assert (net.patch_embed.proj.out_channels, len(net.blocks), net.blocks[0].attn.num_heads) == shape
    # timm's have learned positions (197 tokens) and a class token besides; the MLP ratio is 2 here, not 4.
    mlp = PRESET["mlp_ratio"]
    assert mlp == 2
    width, depth, _ = shape
    fewer = (197 + 1) * width + depth * (2 * width * width * 2 + 2 * width)
    assert sum(p.numel() for p in theirs.parameters()) - sum(p.numel() for p in net.parameters()) == fewer


@pytest.mark.parametrize(
    ("image_size", "patch_size"),
    [(24, 4), (32, 4), (64, 8), (96, 8), (100, 4), (128, 16), (192, 16), (200, 8), (224, 16), (384, 16)],
)
def test_patch_size_follows_the_image(image_size: int, patch_size: int) -> None:
    assert choose_patch_size(image_size) == patch_size


def test_builder_sets_input_and_options() -> None:
    net = vit(**PRESET | {"image_size": None, "grad_checkpointing": True})
    assert (net.input_spec.image_size, net.input_spec.mean, net.input_spec.std) == (
        224,
        (0.5,) * 3,
        (0.5,) * 3,
    )
    assert net.patch_embed.patch_size == (16, 16)
    assert net.grad_checkpointing


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 30}, "use an image size of 28 or 32"),
        ({"image_size": 250, "patch_size": 16}, "use an image size of 240 or 256"),
        ({"image_size": 8, "patch_size": 16}, "use an image size of 16"),
        ({"width": 26}, "set model.width=24"),
        ({"stem": "conv", "patch_size": 16, "width": 36}, "set model.stem=linear"),
        ({"stem": "conv", "patch_size": 6, "image_size": 36}, "set model.stem=linear"),
        ({"weights": "pretrained"}, "model=vit_pretrained"),
    ],
)
def test_incompatible_sizes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vit(**PRESET | changes)
