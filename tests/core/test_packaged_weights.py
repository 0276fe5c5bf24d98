"""ImageNet weights of an installed package: known by digest, renamed by order and shape, else refused."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import timm
import torch

from heritage.core import packaged_weights
from heritage.core.packaged_weights import PackagedFile, as_timm_names, packaged_file
from heritage.errors import WeightsError
from heritage.models.backbone import timm_network
from heritage.models.hub import fetch_weights

NAME = "test_resnet.r160_in1k"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with the weights of a small network under other names, and return their file."""
    torch.manual_seed(0)
    state = timm.create_model(NAME, pretrained=False).state_dict()
    folder = tmp_path / "some_weights_model"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('its code is not to run')\n")
    file = folder / "net.pth"
    torch.save({f"_{place}": value for place, value in enumerate(state.values())}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = {NAME: PackagedFile("some_weights_model", "net.pth", digest)}
    monkeypatch.setattr(packaged_weights, "PACKAGED", known)
    monkeypatch.setattr("heritage.models.backbone.PACKAGED", known)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return file


def test_the_weights_reach_the_network(package: Path) -> None:
    assert fetch_weights(NAME) == package
    assert "some_weights_model" not in sys.modules
    net = timm_network(
        name=NAME, weights="pretrained", drop_rate=None, drop_path_rate=None, grad_checkpointing=False,
        num_classes=3, image_size=None,
    )  # fmt: skip
    torch.manual_seed(0)
    expected = timm.create_model(NAME, pretrained=False).state_dict()
    body = {name: value for name, value in net.state_dict().items() if not name.startswith("fc.")}
    assert body.keys() == {name for name in expected if not name.startswith("fc.")}
    assert all(torch.equal(value, expected[name]) for name, value in body.items())


def test_another_file_is_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="its digest differs"):
        packaged_file(NAME)


def test_no_package_no_file() -> None:
    assert packaged_file("resnet50.a1_in1k") is None


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    ours = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    assert as_timm_names({"x": torch.ones(2, 3), "y": torch.ones(4)}, ours, tmp_path).keys() == ours.keys()
    for theirs in ({"x": torch.ones(2, 3)}, {"x": torch.ones(3, 2), "y": torch.ones(4)}):
        with pytest.raises(WeightsError, match="not the weights of this network"):
            as_timm_names(theirs, ours, tmp_path)


@pytest.mark.parametrize("name", packaged_weights.PACKAGED)
def test_the_registered_package_holds_the_weights_of_its_network(name: str) -> None:
    file = packaged_file(name)
    assert file is not None, "the extra weights is part of the extra dev"
    state = torch.load(file, weights_only=True)
    renamed = as_timm_names(state, timm.create_model(name, pretrained=False).state_dict(), file)
    assert renamed["classifier.weight"].shape == (1000, 1280)
