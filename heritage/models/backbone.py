"""Any network of timm, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from heritage.core.option_types import FilePath
from heritage.core.packaged_weights import PACKAGED, as_timm_names, packaged_file
from heritage.core.types import ImageSize, PositiveInt
from heritage.errors import ConfigError
from heritage.models.builders import register_network
from heritage.models.heads import without_other_head
from heritage.models.hub import fetch_weights, pretrained_cfg, weights_file
from heritage.models.network import NONE, InputSpec, Rate, is_pretrained, set_input_spec
from heritage.models.weights import (
    class_count,
    log_new_classifier,
    misfit,
    read_weights,
    without_adapters,
)


@register_network
def timm_network(
    *,
    name: str,
    weights: FilePath,
    drop_rate: Rate | None,
    drop_path_rate: Rate | None,
    grad_checkpointing: bool,
    num_classes: PositiveInt,
    image_size: ImageSize | None,
    default_image_size: ImageSize | None = None,
) -> nn.Module:
    """Build a network of timm.

    Input size and normalisation are those that timm records for the name, even without pretrained weights,
    so a checkpoint and a run that starts from it always agree.

    Args:
        name: ``architecture.tag``; the tag may be left out unless ``weights`` is ``pretrained``.
        weights: ``pretrained``, ``none``, a file, or ``hf-hub:owner/name``.
        drop_rate: Dropout before the classifier; None is the architecture's default.
        drop_path_rate: Stochastic depth; None is the architecture's default.
        grad_checkpointing: Recompute activations in the backward pass: less memory, more time.
        num_classes: Number of classes.
        image_size: Image side in pixels; None is ``default_image_size``.
        default_image_size: The side without an ``image_size``, for presets of networks whose weights are good
            at other sizes than their own; None is the size that the weights were trained at.

    Raises:
        ConfigError: timm has no such model, or it does not take one of the options.
        WeightsError: The weights are not available or do not fit.
    """
    cfg = pretrained_cfg(name)
    default_size = default_image_size or int(cfg.input_size[-1])
    size = image_size or default_size
    options = {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate}
    options = {key: value for key, value in options.items() if value is not None}
    if cfg.fixed_input_size:
        options["img_size"] = size
    _require_runs_at(name, size, default_size, options)
    if weights == NONE:
        net: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes, **options)
    else:
        file = fetch_weights(name) if is_pretrained(weights) else weights_file(weights)
        net = _with_weights(name, file, num_classes, options)
    if grad_checkpointing:
        _checkpoint_gradients(net, name)
    set_input_spec(net, InputSpec(size, tuple(cfg.mean), tuple(cfg.std), cfg.interpolation, cfg.crop_pct))
    return net


def _with_weights(name: str, file: Path, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a network with the classes of its weights, load all of them, then replace the classifier.

    Given another number of classes, timm would load the weights that fit and ignore the others.
    """
    state: dict[str, Tensor] = read_weights(file)
    if name in PACKAGED and file == packaged_file(name):
        state = as_timm_names(state, timm.create_model(name, pretrained=False).state_dict(), file)
    state = without_adapters(without_other_head(state, pretrained_cfg(name).classifier))
    classes = class_count(state, pretrained_cfg(name).classifier)
    source = {"state_dict": state, "num_classes": classes, "label_offset": 0}
    try:
        net: Any = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=source, num_classes=classes, **options
        )
    except (RuntimeError, KeyError) as error:  # KeyError: timm converts a weight that is missing
        raise misfit(error, name, file) from error
    del net.pretrained_cfg["state_dict"]
    if classes != num_classes:
        net.reset_classifier(num_classes)
        log_new_classifier(file, classes, num_classes)
    built: nn.Module = net
    return built


def _require_runs_at(name: str, size: int, default_size: int, options: Mapping[str, Any]) -> None:
    """Refuse image sizes at which a network fails, ignores pixels or sees mostly padding."""
    try:
        fault = _fault_at(name, size, options)
    except (AssertionError, RuntimeError, ValueError) as error:
        fault = str(error).partition("\n")[0].rstrip(".")
    if fault is not None:
        raise ConfigError(
            f"{name} cannot run at {size} pixels: {fault}",
            where="data.image_size",
            remedy=f"leave it at null for {default_size}, or take a multiple of the network's stride",
        )


def _fault_at(name: str, size: int, options: Mapping[str, Any]) -> str | None:
    """Run a network on the meta device, which computes only shapes, and return why it fails."""
    with torch.device("meta"), torch.no_grad():
        try:
            net = timm.create_model(name, pretrained=False, num_classes=1, **options).eval()
        except TypeError as error:
            raise ConfigError(
                f"the network does not take an option ({error})",
                where=f"model.name={name}",
                remedy="set the option to null",
            ) from error
        if not hasattr(net, "get_classifier"):
            raise ConfigError(
                "an encoder without a classifier", where=f"model.name={name}", remedy="choose another network"
            )
        patch = getattr(getattr(net, "patch_embed", None), "patch_size", 1)
        patch = patch if isinstance(patch, int) else patch[0]
        stride = int(net.feature_info[-1]["reduction"])
        if size % patch:
            return f"not a multiple of its patch size of {patch} pixels"
        if size < stride:
            return f"smaller than its stride of {stride} pixels"
        net(torch.empty(1, 3, size, size))
        return None


def _checkpoint_gradients(net: nn.Module, name: str) -> None:
    enable: Any = net.set_grad_checkpointing
    try:
        enable(True)
    except AssertionError as error:
        raise ConfigError(
            f"{name} has no gradient checkpointing",
            where="model",
            remedy="set model.grad_checkpointing=false",
        ) from error
