"""What is read of a run folder, or of a configuration alone, to tell runs apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from heritage.analysis.recipe import read_recipe
from heritage.trained import load_trained


def test_a_folder_says_more_than_its_checkpoint(runs: Path) -> None:
    trained = load_trained(runs / "weights")
    said = read_recipe(runs / "weights", trained.config)
    assert (said.model, said.optimizer, said.balance) == ("resnet10t", "adamw", "weights")
    assert "trainer.max_epochs=2" in said.others
    alone = read_recipe(None, trained.config)
    assert (alone.model, alone.optimizer, alone.balance) == ("resnet10t", "adamw", "weights")
    assert said.family == read_recipe(runs / "none", trained.config).family


@pytest.mark.parametrize(
    ("balance", "name"),
    [("none", "none"), ("weights", "weights"), ("focal", "focal"), ("oversample", "oversample"),
     ("ldam_drw", "effectivenumber labeldistributionawaremargin deferredweighting")],
)  # fmt: skip
def test_remedies_are_told_apart_without_a_folder(balance: str, name: str) -> None:
    config = compose(f"balance={balance}", "model=efficientnet_b0")
    found = read_recipe(None, config)
    assert found.balance.replace("_", "") == name
    assert found.model == "efficientnet_b0"


def compose(*words: str) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from heritage.config.schema import register_schemas
    from heritage.paths import config_dir

    register_schemas()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = hydra_compose("train", overrides=[*words])
    return {str(key): OmegaConf.to_container(cfg[key]) for key in ("balance", "model", "optimizer", "seed")
            if key != "seed"} | {"seed": 0}  # fmt: skip
