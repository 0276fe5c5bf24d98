"""timm's networks by name: what they expect, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import timm
import torch
from torch import nn

from heritage.errors import ConfigError
from heritage.models.backbone import timm_network
from heritage.models.network import InputSpec, input_spec

OPTIONS: dict[str, Any] = {
    "weights": "none",
    "drop_rate": None,
    "drop_path_rate": None,
    "grad_checkpointing": False,
    "num_classes": 6,
    "image_size": None,
}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def build(name: str, **changes: Any) -> Any:
    return timm_network(name=name, **OPTIONS | changes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50.tv_in1k", InputSpec(224, **IMAGENET, interpolation="bilinear", crop_pct=0.875)),
        ("efficientnet_b1.ft_in1k", InputSpec(224, **IMAGENET, interpolation="bicubic", crop_pct=0.875)),
        (
            "efficientnet_b1.ra4_e3600_r240_in1k",
            InputSpec(240, **HALF, interpolation="bicubic", crop_pct=0.9),
        ),
        ("efficientnet_b2.ra_in1k", InputSpec(256, **IMAGENET, interpolation="bicubic", crop_pct=0.875)),
        (
            "vit_small_patch16_224.augreg_in21k_ft_in1k",
            InputSpec(224, **HALF, interpolation="bicubic", crop_pct=0.9),
        ),
    ],
)
def test_input_is_that_of_the_weights(name: str, expected: InputSpec) -> None:
    with torch.device("meta"):
        assert input_spec(build(name)) == expected
        assert input_spec(build(name, image_size=64)) == dataclasses.replace(expected, image_size=64)


def test_a_network_without_input_specification_is_refused() -> None:
    with pytest.raises(ConfigError, match="Linear has no input specification"):
        input_spec(nn.Linear(1, 1))


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_runs_at_another_size_and_number_of_classes(name: str) -> None:
    net = build(name, image_size=64, num_classes=4, drop_rate=0.1)
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 4)
    assert net.drop_rate == 0.1 if hasattr(net, "drop_rate") else net.head_drop.p == 0.1


def test_initial_weights_equal_timm() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", num_classes=6).state_dict()
    torch.manual_seed(0)
    ours = build("test_resnet").state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize(
    ("name", "image_size", "message"),
    [
        (
            "vit_tiny_patch16_224",
            72,
            "not a multiple of its patch size of 16 pixels; leave it at null for 224",
        ),
        ("test_vit.r160_in1k", 8, "cannot run at 8 pixels"),
        ("test_resnet", 16, "smaller than its stride of 32 pixels"),
        ("vgg11", 16, "cannot run at 16 pixels"),
        ("maxvit_tiny_tf_224.in1k", 250, "cannot run at 250 pixels"),
    ],
)
def test_unsuitable_image_sizes_are_refused(name: str, image_size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, image_size=image_size)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", r"no model 'resnet51'; did you mean 'resnet\d"),
        ("efficientnet_b0.ra_in1", r"did you mean 'ra_in1k'\?"),
        ("efficientnet_b0.zzz", r"choose from ra4_e3600_r224_in1k, ra_in1k"),
        ("hf-hub:timm/resnet18.a1_in1k", "no model 'hf-hub:timm/resnet18'"),
        ("tv_densenet121", r"did you mean 'densenet121'\?"),
    ],
)
def test_unknown_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"vgg11: .*'drop_path_rate'.*; set the option to null"):
        build("vgg11", drop_path_rate=0.1)
    with pytest.raises(ConfigError, match="encoder without a classifier"):
        build("deepseek_vit_412m_enc")
    with pytest.raises(ConfigError, match="dla34 has no gradient checkpointing"):
        build("dla34", grad_checkpointing=True)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        net = build("test_vit", image_size=32, grad_checkpointing=checkpointing)
        assert net.grad_checkpointing is checkpointing
        net(torch.randn(2, 3, 32, 32)).square().sum().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)
