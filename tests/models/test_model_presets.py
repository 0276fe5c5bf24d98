"""conf/model: each preset builds the network that its header describes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from heritage.models.backbone import timm_network
from heritage.models.builders import network_builders
from heritage.models.hub import pretrained_cfg
from heritage.models.layers import blocks, classifier_names
from heritage.models.network import input_spec
from heritage.models.weight_licences import InitialWeights

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
    required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    assert {"num_classes", "image_size"} <= required
    assert required - {"num_classes", "image_size"} <= set(cfg) - {"_target_"} <= set(parameters)
    # presets of users and checkpoints of earlier versions lack arguments that were added later
    assert all(parameters[name].default is None for name in set(parameters) - required)


@pytest.mark.parametrize(
    "path", [path for path in PRESETS if path.stem != "timm"], ids=lambda path: path.stem
)
def test_preset_costs_what_its_header_says(path: Path) -> None:
    cost = COST.search(path.read_text())
    assert cost is not None
    with torch.device("meta"):
        net: Any = instantiate(own(path), weights="none", num_classes=6, image_size=None).eval()
        net.requires_grad_(False)  # the counter fails on expanded parameters: pooling by attention
        size = input_spec(net).image_size
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.empty(1, 3, size, size))
    assert sum(parameter.numel() for parameter in net.parameters()) == int(cost[1].replace(",", ""))
    assert f"{counter.get_total_flops() / 2e9:.3g}" == f"{float(cost[2]):.3g}"
    assert size == int(cost[3])
    assert len(blocks(net)) > 2


TIMM = [path for path in PRESETS if path.stem != "timm" and "name" in own(path)]
LICENCE = re.compile(r"^# Licence: (.+?)(?:,|\.$)", re.MULTILINE)


@pytest.mark.parametrize("path", TIMM, ids=lambda path: path.stem)
def test_presets_of_timm_name_weights_that_exist(path: Path) -> None:
    name, head = own(path).name, path.read_text()
    assert "." in name
    assert name in timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True)
    record = pretrained_cfg(name)
    assert record.hf_hub_id == f"timm/{name}"
    size = int(COST.search(head)[3])  # type: ignore[index]
    assert size == own(path).get("default_image_size", record.input_size[-1])
    licence = InitialWeights.of(name, record.license)
    found = LICENCE.search(head)
    assert found is not None
    assert found[1] == licence.title
    assert licence.permissive or licence.link in head


@pytest.mark.parametrize("path", TIMM, ids=lambda path: path.stem)
def test_every_preset_gives_features_and_takes_another_classifier(path: Path) -> None:
    with torch.device("meta"), torch.no_grad():
        net: Any = instantiate(own(path), weights="none", num_classes=6, image_size=None).eval()
        size = input_spec(net).image_size
        features = net.forward_head(net.forward_features(torch.empty(2, 3, size, size)), pre_logits=True)
        assert features.shape == (2, net.get_classifier().in_features)
        assert net.get_classifier()(features).shape == (2, 6)
    assert sum(map(len, blocks(net))) == len(list(net.parameters()))


@pytest.mark.parametrize("name", ["test_vit.r160_in1k", "test_vit3.r160_in1k", "test_convnext.r160_in1k"])
def test_an_encoder_without_classifier_gets_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = timm.create_model(name, num_classes=0).state_dict()
    torch.save(theirs, tmp_path / "encoder.bin")
    monkeypatch.setattr("heritage.models.backbone.fetch_weights", lambda _: tmp_path / "encoder.bin")
    options: Any = {"drop_rate": None, "drop_path_rate": None, "grad_checkpointing": False, "num_classes": 3}
    for weights in ("pretrained", "imagenet", str(tmp_path / "encoder.bin")):
        net = timm_network(name=name, weights=weights, image_size=None, **options)
        fresh = {key for key in net.state_dict() if key not in theirs}
        assert fresh == set(classifier_names(net))
        assert all(torch.equal(value, net.state_dict()[key]) for key, value in theirs.items())
        assert net(torch.zeros(1, 3, 160, 160)).shape == (1, 3)


def test_pretrained_positions_are_resampled_to_the_default_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "test_vit.r160_in1k"
    torch.save(timm.create_model(name, num_classes=0).state_dict(), tmp_path / "encoder.bin")
    monkeypatch.setattr("heritage.models.backbone.fetch_weights", lambda _: tmp_path / "encoder.bin")
    options: Any = {"drop_rate": None, "drop_path_rate": None, "grad_checkpointing": False, "num_classes": 3}
    for image_size, expected in ((None, 64), (96, 96)):
        net = timm_network(
            name=name, weights="pretrained", image_size=image_size, default_image_size=64, **options
        )
        assert input_spec(net).image_size == expected
        assert net(torch.zeros(1, 3, expected, expected)).shape == (1, 3)
