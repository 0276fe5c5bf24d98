"""conf/model: each preset builds the network that its header describes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from heritage.models.builders import network_builders
from heritage.models.hub import pretrained_cfg
from heritage.models.layers import blocks
from heritage.models.network import input_spec

FOLDER = Path(__file__).parents[2] / "conf" / "model"
PRESETS = sorted(FOLDER.glob("*.yaml"))
COST = re.compile(r"Cost: ([\d,]+) parameters with 6 classes; ([\d.]+) GMACs an image of (\d+) px")


def own(path: Path) -> Any:
    """The network of a preset, without its defaults list, which may choose an optimizer."""
    cfg: Any = OmegaConf.load(path)
    cfg.pop("defaults", None)
    return cfg


def test_every_preset_has_a_registered_builder() -> None:
    assert "resnet10t" in {path.stem for path in PRESETS}, "the default"
    for path in PRESETS:
        target = own(path)._target_
        assert network_builders()[target] is get_object(target), path.stem


def test_only_registered_builders_are_returned() -> None:
    for name in (
        "timm.create_model",
        "heritage.models.backbone.timm.create_model",
        "heritage.models.vit.vit",
    ):
        assert name not in network_builders()


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_preset_gives_every_argument_but_those_of_the_data(path: Path) -> None:
    cfg = own(path)
    parameters = inspect.signature(get_object(cfg._target_)).parameters
    assert set(cfg) - {"_target_"} == set(parameters) - {"num_classes", "image_size"}
    assert all(parameter.default is parameter.empty for parameter in parameters.values())


@pytest.mark.parametrize(
    "path", [path for path in PRESETS if path.stem != "timm"], ids=lambda path: path.stem
)
def test_preset_costs_what_its_header_says(path: Path) -> None:
    cost = COST.search(path.read_text())
    assert cost is not None
    with torch.device("meta"):
        net: Any = instantiate(own(path), weights="none", num_classes=6, image_size=None).eval()
        size = input_spec(net).image_size
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.empty(1, 3, size, size))
    assert sum(parameter.numel() for parameter in net.parameters()) == int(cost[1].replace(",", ""))
    assert f"{counter.get_total_flops() / 2e9:.3g}" == f"{float(cost[2]):.3g}"
    assert size == int(cost[3])
    assert len(blocks(net)) > 2


def test_presets_of_timm_name_weights_that_exist() -> None:
    contents = [OmegaConf.to_container(OmegaConf.load(path)) for path in PRESETS if path.stem != "timm"]
    names = [content["name"] for content in contents if isinstance(content, dict) and "name" in content]
    assert names
    for name in names:
        assert "." in name
        assert pretrained_cfg(name).hf_hub_id == f"timm/{name}"
