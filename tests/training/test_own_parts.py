"""A user's loss or network is one Python file and one YAML file, and appears in command, help and report."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import heritage as package
from heritage.errors import CheckpointError
from tests.conftest import Command

LOSS = '''
import torch
from heritage.training.losses import ClassLoss


class Squared(ClassLoss):
    """Brier score."""

    def __init__(self, sharpness: float, label_smoothing: float, *, counts, weights):
        super().__init__(label_smoothing, weights)
        self.sharpness = sharpness

    def per_class(self, logits):
        p = (self.sharpness * logits).softmax(dim=1)
        return (p**2).sum(dim=1, keepdim=True) - 2 * p + 1
'''
NETWORK = """
from torch import nn
from heritage.models import register_network
from heritage.models.network import centred_input, set_input_spec


class Net(nn.Sequential):
    def get_classifier(self):
        return self[-1]


@register_network
def pooled_pixels(*, channels: int, weights: str, num_classes: int, image_size: int | None) -> nn.Module:
    conv = nn.Conv2d(3, channels, 3)
    net = Net(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
    set_input_spec(net, centred_input(image_size or 32))
    return net
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the two modules and their YAML files."""
    folder = tmp_path / "mine"
    for group in ("balance/loss", "model"):
        (folder / "conf" / group).mkdir(parents=True)
    (folder / "own_loss.py").write_text(LOSS)
    (folder / "own_network.py").write_text(NETWORK)
    (folder / "conf" / "balance" / "loss" / "squared.yaml").write_text(
        "_target_: own_loss.Squared\nsharpness: 2.0\nlabel_smoothing: 0.0\n"
    )
    (folder / "conf" / "model" / "pooled_pixels.yaml").write_text(
        "_target_: own_network.pooled_pixels\nchannels: 4\nweights: none\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("own_loss", "own_network"):
        sys.modules.pop(name, None)


def test_the_help_lists_own_options(heritage: Command, mine: Path) -> None:
    config = ("--config-dir", str(mine / "conf"))
    done = heritage("train", *config, "balance/loss=squared", "--help")
    assert done.code == 0, done.err
    assert "pooled_pixels" in next(line for line in done.out.splitlines() if line.startswith("model:"))
    assert "[squared]" in next(line for line in done.out.splitlines() if line.startswith("balance/loss:"))
    assert "sharpness: 2.0" in done.out


def test_a_mistyped_own_option_is_corrected(heritage: Command, mine: Path) -> None:
    done = heritage("train", "--config-dir", str(mine / "conf"), "balance/loss=sqared")
    assert done.code == 2
    assert "did you mean 'squared'?" in done.err
    done = heritage(
        "train", "--config-dir", str(mine / "conf"), "balance/loss=squared", "balance.loss.sharp=3"
    )
    assert "did you mean 'sharpness'?" in done.err


def test_own_loss_and_network_train_and_are_reported(
    heritage: Command, tiny: tuple[str, ...], mine: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = heritage(
        "train", f"--config-dir={mine / 'conf'}", *tiny, "balance/loss=squared", "balance.loss.sharpness=3",
        "model=pooled_pixels", f"hydra.run.dir={folder}",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads((folder / "metrics.json").read_text())["facts"]
    assert facts["model"].startswith("pooled_pixels, 142 parameters")
    assert "loss squared (sharpness 3" in facts["balance"]
    report = (folder / "report.md").read_text()
    assert report.startswith("# pooled_pixels on the test split of photographs")

    predictor = package.load(folder)  # its module has been imported, and registered the network
    assert predictor.predict(torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()).label in predictor.classes


def test_a_network_that_was_not_imported_is_refused(
    heritage: Command, tiny: tuple[str, ...], mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    done = heritage(
        "train", f"--config-dir={mine / 'conf'}", *tiny, "model=pooled_pixels", f"hydra.run.dir={folder}"
    )
    assert done.code == 0, done.err
    monkeypatch.delitem(package.models.builders._BUILDERS, "own_network.pooled_pixels")  # another process
    with pytest.raises(CheckpointError, match="register_network"):
        package.load(folder)
