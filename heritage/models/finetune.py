"""Fine-tuning: trainable parameters, gradual unfreezing and layer-wise learning rates.

Papers: Yosinski et al. 2014 (how transferable layers are), Howard & Ruder 2018 (gradual unfreezing),
Bao et al. 2022 (BEiT: layer-wise learning-rate decay), Lecoutre et al. 2017 (retraining the last layers),
Ben Zaken et al. 2022 (BitFit: biases), Frankle et al. 2021 (norms).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from heritage.core.numbers import counted, percent
from heritage.errors import ConfigError
from heritage.models.adapters import adapter_names
from heritage.models.adapters import adapters as adapters_of
from heritage.models.layers import blocks, classifier_names, layers, without_weight_decay

Depth = Literal["full", "head", "last_n"]
Unit = Literal["layers", "blocks"]


@dataclass(frozen=True, slots=True)
class TrainableReport:
    """The trainable part of a network.

    Attributes:
        parameters: Number of trainable parameters.
        total_parameters: Number of parameters.
        units: Trainable layers or blocks before the classifier.
        total_units: Layers or blocks before the classifier.
        unit: ``layers`` or ``blocks``.
        first: The first trainable module.
        adapters: Trainable adapters.
        norms: Whether the network's norms and biases train besides.
    """

    parameters: int
    total_parameters: int
    units: int
    total_units: int
    unit: Unit
    first: str
    adapters: int = 0
    norms: bool = False

    def __str__(self) -> str:
        if self.adapters or self.norms:
            parts = [f"the last {self.units} {self.unit} before it"] if self.units else []
            parts += [counted(self.adapters, "adapter")] if self.adapters else []
            parts += ["norms and biases"] if self.norms else []
            return (
                f"training the classifier, {' and '.join(parts)}: {self.parameters:,} of "
                f"{self.total_parameters:,} parameters ({percent(self.parameters / self.total_parameters)})"
            )
        return (
            f"training the classifier and {self.units} of {self.total_units} {self.unit} before it, "
            f"{self.parameters:,} of {self.total_parameters:,} parameters, from {self.first} on"
        )


def set_trainable(
    net: nn.Module, depth: Depth, n: int, unit: Unit, *, adapters: bool = False, norms: bool = False
) -> TrainableReport:
    """Choose which parameters train; the classifier always does.

    Args:
        net: A network of `heritage.models`.
        depth: ``full``: all; ``head``: only the classifier; ``last_n``: also the last ``n`` units before it.
        n: Units before the classifier that train with ``last_n``; 0 is the same as ``head``.
        unit: ``layers`` or ``blocks``, as defined in `heritage.models.layers`.
        adapters: Whether all adapters train, at any depth.
        norms: Whether all norms and biases train, at any depth.

    Raises:
        ConfigError: The network does not have ``n`` units.
    """
    inserted = adapter_names(net)
    *body, head = layers(net) if unit == "layers" else blocks(net)
    body = [kept for names in body if (kept := [name for name in names if name not in inserted])]
    count = {"full": len(body), "head": 0, "last_n": n}[depth]
    if not 0 <= count <= len(body):
        raise ConfigError(
            f"n={n}, but {type(net).__name__} has {len(body)} {unit} before its classifier",
            where="finetune",
            remedy=f"take 0 to {len(body)}, or depth=full",
        )
    trained = [*body[len(body) - count :], head]
    chosen = {name for names in trained for name in names}
    chosen |= inserted if adapters or depth == "full" else set()
    chosen |= norms_and_biases(net) if norms else set()
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in chosen)
    sizes = [(parameter.requires_grad, parameter.numel()) for parameter in net.parameters()]
    return TrainableReport(
        parameters=sum(size for trains, size in sizes if trains),
        total_parameters=sum(size for _, size in sizes),
        units=count,
        total_units=len(body),
        unit=unit,
        first=trained[0][0].rpartition(".")[0] or trained[0][0],
        adapters=len(list(adapters_of(net))) if adapters else 0,
        norms=norms,
    )


def norms_and_biases(net: nn.Module) -> frozenset[str]:
    """Return the names of the parameters of norms and of all biases before the classifier."""
    names = {name for name, _ in net.named_parameters() if name.endswith("bias")}
    for module_name, module in net.named_modules():
        if "Norm" in type(module).__name__:  # torch's and timm's, as BatchNormAct2d
            own = module.named_parameters(recurse=False)
            names |= {f"{module_name}.{name}" for name, value in own if value.ndim <= 1}
    return frozenset(names - classifier_names(net) - adapter_names(net))


def reset_classifier(net: nn.Module) -> None:
    """Reinitialise a network's classifier by the ``reset_parameters`` of its layers.

    Args:
        net: A network of `heritage.models`.
    """
    for name in sorted({name.rpartition(".")[0] for name in classifier_names(net)}):
        layer: Any = net.get_submodule(name)
        layer.reset_parameters()


def unfreeze_gradually(net: nn.Module, epoch: int, every: int) -> TrainableReport:
    """Train only the classifier at first, and unfreeze one more block, the last first, every some epochs.

    Call it at the start of every epoch; the optimizer has all parameters from the beginning.

    Args:
        net: A network of `heritage.models`.
        epoch: Counted from 0.
        every: Epochs between two blocks; 1 in the paper.
    """
    return set_trainable(net, "last_n", min(epoch // every, len(blocks(net)) - 1), "blocks")


def freeze_norm_statistics(net: nn.Module) -> int:
    """Put norms with running statistics and frozen weights into evaluation mode; return their number.

    Their means and variances then keep the pretrained values. Norms with trainable weights are put into
    training mode, since they may have been frozen until now. ``net.train()`` undoes this.
    """
    count = 0
    for module in net.modules():
        own = list(module.parameters(recurse=False))
        if own and any(name.startswith("running_") for name, _ in module.named_buffers(recurse=False)):
            trains = any(parameter.requires_grad for parameter in own)
            module.train(trains)
            count += not trains
    return count


def parameter_groups(
    net: nn.Module, lr: float, weight_decay: float, layer_decay: float | None
) -> list[dict[str, Any]]:
    """Return parameter groups for a torch optimizer, each with name, learning rate and weight decay.

    Frozen parameters are included: an optimizer skips parameters without gradient, and already has those that
    `unfreeze_gradually` unfreezes later.

    Args:
        net: A network of `heritage.models`.
        lr: Learning rate of the classifier.
        weight_decay: For matrices and convolutions; norms, biases, positional embeddings and class tokens
            have none.
        layer_decay: Ratio of a block's rate to that of the next block; None or 1 uses one rate for all. It
            is part of each group's ``lr``, which schedulers scale, so the ratios hold throughout a
            schedule.
    """
    exempt = without_weight_decay(net)
    parameters = dict(net.named_parameters())
    ordered = blocks(net)
    if layer_decay is None or layer_decay == 1:
        ordered = [[name for block in ordered for name in block]]
    groups = []
    for index, names in enumerate(ordered):
        prefix = f"block_{index:02d}_" if len(ordered) > 1 else ""
        rate = lr * (layer_decay or 1) ** (len(ordered) - 1 - index)
        for kind, decay in (("decay", weight_decay), ("no_decay", 0.0)):
            chosen = [parameters[name] for name in names if (name in exempt) == (kind == "no_decay")]
            if chosen:
                groups.append({"name": prefix + kind, "params": chosen, "lr": rate, "weight_decay": decay})
    return groups
