"""Weights and configuration for timm and the Hugging Face hub.

``timm.create_model("local-dir:<folder>", pretrained=True)`` loads the folder, and so does ``hf-hub:`` after
an upload. Our plain Vision Transformer is written as timm's, whose names and arithmetic it shares; networks
that timm does not have are written as weights only.
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

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import decode
from heritage.errors import ExportError
from heritage.exporters.exporter import LOCAL_FOLDER, Exporter, ExportSource, Logits, PredictFunction
from heritage.inference.checkpoint import TrainedClassifier
from heritage.models.adapters import adapters
from heritage.models.heads import has_linear_head
from heritage.models.vit import VisionTransformer

WEIGHTS = "model.safetensors"
CONFIG = "config.json"

_VIT = "vit_tiny_patch16_224"  # any of timm's entry points: all sizes are given as arguments


class SafetensorsExporter(Exporter):
    """Writes ``model.safetensors``, and ``config.json`` if timm can build the network."""

    name = "safetensors"

    def __init__(self, source: ExportSource) -> None:
        super().__init__(source)
        self._timm_network = as_timm(source.trained.model.net)

    def write(self, folder: Path) -> None:
        """Write the weights, and timm's configuration of the network."""
        trained = self.source.trained
        if self._timm_network is None:
            state = {name: value.contiguous() for name, value in trained.model.net.state_dict().items()}
            save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
            return
        config = {"label_names": list(trained.classes), "pretrained_cfg": self._pretrained_cfg()}
        save_for_hf(self._timm_network, str(folder), model_config=config, safe_serialization=True)

    def open(self, folder: Path) -> PredictFunction:
        """Load the folder with timm alone, or the weights into a network of this package.

        Raises:
            ExportError: timm does not load it.
        """
        if self._timm_network is None:
            return _open_weights(self.source.trained, folder)
        net = _load_with_timm(folder)
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["pretrained_cfg"]
        mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))

        def predict(images: npt.NDArray[np.uint8]) -> tuple[Logits, None]:
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
            with torch.inference_mode():
                logits: Logits = net((pixels - mean) / std).float().numpy()
            return logits, None

        return predict

    def usage(self) -> str:
        """Return how to load the folder with timm."""
        if self._timm_network is None:
            return f"timm does not have this network: `{WEIGHTS}` loads into `heritage.models` only."
        return f"""```python
import timm, torch
from PIL import Image

model = timm.create_model("{LOCAL_FOLDER}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
image = transform(Image.open("photograph.jpg").convert("RGB"))
with torch.inference_mode():
    probabilities = (model(image[None]) / {self.source.model.temperature:.4g}).softmax(1)[0]
classes = {json.dumps(list(self.source.trained.classes), ensure_ascii=False)}
print(classes[probabilities.argmax()], float(probabilities.max()))
```

The logits are divided by the temperature of the calibration; `heritage.json` holds it and the classes."""

    @property
    def library(self) -> str:
        """``timm`` if timm can build the network."""
        return "heritage" if self._timm_network is None else "timm"

    def messages(self, folder: Path) -> list[str]:
        """Return how to load the folder."""
        if self._timm_network is None:
            return ["timm does not have this network: the weights load into heritage.models only"]
        return [f'load it with timm: timm.create_model("local-dir:{folder}", pretrained=True)']

    def with_own_resizing(self, folder: Path, files: Sequence[Path]) -> Logits | None:
        """Return logits (N, K) of files that timm's own transform resizes."""
        if self._timm_network is None:
            return None
        net = _load_with_timm(folder)
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net))
        with torch.inference_mode():
            outputs = [net(transform(Image.fromarray(decode(read_bounded(file))))[None]) for file in files]
        logits: Logits = torch.cat(outputs).float().numpy()
        return logits

    def _pretrained_cfg(self) -> dict[str, Any]:
        trained = self.source.trained
        spec, size = trained.spec, trained.image_size
        return {
            "input_size": [3, size, size],
            "test_input_size": [3, size, size],
            "crop_pct": trained.crop_pct,
            "test_crop_pct": trained.crop_pct,
            "crop_mode": "squash",  # to a square, as in training
            "interpolation": trained.interpolation,
            "mean": list(spec.mean),
            "std": list(spec.std),
            "license": self.source.licence or "other",
            "tag": "heritage",
            "origin_url": None,
        }


def as_timm(net: nn.Module) -> nn.Module | None:
    """Return a network as one of timm's with the same weights; None if timm has no such network."""
    if not has_linear_head(net) or any(adapters(net)):
        return None
    if isinstance(net, VisionTransformer):
        return _as_timm_vit(net)
    if getattr(net, "pretrained_cfg", None) is None:
        return None
    # safetensors does not accept channels-last memory
    return copy.deepcopy(net).cpu().to(memory_format=torch.contiguous_format)


def _as_timm_vit(net: VisionTransformer) -> nn.Module | None:
    if not isinstance(net.patch_embed.proj, nn.Conv2d):
        return None  # timm's Vision Transformers have other convolutional stems
    first: Any = net.blocks[0]
    scale = getattr(first.ls1, "gamma", None)
    network: nn.Module = timm.create_model(
        _VIT,
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
    network.load_state_dict(net.state_dict() | {"pos_embed": net.pos_embed})
    return network.eval()


def _load_with_timm(folder: Path) -> nn.Module:
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.WARNING)  # timm logs every file that it opens
    try:
        net: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except (RuntimeError, KeyError, TypeError) as error:
        raise ExportError(
            f"timm does not load it ({error})", where=folder, remedy="try format=torch_export"
        ) from error
    finally:
        logger.setLevel(level)
    return net


def _open_weights(trained: TrainedClassifier, folder: Path) -> PredictFunction:
    model = copy.deepcopy(trained.model)
    model.net.load_state_dict(load_file(folder / WEIGHTS))

    def predict(images: npt.NDArray[np.uint8]) -> tuple[Logits, None]:
        with torch.inference_mode():
            logits: Logits = model(torch.from_numpy(images)).numpy()
        return logits, None

    return predict
