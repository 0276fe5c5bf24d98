"""The mean of the weights of several runs, as a run folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from heritage.errors import ConfigError
from heritage.inference.ensemble import load_members
from heritage.inference.weight_average import average_weights
from tests.conftest import Command


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
