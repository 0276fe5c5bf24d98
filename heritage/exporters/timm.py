"""safetensors with the ``config.json`` that timm and the Hugging Face hub read.

``timm.create_model("local-dir:<folder>", pretrained=True)`` loads it, and so does ``hf-hub:`` after an
upload. Our plain Vision Transformer is written as timm's, whose names and arithmetic it shares; what timm
has no network for is written as weights alone.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from torch import nn

from heritage.core.image_io import decode
from heritage.errors import ExportError
from heritage.exporters.onnx import Asks, Logits
from heritage.inference.checkpoint import TrainedClassifier
from heritage.models.vit import VisionTransformer

WEIGHTS = "model.safetensors"
CONFIG = "config.json"

_PATCH = "vit_tiny_patch16_224"  # whichever entry point of timm's: all sizes are given as arguments


def write_timm(trained: TrainedClassifier, licence: str | None, folder: Path) -> bool:
    """Write weights, and where timm has such a network the ``config.json`` by which it loads them.

    Args:
        trained: The network.
        licence: Of the weights, as an SPDX identifier.
        folder: Where both go.

    Returns:
        Whether timm can load it.
    """
    net = as_timm(trained.model.net)
    if net is None:
        state = {name: value.contiguous() for name, value in trained.model.net.state_dict().items()}
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
        return False
    spec, size = trained.spec, trained.image_size
    cfg = {
        "input_size": [3, size, size],
        "test_input_size": [3, size, size],
        "crop_pct": trained.crop_pct,
        "test_crop_pct": trained.crop_pct,
        "crop_mode": "squash",  # to a square, as training did
        "interpolation": trained.interpolation,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "license": licence or "other",
        "tag": "heritage",
        "origin_url": None,
    }
    named = {"label_names": list(trained.classes), "pretrained_cfg": cfg}
    save_for_hf(net, str(folder), model_config=named, safe_serialization=True)
    return True


def as_timm(net: nn.Module) -> nn.Module | None:
    """Return a network as one of timm's with the same weights; None where timm has no such network."""
    if isinstance(net, VisionTransformer):
        return _vit_of_timm(net)
    if getattr(net, "pretrained_cfg", None) is None:
        return None
    # safetensors takes no channels-last memory
    return copy.deepcopy(net).cpu().to(memory_format=torch.contiguous_format)


def _vit_of_timm(net: VisionTransformer) -> nn.Module | None:
    if not isinstance(net.patch_embed.proj, nn.Conv2d):
        return None  # timm's Vision Transformers have other convolutional stems
    first: Any = net.blocks[0]
    scale = getattr(first.ls1, "gamma", None)
    theirs: nn.Module = timm.create_model(
        _PATCH,
        img_size=net.input_spec.image_size,
        patch_size=net.patch_embed.patch_size[0],
        embed_dim=net.head.in_features,
        depth=len(net.blocks),
        num_heads=first.attn.num_heads,
        mlp_ratio=first.mlp.fc1.out_features / net.head.in_features,
        num_classes=net.head.out_features,
        global_pool=net.pool,
        class_token=net.pool == "token",
        init_values=None if scale is None else float(scale.detach()[0]),
        fc_norm=False,
    )
    theirs.load_state_dict(net.state_dict() | {"pos_embed": net.pos_embed})
    return theirs.eval()


def open_timm(folder: Path) -> Asks:
    """Load a folder as anybody would, with timm alone: `create_model` and the configuration it comes with.

    Raises:
        ExportError: timm does not load it.
    """
    net = _load(folder)
    cfg = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["pretrained_cfg"]
    mean, std = (torch.tensor(cfg[name]).view(1, 3, 1, 1) for name in ("mean", "std"))

    def ask(images: npt.NDArray[np.uint8]) -> tuple[Logits, None]:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
        with torch.inference_mode():
            found: Logits = net((pixels - mean) / std).float().numpy()
        return found, None

    return ask


def ask_with_own_transform(folder: Path, files: Sequence[Path]) -> Logits:
    """Return logits (N, K) of pictures that are resized by timm's transform, as a stranger would."""
    net = _load(folder)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net))
    with torch.inference_mode():
        found = [net(transform(Image.fromarray(decode(file.read_bytes())))[None]) for file in files]
    logits: Logits = torch.cat(found).float().numpy()
    return logits


def _load(folder: Path) -> nn.Module:
    talk = logging.getLogger("timm")
    level = talk.level
    talk.setLevel(logging.WARNING)  # it names every file it opens
    try:
        net: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except (RuntimeError, KeyError, TypeError) as error:
        raise ExportError(
            f"timm does not load it ({error})", where=folder, remedy="try format=torch_export"
        ) from error
    finally:
        talk.setLevel(level)
    return net


def open_weights(trained: TrainedClassifier, folder: Path) -> Asks:
    """Load weights that timm has no network for into one of our own."""
    model = copy.deepcopy(trained.model)
    model.net.load_state_dict(load_file(folder / WEIGHTS))

    def ask(images: npt.NDArray[np.uint8]) -> tuple[Logits, None]:
        with torch.inference_mode():
            found: Logits = model(torch.from_numpy(images)).numpy()
        return found, None

    return ask
