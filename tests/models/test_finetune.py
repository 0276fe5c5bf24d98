"""Fine-tuning depth, frozen statistics and layer-wise learning rates, on four kinds of network."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from heritage.errors import ConfigError
from heritage.models.finetune import (
    freeze_norm_statistics,
    parameter_groups,
    set_trainable,
    unfreeze_gradually,
)
from heritage.models.layers import blocks, layers, without_weight_decay
from heritage.models.vit import VisionTransformer
from heritage.models.vit_thesis import ThesisVisionTransformer


def our_vit() -> nn.Module:
    return VisionTransformer(
        image_size=32,
        patch_size=8,
        width=24,
        depth=12,
        heads=3,
        mlp_ratio=2.0,
        num_classes=6,
        pool="token",
        positions="learned",
        stem="linear",
        dropout=0.0,
        drop_path=0.0,
        layer_scale=0.1,
    )


def thesis_vit() -> nn.Module:
    return ThesisVisionTransformer(
        image_size=32,
        patch_size=16,
        width=12,
        depth=4,
        heads=2,
        key_size=12,
        dense_sizes=[16, 16],
        dropout=0.0,
        dense_dropout=0.0,
        num_classes=6,
    )


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in ("vit", "vit_thesis"):
        return our_vit() if name == "vit" else thesis_vit()
    net: nn.Module = timm.create_model(name, num_classes=6)
    return net


def trainable(net: nn.Module) -> set[str]:
    return {name for name, parameter in net.named_parameters() if parameter.requires_grad}


def below(net: nn.Module, *prefixes: str) -> set[str]:
    return {name for name, _ in net.named_parameters() if name.startswith(prefixes)}


HEADS = {
    "resnet18": ("fc.",),
    "efficientnet_b0": ("classifier.",),
    "vit_tiny_patch16_224": ("head.",),
    "vit": ("head.",),
    "vit_thesis": ("head.",),
}
LAST_TWO_BLOCKS = {
    "resnet18": ("layer4.0.", "layer4.1.", "fc."),
    # The last convolution and norm belong to the last block.
    "efficientnet_b0": ("blocks.5.3.", "blocks.6.0.", "conv_head.", "bn2.", "classifier."),
    "vit_tiny_patch16_224": ("blocks.10.", "blocks.11.", "norm.", "head."),
    "vit": ("blocks.10.", "blocks.11.", "norm.", "head."),
    "vit_thesis": ("dense.0.", "dense.1.", "head."),
}
LAST_TWO_LAYERS = {
    "resnet18": ("layer4.1.conv2.", "layer4.1.bn2.", "fc."),
    "efficientnet_b0": ("conv_head.", "bn2.", "classifier."),
    "vit_tiny_patch16_224": ("blocks.11.mlp.fc2.", "norm.", "head."),
    "vit": ("blocks.11.ls2.", "norm.", "head."),
    "vit_thesis": ("dense.0.", "dense.1.", "head."),
}


@pytest.mark.parametrize("name", HEADS)
def test_exactly_the_expected_parameters_train(name: str) -> None:
    with torch.device("meta"):
        net = network(name)
    everything = {parameter for parameter, _ in net.named_parameters()}

    report = set_trainable(net, "head", 0, "blocks")
    assert trainable(net) == below(net, *HEADS[name])
    assert (
        report.parameters
        == sum(p.numel() for p in net.parameters() if p.requires_grad)
        < report.total_parameters
    )

    set_trainable(net, "last_n", 2, "blocks")
    assert trainable(net) == below(net, *LAST_TWO_BLOCKS[name])
    set_trainable(net, "last_n", 2, "layers")
    assert trainable(net) == below(net, *LAST_TWO_LAYERS[name])
    set_trainable(net, "last_n", 0, "layers")
    assert trainable(net) == below(net, *HEADS[name])

    report = set_trainable(net, "full", 0, "layers")
    assert trainable(net) == everything
    assert report.units == report.total_units
    assert report.parameters == report.total_parameters


def test_resnet50_has_106_layers_as_in_the_literature() -> None:
    with torch.device("meta"):
        net = network("resnet50")
    report = set_trainable(net, "last_n", 20, "layers")
    assert (report.units, report.total_units) == (20, 106)
    assert str(report).startswith("training the classifier and 20 of 106 layers before it, ")
    assert str(report).endswith(" parameters, from layer4.0.conv1 on")


@pytest.mark.parametrize(
    "name", [*HEADS, "convnext_tiny", "maxvit_tiny_tf_224", "deit_tiny_distilled_patch16_224", "pit_ti_224"]
)
def test_blocks_and_layers_hold_every_parameter_once(name: str) -> None:
    with torch.device("meta"):
        net = network(name)
    names = sorted(name for name, _ in net.named_parameters())
    assert sorted(name for block in blocks(net) for name in block) == names
    assert sorted(name for layer in layers(net) for name in layer) == names


def test_too_many_units_are_refused() -> None:
    net = network("vit")
    with pytest.raises(ConfigError, match="has 13 blocks before its classifier; take 0 to 13"):
        set_trainable(net, "last_n", 14, "blocks")
    with pytest.raises(ConfigError, match="n=-1"):
        set_trainable(net, "last_n", -1, "blocks")


def test_gradual_unfreezing_adds_a_block_at_a_time() -> None:
    net = network("vit_thesis")  # 4 blocks, 2 dense layers and the stem
    reports = [unfreeze_gradually(net, epoch, every=2) for epoch in range(16)]
    assert [report.units for report in reports] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert trainable(net) == {name for name, _ in net.named_parameters()}
    assert unfreeze_gradually(net, 100, every=2).units == 7


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_frozen_batch_norms_keep_their_statistics(name: str) -> None:
    net = network(name)
    set_trainable(net, "last_n", 1, "blocks")
    net.train()
    assert freeze_norm_statistics(net) == sum(
        isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad for module in net.modules()
    )
    before = {key: value.clone() for key, value in net.named_buffers()}
    net(torch.randn(4, 3, 64, 64) * 3 + 1)
    for module_name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            key = f"{module_name}.running_mean"
            moved = not torch.equal(before[key], net.get_buffer(key))
            assert moved == module.weight.requires_grad == module.training, module_name
    assert any(module.training for module in net.modules() if isinstance(module, nn.BatchNorm2d))


def test_an_unfrozen_norm_trains_again() -> None:
    net = network("test_resnet").train()
    set_trainable(net, "head", 0, "blocks")
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert freeze_norm_statistics(net) == len(norms)
    assert not any(norm.training for norm in norms)
    set_trainable(net, "last_n", 1, "blocks")
    assert 0 < freeze_norm_statistics(net) < len(norms)
    assert [norm.training for norm in norms] == [norm.weight.requires_grad for norm in norms]


def test_statistics_of_a_fully_trained_network_are_updated() -> None:
    net = network("test_resnet").train()
    set_trainable(net, "full", 0, "blocks")
    assert freeze_norm_statistics(net) == 0


@pytest.mark.parametrize("name", HEADS)
def test_norms_biases_and_positions_do_not_decay(name: str) -> None:
    with torch.device("meta"):
        net = network(name)
    exempt = without_weight_decay(net)
    for parameter_name, parameter in net.named_parameters():
        vector = parameter.ndim <= 1
        place = parameter_name.endswith(("pos_embed", "cls_token", "position"))
        assert (parameter_name in exempt) == (vector or place), parameter_name


@pytest.mark.parametrize("name", HEADS)
def test_groups_hold_every_parameter_once_with_its_own_rate(name: str) -> None:
    with torch.device("meta"):
        net = network(name)
    ordered = blocks(net)
    expected = {
        parameter_name: 0.1 * 0.7 ** (len(ordered) - 1 - index)
        for index, block in enumerate(ordered)
        for parameter_name in block
    }
    names = {id(parameter): parameter_name for parameter_name, parameter in net.named_parameters()}
    exempt = without_weight_decay(net)
    groups = parameter_groups(net, lr=0.1, weight_decay=0.05, layer_decay=0.7)
    entries = [
        (names[id(p)], group["lr"], group["weight_decay"]) for group in groups for p in group["params"]
    ]
    assert sorted(entry[0] for entry in entries) == sorted(names.values())
    for parameter_name, rate, decay in entries:
        assert rate == pytest.approx(expected[parameter_name])
        assert decay == (0.0 if parameter_name in exempt else 0.05)
    assert len({group["name"] for group in groups}) == len(groups)


@pytest.mark.parametrize("layer_decay", [None, 1.0])
def test_without_layer_decay_there_are_two_groups(layer_decay: float | None) -> None:
    groups = parameter_groups(network("vit"), lr=0.1, weight_decay=0.05, layer_decay=layer_decay)
    assert [(group["name"], group["lr"], group["weight_decay"]) for group in groups] == [
        ("decay", 0.1, 0.05),
        ("no_decay", 0.1, 0.0),
    ]


def test_rates_keep_their_ratio_through_a_torch_schedule() -> None:
    net = network("vit")
    optimizer = torch.optim.AdamW(parameter_groups(net, lr=0.1, weight_decay=0.05, layer_decay=0.5))
    schedule = CosineAnnealingLR(optimizer, T_max=10)
    start = [group["lr"] for group in optimizer.param_groups]
    assert start[0] == pytest.approx(0.1 * 0.5**13)
    assert start[-1] == 0.1
    for _ in range(9):
        optimizer.step()
        schedule.step()
        now = [group["lr"] for group in optimizer.param_groups]
        assert [rate / now[-1] for rate in now] == pytest.approx([rate / start[-1] for rate in start])
    assert now[-1] < 0.01


def test_the_optimizer_does_not_change_frozen_parameters() -> None:
    net = network("vit")
    nn.init.normal_(net.head.weight)  # type: ignore[arg-type, union-attr]
    optimizer = torch.optim.AdamW(parameter_groups(net, lr=0.1, weight_decay=0.5, layer_decay=None))

    def changed_by_a_step() -> set[str]:
        before: dict[str, Any] = copy.deepcopy(dict(net.named_parameters()))
        loss: Any = nn.functional.cross_entropy(net(torch.randn(4, 3, 32, 32)), torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {
            name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])
        }

    unfreeze_gradually(net, epoch=0, every=1)
    assert changed_by_a_step() == below(net, "head.")
    unfreeze_gradually(net, epoch=1, every=1)
    assert changed_by_a_step() == below(net, "head.", "norm.", "blocks.11.")
