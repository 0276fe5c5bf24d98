"""The mean of the weights of several runs, as a run folder."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heritage.errors import ConfigError
from heritage.inference.checkpoint import merged
from heritage.inference.ensemble import load_members
from heritage.inference.weight_average import average_weights
from heritage.models.adapters import adapters, attach_adapters
from heritage.models.heads import NearestNeighbourHead
from heritage.models.normalize import NormalizedModel
from heritage.models.weight_licences import InitialWeights
from tests.conftest import Command, patch


@pytest.fixture
def pair(run_folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Return two runs of one recipe, whose weights differ a little."""
    first, second = (shutil.copytree(run_folder, tmp_path / name) for name in ("first", "second"))
    file = second / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    torch.manual_seed(1)
    for value in state["state_dict"].values():
        if value.is_floating_point() and value.ndim:
            value.mul_(1 + 0.05 * torch.rand_like(value))
    torch.save(state, file)
    return first, second


def test_the_average_is_a_run_folder_that_every_command_takes(
    heritage: Command, pair: tuple[Path, Path], tmp_path: Path, photographs: Path
) -> None:
    out = tmp_path / "averaged"
    done = heritage("export", f"ckpt=[{pair[0]},{pair[1]}]", "average=weights", "format=checkpoint",
                    f"out={out}")  # fmt: skip
    assert done.code == 0, done.err
    one, two, both = (
        torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for run in (*pair, out)
    )
    for name, value in both.items():
        if "running_" not in name and value.is_floating_point():
            torch.testing.assert_close(value, (one[name] + two[name]) / 2)
    changed = [name for name in both if name.endswith("running_mean")
               and not torch.allclose(both[name], (one[name] + two[name]) / 2, atol=1e-4)]  # fmt: skip
    assert changed, "the statistics of batch normalisation were not estimated"
    done = heritage("evaluate", f"ckpt={out}", "report.resamples=10", "audits=null")
    assert done.code == 0, done.err
    assert (out / "calibration.json").is_file()
    done = heritage("predict", f"ckpt={out}", f"input={photographs}/0.jpg", f"out={tmp_path / 'one.csv'}")
    assert done.code == 0, done.err


def test_runs_that_cannot_be_averaged_are_refused(
    heritage: Command, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    done = heritage("export", f"ckpt=[{pair[0]},{pair[1]}]", "format=checkpoint", f"out={tmp_path / 'no'}")
    assert done.code == 2
    assert "average=weights" in done.err
    first, second = load_members(list(pair))
    cpu = torch.device("cpu")
    with pytest.raises(ConfigError, match="one network has no average"):
        average_weights([first], cpu)
    second.config["model"] = second.config["model"] | {"name": "resnet18"}
    with pytest.raises(ConfigError, match=r"its network \(model\) differs"):
        average_weights([first, second], cpu)
    second.config["model"] = first.config["model"]
    second.config["seed"] = first.config["seed"] + 1
    with pytest.raises(ConfigError, match="the seed of random weights"):
        average_weights([first, second], cpu)


def test_frozen_statistics_are_kept_and_logits_of_linear_classifiers_are_averaged(
    run_folder: Path, tmp_path: Path
) -> None:
    second = shutil.copytree(run_folder, tmp_path / "second")
    file = second / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    torch.manual_seed(1)
    for name, value in state["state_dict"].items():
        if ".fc." in name:
            value.add_(torch.randn_like(value))
    torch.save(state, file)
    members = load_members([run_folder, second])
    averaged = average_weights(members, torch.device("cpu"))
    images = torch.from_numpy(np.stack([patch(k, 99, size=32) for k in range(6)]))
    with torch.inference_mode():
        one, two, both = (member.model(images) for member in (*members, averaged))
    torch.testing.assert_close(both, (one + two) / 2, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(one, two, atol=0.1)


def test_low_rank_updates_are_merged_before_they_are_averaged(run_folder: Path) -> None:
    members = []
    for seed in (0, 1):
        (one,) = load_members(run_folder)
        net = copy.deepcopy(one.model.net)
        attach_adapters(net, {"kind": "lora", "rank": 2, "alpha": 4.0, "where": "all"})
        torch.manual_seed(seed)
        for _, _, adapter in adapters(net):
            for parameter in adapter.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
        members.append(dataclasses.replace(one, model=NormalizedModel(net).eval()))
    expected = [merged(one).model.net.state_dict() for one in members]
    averaged = average_weights(members, torch.device("cpu")).model.net.state_dict()
    assert averaged.keys() == expected[0].keys()
    changed = 0
    for name, value in averaged.items():
        one, two = expected[0][name], expected[1][name]
        if value.is_floating_point():
            torch.testing.assert_close(value, (one + two) / 2)
        changed += not torch.equal(one, two)
    assert changed


def test_stored_neighbours_have_no_mean(run_folder: Path) -> None:
    first, second = load_members(run_folder)[0], load_members(run_folder)[0]
    width: Any = first.model.net.num_features
    first.model.net.fc = NearestNeighbourHead(int(width), 6)
    with pytest.raises(ConfigError, match="stored neighbours, which have no mean"):
        average_weights([first, second], torch.device("cpu"))


def test_the_start_of_averaged_runs_is_kept(heritage: Command, run_folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    file = run / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    state["heritage"]["initial_weights"] = {"name": "vit_small.x", "licence": "dinov3-license"}
    torch.save(state, file)
    done = heritage("export", f"ckpt=[{run}]", "format=checkpoint", f"out={tmp_path / 'out'}")
    assert done.code == 0, done.err
    (copied,) = load_members(tmp_path / "out")
    assert copied.initial_weights == InitialWeights("vit_small.x", "dinov3-license")
