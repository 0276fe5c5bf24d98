"""Descriptions of runs, from a run folder or from a configuration derived."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from heritage.inference.checkpoint import load_checkpoint
from heritage.runs.description import read_description, settings_digest


def test_a_folder_describes_more_than_its_checkpoint(runs: Path) -> None:
    classifier = load_checkpoint(runs / "weights")
    described = read_description(runs / "weights", classifier.config)
    assert (described.model, described.optimizer, described.balance) == ("resnet10t", "adamw", "weights")
    assert "trainer.max_epochs=2" in described.others
    derived = read_description(None, classifier.config)
    assert (derived.model, derived.optimizer, derived.balance) == ("resnet10t", "adamw", "weights")
    assert described.family == read_description(runs / "none", classifier.config).family


@pytest.mark.parametrize(
    ("balance", "name"),
    [("none", "none"), ("weights", "weights"), ("focal", "focal"), ("oversample", "oversample"),
     ("ldam_drw", "effectivenumber labeldistributionawaremargin deferredweighting")],
)  # fmt: skip
def test_balancing_is_described_without_a_folder(balance: str, name: str) -> None:
    config = compose(f"balance={balance}", "model=efficientnet_b0")
    description = read_description(None, config)
    assert description.balance.replace("_", "") == name
    assert description.model == "efficientnet_b0"


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
def test_overrides_of_axes_are_part_of_the_balancing(
    tmp_path: Path, words: list[str], balance: str, others: tuple[str, ...]
) -> None:
    chosen = next((word.partition("=")[2] for word in words if word.startswith("balance=")), "none")
    record = {"hydra": {"runtime": {"choices": {"balance": chosen}}, "overrides": {"task": words}}}
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(record, tmp_path / ".hydra" / "hydra.yaml")
    description = read_description(tmp_path, compose(*words))
    assert (description.balance, description.others) == (balance, others)


def test_classifier_retraining_is_a_balancing_method_of_its_first_stage(tmp_path: Path) -> None:
    def folder(name: str, balance: str, words: list[str], **more: Any) -> Path:
        record = {"hydra": {"runtime": {"choices": {"balance": balance}}, "overrides": {"task": words}}}
        (tmp_path / name / ".hydra").mkdir(parents=True)
        OmegaConf.save(record, tmp_path / name / ".hydra" / "hydra.yaml")
        OmegaConf.save(compose(f"balance={balance}") | more, tmp_path / name / "config.yaml")
        return tmp_path / name

    pairs = []
    for seed in (0, 1):
        first = folder(f"first{seed}", "none", ["trainer.max_samples=300"], seed=seed)
        ckpt = str(first / "checkpoints" / "best.ckpt")
        more = {"finetune": {"fresh_classifier": True}, "seed": seed}
        words = ["+experiment=crt", f"model.weights={ckpt}", "trainer.max_samples=100"]
        config = compose("balance=sampler") | more
        config["model"] = {**config["model"], "weights": ckpt}
        second = folder(f"second{seed}", "sampler", words, **more)
        pairs.append((read_description(first, compose("balance=none")), read_description(second, config)))
    for seed, (first_stage, second_stage) in enumerate(pairs):
        assert (second_stage.balance, second_stage.seed) == ("none crt trainer.max_samples=100", seed)
        assert second_stage.family == first_stage.family
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


def test_unset_keys_do_not_change_the_digest() -> None:
    config: dict[str, Any] = {"callbacks": {"best": {"mode": "max"}}, "optimizer": {"lr": 0.1}, "seed": 0}
    older = {**config, "callbacks": {**config["callbacks"], "ema": None}, "seed": 1}
    assert settings_digest(older) == settings_digest(config)
    assert settings_digest({**config, "optimizer": {"lr": 0.2}}) != settings_digest(config)
