"""Adapters: where they are, what trains, and that merging them changes no prediction."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from heritage.config.network_parts import AdapterOptions
from heritage.errors import ConfigError, WeightsError
from heritage.models.adapters import (
    adapter_names,
    adapters,
    attach_adapters,
    is_mergeable,
    load_adapters,
    merge_adapters,
)
from heritage.models.finetune import (
    freeze_norm_statistics,
    norms_and_biases,
    parameter_groups,
    set_trainable,
)
from heritage.models.layers import blocks, classifier_names, without_weight_decay
from heritage.models.network import InputSpec, set_input_spec
from heritage.models.weights import without_adapters
from tests.models.test_finetune import network as our_network

SIZE = 64
LORA = {"kind": "lora", "rank": 4, "alpha": 8.0, "where": "auto"}
EVERYWHERE = LORA | {"where": "all"}
BOTTLENECK = {"kind": "adapter", "bottleneck": 8, "scale": 0.5}
OPTIONS = {"lora": LORA, "all": EVERYWHERE, "adapter": BOTTLENECK}

NETWORKS: dict[str, dict[str, Any]] = {
    "test_vit3": {"img_size": SIZE},
    "test_efficientnet": {},
    "test_resnet": {"zero_init_last": False},
    "convnext_atto": {"ls_init_value": 1.0, "depths": (1, 1, 2, 1)},
    "regnety_002": {"zero_init_last": False},
}


def network(name: str) -> nn.Module:
    if name in ("vit", "vit_thesis"):
        net = our_network(name)
    else:
        torch.manual_seed(0)
        net = timm.create_model(name, num_classes=6, **NETWORKS[name])
        set_input_spec(net, InputSpec(SIZE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0))
    for entry in classifier_names(net):
        nn.init.normal_(net.get_parameter(entry))
    for entry, parameter in net.named_parameters():
        if entry.endswith("gamma"):  # layer scales, which would hide what a block computes
            nn.init.ones_(parameter)
    return net.eval()


def images(net: nn.Module) -> Tensor:
    side = net.input_spec.image_size  # type: ignore[union-attr]
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))  # type: ignore[arg-type]


def learn(net: nn.Module) -> None:
    """Give all adapters weights as if they had been trained."""
    torch.manual_seed(2)
    for name, parameter in net.named_parameters():
        if name in adapter_names(net):
            nn.init.normal_(parameter.detach(), std=0.1)


ALL = [*NETWORKS, "vit", "vit_thesis"]


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_untrained_adapters_change_no_prediction_and_no_name(name: str, kind: str) -> None:
    net = network(name)
    before, names, place = net(images(net)), list(net.state_dict()), _block_of(net)
    attach_adapters(net, OPTIONS[kind])
    torch.testing.assert_close(net(images(net)), before)
    assert [entry for entry in net.state_dict() if entry in names] == names
    assert list(without_adapters(net.state_dict())) == names
    now = _block_of(net)
    assert {entry: now[entry] for entry in place} == place
    for module, _, _ in adapters(net):
        own = {now[entry] for entry in now if entry.startswith(f"{module}.adapter.")}
        assert own <= {place[entry] for entry in place if entry.startswith(f"{module}.")}, module
    learn(net)
    assert not torch.allclose(net(images(net)), before, atol=1e-3)


def _block_of(net: nn.Module) -> dict[str, int]:
    return {name: number for number, names in enumerate(blocks(net)) for name in names}


@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_merged_updates_change_no_prediction(name: str) -> None:
    net = attach_adapters(network(name), EVERYWHERE)
    learn(net)
    merged = copy.deepcopy(net)
    before = net(images(net))
    assert is_mergeable(merged)
    merge_adapters(merged)
    after = merged(images(merged))
    assert float((after - before).abs().max()) <= 1e-5 * max(1.0, float(before.abs().max()))
    assert list(merged.state_dict()) == list(network(name).state_dict())
    torch.testing.assert_close(net(images(net)), before)  # the original still has its adapters


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("name", ALL)
def test_every_adapter_learns_and_nothing_else(name: str, kind: str) -> None:
    net = attach_adapters(network(name), OPTIONS[kind])
    report = set_trainable(net, "head", 0, "layers", adapters=True)
    learn(net)
    net.train()
    freeze_norm_statistics(net)
    net(images(net)).square().sum().backward()
    moved = {entry for entry, p in net.named_parameters() if p.grad is not None and bool(p.grad.abs().sum())}
    assert moved == adapter_names(net) | classifier_names(net)
    assert report.adapters == len(list(adapters(net))) > 0
    assert report.parameters == sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert str(report).startswith(
        f"training the classifier, {report.adapters} adapters: {report.parameters:,}"
    )


@pytest.mark.parametrize("name", ["test_vit3", "test_efficientnet", "test_resnet", "vit"])
def test_norms_and_biases_train_together(name: str) -> None:
    net = network(name)
    report = set_trainable(net, "head", 0, "layers", norms=True)
    trained = {entry for entry, p in net.named_parameters() if p.requires_grad}
    assert trained == norms_and_biases(net) | classifier_names(net)
    for entry, parameter in net.named_parameters():
        norm = "Norm" in type(net.get_submodule(entry.rpartition(".")[0])).__name__
        assert (entry in trained) == (norm or entry.endswith("bias") or entry in classifier_names(net)), entry
        assert parameter.ndim <= 1 or entry in classifier_names(net) or entry not in trained
    assert "the classifier, norms and biases: " in str(report)
    net.train()
    assert freeze_norm_statistics(net) == 0, "norms that train take their statistics from the images"


def test_frozen_norms_beside_adapters_keep_their_statistics() -> None:
    net = attach_adapters(network("test_efficientnet"), BOTTLENECK).train()
    set_trainable(net, "head", 0, "layers", adapters=True)
    assert freeze_norm_statistics(net) == sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())


@pytest.mark.parametrize("kind", OPTIONS)
def test_adapters_have_the_rate_of_their_block_and_decay_as_matrices(kind: str) -> None:
    net = attach_adapters(network("test_vit3"), OPTIONS[kind])
    names = {id(parameter): entry for entry, parameter in net.named_parameters()}
    groups = parameter_groups(net, lr=0.1, weight_decay=0.05, layer_decay=0.5)
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    place, exempt = _block_of(net), without_weight_decay(net)
    for entry in adapter_names(net):
        rate = 0.1 * 0.5 ** (len(blocks(net)) - 1 - place[entry])
        assert found[entry] == (pytest.approx(rate), 0.0 if entry.endswith("bias") else 0.05)
        assert (entry in exempt) == entry.endswith("bias")


def test_attention_and_convolutions_are_found_where_they_are() -> None:
    vit = [name for name, _, _ in adapters(attach_adapters(network("test_vit3"), LORA))]
    assert {name.rpartition("attn.")[2] for name in vit} == {"qkv", "proj"}
    more = [name for name, _, _ in adapters(attach_adapters(network("test_vit3"), EVERYWHERE))]
    assert {name.rpartition(".")[2] for name in more} >= {"qkv", "proj", "fc1", "fc2"}
    convolutional = attach_adapters(network("test_efficientnet"), LORA)
    layers = [module for _, module, _ in adapters(convolutional)]
    assert layers
    assert all(isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) for layer in layers)
    beside = [name for name, _, _ in adapters(attach_adapters(network("vit"), BOTTLENECK))]
    assert beside == [f"blocks.{number}.mlp" for number in range(12)]
    trunk = [name for name, _, _ in adapters(attach_adapters(network("test_resnet"), BOTTLENECK))]
    assert trunk == [f"layer{number}.0" for number in range(1, 5)]


@pytest.mark.parametrize("name", ["eva02_tiny_patch14_224", "beit_base_patch16_224"])
def test_layers_whose_weight_is_read_directly_are_called(name: str) -> None:
    torch.manual_seed(0)
    size = 28 if "14" in name else 32
    net = timm.create_model(name, num_classes=6, img_size=size, depth=1, embed_dim=96, num_heads=3)
    set_input_spec(net, InputSpec(size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0))
    attach_adapters(net.eval(), LORA)
    assert "blocks.0.attn.qkv" in [entry for entry, _, _ in adapters(net)]


def test_gradient_checkpoints_change_no_gradient() -> None:
    gradients: list[dict[str, Any]] = []
    for checkpointing in (False, True):
        net: Any = attach_adapters(network("vit"), EVERYWHERE)
        learn(net)
        set_trainable(net, "head", 0, "layers", adapters=True)
        net.set_grad_checkpointing(checkpointing)
        net.train()(images(net)).square().sum().backward()
        gradients.append({entry: p.grad for entry, p in net.named_parameters() if p.requires_grad})
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.slow
@torch.no_grad()
def test_adapters_are_compiled() -> None:
    net = attach_adapters(network("vit"), LORA)
    learn(net)
    expected = net(images(net))
    net.compile(backend="eager")
    torch.testing.assert_close(net(images(net)), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_bottlenecks_are_part_of_an_exported_program() -> None:
    net = attach_adapters(network("vit"), BOTTLENECK)
    learn(net)
    program = torch.export.export(net, (images(net),))
    torch.testing.assert_close(program.module()(images(net)), net(images(net)), atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rank=96: no layer of .* more than 96 channels.* below 96"):
        attach_adapters(network("test_vit3"), LORA | {"rank": 96})
    with pytest.raises(ConfigError, match=r"no attention to adapt; use finetune\.adapters\.where=all"):
        attach_adapters(network("test_resnet"), LORA | {"where": "attention"})
    plain: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    plain.get_classifier = lambda: plain[3]
    set_input_spec(plain, InputSpec(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0))
    with pytest.raises(ConfigError, match="no linear layer or 1×1 convolution"):
        attach_adapters(plain, LORA)
    with pytest.raises(ConfigError, match="no blocks beside which"):
        attach_adapters(plain, BOTTLENECK)


@pytest.mark.parametrize(
    "wrong",
    [LORA | {"rank": 0}, LORA | {"rank": 2.5}, LORA | {"alpha": -1}, LORA | {"where": "mlp"}, {"kind": "ia3"},
     LORA | {"bottleneck": 4}, BOTTLENECK | {"scale": 0}, {"kind": "adapter"}, {}],
)  # fmt: skip
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AdapterOptions).validate_python(wrong)
    for right in OPTIONS.values():
        TypeAdapter(AdapterOptions).validate_python(right)


def test_adapters_of_initial_weights_are_loaded_or_refused() -> None:
    first = attach_adapters(network("test_vit3"), LORA)
    learn(first)
    second = attach_adapters(network("test_vit3"), LORA)
    load_adapters(second, first.state_dict(), "first.ckpt")
    torch.testing.assert_close(second.state_dict(), first.state_dict())
    with pytest.raises(
        WeightsError, match=r"first\.ckpt: trained with adapters, and this network has no adapters"
    ):
        load_adapters(network("test_vit3"), first.state_dict(), "first.ckpt")
    with pytest.raises(WeightsError, match="has other adapters"):
        load_adapters(attach_adapters(network("test_vit3"), BOTTLENECK), first.state_dict(), "first.ckpt")
    load_adapters(second, network("test_vit3").state_dict(), "plain.safetensors")
