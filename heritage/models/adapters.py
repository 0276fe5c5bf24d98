"""Adapters: a few trained parameters in a network whose own weights stay as they are.

    lora      layer(x) + (alpha / rank) · B A x   low-rank updates of linear layers and 1×1 convolutions
              (Hu et al. 2022); after training B A is added to the layer's weight
    adapter   module(x) + scale · W₂ relu(W₁ x)   a bottleneck beside the MLP of each block of a transformer
              (AdaptFormer, Chen et al. 2022), or beside each block of a convolutional network, with 1×1
              convolutions (after Rebuffi et al. 2018)

``model.adapters`` of a configuration describes them. B and W₂ start at zero, so the network predicts what it
did without adapters. An adapter is the child ``adapter`` of the module beside which it is, and is added by a
forward hook: all other names in the state dict, and the blocks of `heritage.models.layers`, stay the same.

This is own code and not the package peft (docs/training.md, "Light fine-tuning").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from heritage.config.network_parts import LORA
from heritage.errors import ConfigError, WeightsError
from heritage.models.layers import blocks, classifier_names
from heritage.models.network import input_spec
from heritage.models.weights import ADAPTER_CHILD as CHILD
from heritage.models.weights import is_adapter_entry, mismatches

_ATTENTION = re.compile(r"(^|_)(attn|attention)\d*$")  # attn, self_attn; not attn_block, which has an MLP
_MLP = ("mlp", "ffn", "feed_forward", "mlp_channels")
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_RGB = 3


class LowRank(nn.Module):
    """The low-rank update of a linear layer or 1×1 convolution: x to (alpha / rank) · B A x.

    Args:
        layer: The layer, of D inputs and E outputs.
        rank: Rows of A, r.
        alpha: Divided by the rank, the factor of the update.

    Attributes:
        down: A, (r, D); drawn as the weights of a linear layer.
        up: B, (E, r); zero at first.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = layer.weight.shape[:2]
        self.stride = layer.stride if isinstance(layer, nn.Conv2d) else None
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the update of inputs (…, D), or (B, D, H, W) for a convolution."""
        if self.stride is None:
            return self.scale * functional.linear(functional.linear(x, self.down), self.up)
        narrow = functional.conv2d(x, self.down[:, :, None, None], stride=self.stride)
        return self.scale * functional.conv2d(narrow, self.up[:, :, None, None])

    def update(self) -> Tensor:
        """Return what is added to the weight, (E, D)."""
        return self.scale * (self.up.double() @ self.down.double())


class Bottleneck(nn.Module):
    """A bottleneck beside a module: x to scale · (W₂ relu(W₁ x + b₁) + b₂).

    Args:
        inputs: Channels of the module's input.
        outputs: Channels of its output.
        width: Channels between.
        scale: Factor of the result; 0.1 in AdaptFormer.
        stride: Stride of the module, for images (B, C, H, W); None for channels in the last dimension.
    """

    def __init__(self, inputs: int, outputs: int, width: int, scale: float, stride: int | None) -> None:
        super().__init__()
        self.scale = scale
        self.down: nn.Module
        self.up: nn.Module
        if stride is None:
            self.down, self.up = nn.Linear(inputs, width), nn.Linear(width, outputs)
        else:
            self.down = nn.Conv2d(inputs, width, kernel_size=1, stride=stride)
            self.up = nn.Conv2d(width, outputs, kernel_size=1)
        nn.init.kaiming_uniform_(self.down.get_parameter("weight"), a=5**0.5)
        nn.init.zeros_(self.down.get_parameter("bias"))
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for the module's input."""
        y: Tensor = self.scale * self.up(functional.relu(self.down(x)))
        return y


@dataclass(frozen=True, slots=True)
class _Call:
    """The shapes of a module's input and output in one forward pass, and how often it runs."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    count: int


def attach_adapters(net: nn.Module, options: Mapping[str, Any] | None) -> nn.Module:
    """Add adapters to a network; return the network.

    Args:
        net: A network of `heritage.models`; it is changed.
        options: ``model.adapters`` of a configuration (`heritage.config.network_parts.AdapterOptions`); None
            adds none.

    Raises:
        ConfigError: The network has no layer for them, or none is wider than they are.
    """
    if options is None:
        return net
    made = _low_rank(net, options) if options["kind"] == LORA else _bottlenecks(net, options)
    for name, adapter in made.items():
        module = net.get_submodule(name)
        owner = _owner(module)
        module.get_submodule(owner).add_module(CHILD, adapter)
        module.register_forward_hook(partial(_add, f"{owner}.{CHILD}".lstrip(".")))
    if options["kind"] != LORA:
        _require_beside(net, made)
    return net


def adapters(net: nn.Module) -> Iterator[tuple[str, nn.Module, LowRank | Bottleneck]]:
    """Yield the name of each module with an adapter, the module and the adapter."""
    for name, module in net.named_modules():
        adapter = getattr(module, CHILD, None)
        if isinstance(adapter, LowRank | Bottleneck):
            yield name, module, adapter


def adapter_names(net: nn.Module) -> frozenset[str]:
    """Return the names of the adapters' parameters."""
    return frozenset(
        f"{name}.{CHILD}.{own}" for name, _, adapter in adapters(net) for own, _ in adapter.named_parameters()
    )


def is_mergeable(net: nn.Module) -> bool:
    """Return whether a network has adapters, and all can be merged into its weights."""
    kinds = [isinstance(adapter, LowRank) for _, _, adapter in adapters(net)]
    return bool(kinds) and all(kinds)


@torch.no_grad()
def merge_adapters(net: nn.Module) -> None:
    """Add low-rank updates to the weights and remove them: the same predictions without adapters.

    Args:
        net: A network whose adapters are all low-rank updates; it is changed.
    """
    for _, module, adapter in list(adapters(net)):
        if isinstance(adapter, LowRank):
            weight = module.get_parameter("weight")
            weight.copy_(weight.double() + adapter.update().view_as(weight))
            delattr(module, CHILD)
            hooks = module._forward_hooks  # noqa: SLF001  in a copy of a network, handles remove nothing
            for key in [key for key, hook in hooks.items() if getattr(hook, "func", None) is _add]:
                del hooks[key]


def _add(path: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """Add the adapter's result to the module's: a forward hook, which copies of the network share."""
    total: Tensor = output + module.get_submodule(path)(inputs[0])
    return total


def _owner(module: nn.Module) -> str:
    """Return which module inside a module holds its adapter: itself, or a container's first layer.

    Containers run all their children one after the other.
    """
    if not isinstance(module, _CONTAINERS):
        return ""
    layers = [str(name) for name, layer in module.named_modules() if name and not any(layer.children())]
    return layers[0]


def _require_beside(net: nn.Module, made: Mapping[str, nn.Module]) -> None:
    """Check that each adapter runs as often as the module beside which it is, not as one of its layers."""
    beside = {name: net.get_submodule(name) for name in made}
    runs = _calls(net, {**beside, **{f"{name}/{CHILD}": adapter for name, adapter in made.items()}})
    if odd := [name for name in made if runs[name].count != runs[f"{name}/{CHILD}"].count]:
        raise ConfigError(
            f"{odd[0]} of {type(net).__name__} runs whatever it contains one after the other",
            where="model.adapters.kind=adapter",
            remedy="use finetune=lora finetune.adapters.where=all, or finetune=norms",
        )


def _low_rank(net: nn.Module, options: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return the updates by the names of their layers."""
    head = _owners(classifier_names(net))
    layers = {
        name: module for name, module in net.named_modules() if name not in head and is_pointwise(module)
    }
    attention = {name: layer for name, layer in layers.items() if _in_attention(name)}
    where = options["where"]
    chosen = layers if where == "all" or (where == "auto" and not attention) else attention
    _bias_apart(net)
    calls = _calls(net, chosen)
    chosen = {name: layer for name, layer in chosen.items() if name in calls}
    if not chosen:
        what = "attention" if where == "attention" else "linear layer or 1×1 convolution"
        raise ConfigError(
            f"{type(net).__name__} has no {what} to adapt",
            where=f"model.adapters.where={where}",
            remedy="use finetune.adapters.where=all, finetune=adapter or finetune=norms",
        )
    rank, widest = options["rank"], max(min(layer.weight.shape[:2]) for layer in chosen.values())
    if rank >= widest:
        raise ConfigError(
            f"no layer of {type(net).__name__} has more than {widest} channels, so there is no lower rank",
            where=f"model.adapters.rank={rank}",
            remedy=f"use a rank below {widest}; 4 to 16 are usual",
        )
    # in a layer that is no wider than the rank, such as squeeze and excitation, the update saves nothing
    return {
        name: LowRank(layer, rank, options["alpha"])
        for name, layer in chosen.items()
        if min(layer.weight.shape[:2]) > rank
    }


def _bottlenecks(net: nn.Module, options: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Return the bottlenecks by the names of the modules beside which they are."""
    width, scale = options["bottleneck"], options["scale"]
    head = _owners(classifier_names(net))
    named = {
        name: module
        for name, module in net.named_modules()
        if name.rpartition(".")[2] in _MLP and not any(_within(name, owner) for owner in head)
    }
    mlps = {name: call for name, call in _calls(net, named).items() if call.inputs == call.outputs}
    if mlps:
        made = {name: _beside_mlp(named[name], call, width, scale) for name, call in mlps.items()}
        found = {name: adapter for name, adapter in made.items() if adapter is not None}
    else:
        trunk = _residual_blocks(net)
        calls = _calls(net, {name: net.get_submodule(name) for name in trunk})
        found = {
            name: Bottleneck(call.inputs[1], call.outputs[1], width, scale, stride)
            for name, call in calls.items()
            if (stride := _stride(call)) is not None
        }
    if not found:
        raise ConfigError(
            f"{type(net).__name__} has no blocks beside which an adapter can be",
            where="model.adapters.kind=adapter",
            remedy="use finetune=lora finetune.adapters.where=all, or finetune=norms",
        )
    return dict(found)


def _beside_mlp(mlp: nn.Module, call: _Call, width: int, scale: float) -> Bottleneck | None:
    """Return a bottleneck for an MLP of linear layers or of 1×1 convolutions; None for others."""
    first = next((module for module in mlp.modules() if is_pointwise(module)), None)
    if first is None:
        return None
    images = isinstance(first, nn.Conv2d)
    channels = call.inputs[1] if images else call.inputs[-1]
    return Bottleneck(channels, channels, width, scale, 1 if images else None)


def _residual_blocks(net: nn.Module) -> list[str]:
    """Return the largest modules within each block of `heritage.models.layers` that are not containers."""
    found: list[str] = []
    for block in blocks(net)[:-1]:
        names, inside = set(block), {}
        for name, module in net.named_modules():
            if name and any(module.children()) and not isinstance(module, _CONTAINERS):
                own = frozenset(f"{name}.{parameter}" for parameter, _ in module.named_parameters())
                if own and own <= names:
                    inside[own] = name  # of a stage and its only block, the block
        found += [name for own, name in inside.items() if not any(own < other for other in inside)]
    return found


def _stride(call: _Call) -> int | None:
    """Return the stride of a module on feature maps (B, C, H, W); None for the stem and other shapes."""
    if len(call.inputs) != 4 or len(call.outputs) != 4 or call.inputs[1] == _RGB:
        return None
    (high, wide), (low, narrow) = call.inputs[2:], call.outputs[2:]
    stride = -(-high // low)
    fits = (-(-high // stride), -(-wide // stride)) == (low, narrow)
    return stride if fits else None


def is_pointwise(module: nn.Module) -> bool:
    """Return whether a module is a plain linear layer or 1×1 convolution of all channels.

    Subclasses, whose weights may be standardised or whose images may be padded, are none.
    """
    if type(module) is nn.Conv2d:
        return module.kernel_size == (1, 1) and module.groups == 1 and module.padding in ((0, 0), "valid")
    return type(module) is nn.Linear


def _in_attention(name: str) -> bool:
    return any(_ATTENTION.search(part) for part in name.split(".")[:-1])


def _owners(names: frozenset[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in names}


def _within(name: str, other: str) -> bool:
    return name == other or name.startswith(f"{other}.")


def _bias_apart(net: nn.Module) -> None:
    """Let BEiT, EVA and Swin v2 call their layer ``qkv``, instead of reading its weight, where hooks work."""
    for module in net.modules():
        if getattr(module, "qkv_bias_separate", None) is False:
            attention: Any = module
            attention.qkv_bias_separate = True


@torch.no_grad()
def _calls(net: nn.Module, modules: Mapping[str, nn.Module]) -> dict[str, _Call]:
    """Return the shapes of tensors that modules take and return, by name; modules not called have none."""
    seen: dict[str, _Call] = {}
    training = {module: module.training for module in net.modules()}
    handles = [module.register_forward_hook(_recorder(name, seen)) for name, module in modules.items()]
    try:
        like, size = next(net.parameters()), input_spec(net).image_size
        net.eval()
        net(like.new_zeros(1, 3, size, size))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return seen


def _recorder(name: str, seen: dict[str, _Call]) -> Callable[[nn.Module, Any, Any], None]:
    def record(_: nn.Module, inputs: Any, output: Any) -> None:
        if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            count = seen[name].count + 1 if name in seen else 1
            seen[name] = _Call(tuple(inputs[0].shape), tuple(output.shape), count)

    return record


def load_adapters(net: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Load the adapters among initial weights, those of another run, into a network.

    Args:
        net: The network, with the same adapters.
        state: Weights by name; without adapters, nothing is loaded.
        where: Their file, for messages.

    Raises:
        WeightsError: The network has no or other adapters.
    """
    given = {name: value for name, value in state.items() if is_adapter_entry(name)}
    own = {name: value for name, value in net.state_dict().items() if is_adapter_entry(name)}
    if not given:
        return
    if fault := mismatches(given, own):
        has = "other adapters" if own else "no adapters"
        raise WeightsError(
            f"trained with adapters, and this network has {has} ({fault})",
            where=where,
            remedy="set model.adapters as in that run's config.yaml; or merge low-rank updates: heritage "
            "export ckpt=<run> format=safetensors, and model.weights=<export>/model.safetensors",
        )
    net.load_state_dict(given, strict=False)
