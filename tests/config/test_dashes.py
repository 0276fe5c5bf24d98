"""Options written as those of other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from heritage.cli import require_no_dashes
from heritage.config.faults import did_you_mean
from heritage.errors import ConfigError
from tests.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr=0.1"], "--lr=0.1: options have no dashes; write lr=0.1"),
        (["seed=1", "--epochs", "3"], "--epochs: options have no dashes; write epochs=3"),
        (["--epochs"], "write epochs=<value>"),
    ],
)
def test_options_with_dashes_are_shown_without(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_no_dashes(arguments)


@pytest.mark.parametrize(
    ("arguments", "also"),
    [(["-m", "seed=0,1", "--config-dir=x", "--multirun"], "--config_dir"), (["--cfg", "job"], "--cgf")],
)
def test_the_flags_of_hydra_have_dashes(arguments: list[str], also: str) -> None:
    require_no_dashes(arguments)
    with pytest.raises(ConfigError, match=f"^{also}: no such flag; did you mean --c"):
        require_no_dashes([*arguments, also])


@pytest.mark.parametrize(
    ("flag", "value"), [("--cfg", "job"), ("-c", "all"), ("--info", "config"), ("-i", "all")]
)
def test_the_configuration_of_a_sweep_is_not_shown(flag: str, value: str) -> None:
    name = "--cfg" if flag in ("--cfg", "-c") else "--info"
    with pytest.raises(ConfigError, match=f"^{name}: shows the configuration of one run; leave -m out"):
        require_no_dashes(["-m", "seed=0,1", flag, value])


def test_options_of_other_programs_have_their_neighbour() -> None:
    known = ["model", "trainer"]
    assert did_you_mean("pretrained", known, ["model.weights"]) == "did you mean model.weights=pretrained?"
    assert did_you_mean("gpu", known) == "did you mean trainer=gpu?"
    assert "trainer=gpu" not in did_you_mean("gpu", ["ckpt"]), "the command has no trainer"


def test_no_configuration_is_unpickled(heritage: Command, tmp_path: Path) -> None:
    file = tmp_path / "config.pickle"
    file.write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    done = heritage("train", f"--experimental-rerun={file}")
    assert done.code == 2
    assert "--experimental-rerun: unpickling a configuration would run code" in done.err
    assert not (tmp_path / "executed").exists()
