"""What is read of a run folder, or of a configuration alone, to tell runs apart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from heritage.inference.checkpoint import load_checkpoint
from heritage.runs.description import read_description, settings_digest


def test_a_folder_says_more_than_its_checkpoint(runs: Path) -> None:
    trained = load_checkpoint(runs / "weights")
    said = read_description(runs / "weights", trained.config)
    assert (said.model, said.optimizer, said.balance) == ("resnet10t", "adamw", "weights")
    assert "trainer.max_epochs=2" in said.others
    alone = read_description(None, trained.config)
    assert (alone.model, alone.optimizer, alone.balance) == ("resnet10t", "adamw", "weights")
    assert said.family == read_description(runs / "none", trained.config).family


@pytest.mark.parametrize(
    ("balance", "name"),
    [("none", "none"), ("weights", "weights"), ("focal", "focal"), ("oversample", "oversample"),
     ("ldam_drw", "effectivenumber labeldistributionawaremargin deferredweighting")],
)  # fmt: skip
def test_remedies_are_told_apart_without_a_folder(balance: str, name: str) -> None:
    config = compose(f"balance={balance}", "model=efficientnet_b0")
    found = read_description(None, config)
    assert found.balance.replace("_", "") == name
    assert found.model == "efficientnet_b0"


@pytest.mark.parametrize(
    ("words", "balance", "others"),
    [
        (["balance=sampler", "balance.sampling.power=0.5"], "sampler sampling.power=0.5", ()),
        (["balance/loss=ldam", "model=vit", "trainer.max_epochs=3"], "loss=ldam", ("trainer.max_epochs=3",)),
        (["balance=oversample", "balance/weighting=inverse", "balance.sampling.target=0.5"],
         "oversample sampling.target=0.5 weighting=inverse", ()),
        (["balance/loss=cross_entropy"], "none", ()),
        (["balance.loss.label_smoothing=0"], "none", ("balance.loss.label_smoothing=0",)),
    ],
)  # fmt: skip
def test_an_axis_that_was_changed_is_part_of_the_remedy(
    tmp_path: Path, words: list[str], balance: str, others: tuple[str, ...]
) -> None:
    chosen = next((word.partition("=")[2] for word in words if word.startswith("balance=")), "none")
    record = {"hydra": {"runtime": {"choices": {"balance": chosen}}, "overrides": {"task": words}}}
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(record, tmp_path / ".hydra" / "hydra.yaml")
    found = read_description(tmp_path, compose(*words))
    assert (found.balance, found.others) == (balance, others)


def test_a_classifier_learnt_anew_is_a_remedy_of_its_first_stage(tmp_path: Path) -> None:
    def folder(name: str, balance: str, words: list[str], **more: Any) -> Path:
        record = {"hydra": {"runtime": {"choices": {"balance": balance}}, "overrides": {"task": words}}}
        (tmp_path / name / ".hydra").mkdir(parents=True)
        OmegaConf.save(record, tmp_path / name / ".hydra" / "hydra.yaml")
        OmegaConf.save(compose(f"balance={balance}") | more, tmp_path / name / "config.yaml")
        return tmp_path / name

    found = []
    for seed in (0, 1):
        first = folder(f"first{seed}", "none", ["trainer.max_samples=300"], seed=seed)
        ckpt = str(first / "checkpoints" / "best.ckpt")
        more = {"finetune": {"fresh_classifier": True}, "seed": seed}
        words = ["+experiment=crt", f"model.weights={ckpt}", "trainer.max_samples=100"]
        config = compose("balance=sampler") | more
        config["model"] = {**config["model"], "weights": ckpt}
        second = folder(f"second{seed}", "sampler", words, **more)
        found.append((read_description(first, compose("balance=none")), read_description(second, config)))
    for seed, (plain, anew) in enumerate(found):
        assert (anew.balance, anew.seed) == ("none crt trainer.max_samples=100", seed)
        assert anew.family == plain.family
    shutil.rmtree(tmp_path / "first1")
    assert read_description(tmp_path / "second1", config).balance == "sampler"


def compose(*words: str) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from heritage.config.register import register
    from heritage.core.files import config_dir

    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = hydra_compose("train", overrides=[*words])
    return {str(key): OmegaConf.to_container(cfg[key]) for key in ("balance", "model", "optimizer", "seed")
            if key != "seed"} | {"seed": 0}  # fmt: skip


def test_unset_keys_make_no_other_setting() -> None:
    config: dict[str, Any] = {"callbacks": {"best": {"mode": "max"}}, "optimizer": {"lr": 0.1}, "seed": 0}
    older = {**config, "callbacks": {**config["callbacks"], "ema": None}, "seed": 1}
    assert settings_digest(older) == settings_digest(config)
    assert settings_digest({**config, "optimizer": {"lr": 0.2}}) != settings_digest(config)
