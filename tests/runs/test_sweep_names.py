"""The name of a sweep's folder and of its jobs' folders."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.runs.sweep_names import Experiment, experiment_of


def experiment(*words: str) -> Experiment:
    register()
    GlobalHydra.instance().clear()
    chosen = [word for word in words if word.startswith("+sweep")]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides=chosen, return_hydra_config=True)
    OmegaConf.set_readonly(cfg.hydra, False)
    cfg.hydra.overrides.task = list(words)
    return experiment_of(cfg.hydra)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["seed=0,1"], ["seed=0,1,2"], True),
        (["seed=0,1"], ["seed=0,1", "cluster=slurm", "cluster.time=60", "retry_failed=true"], True),
        (["seed=0,1"], ["seed=0,1", "logger=wandb", "data.num_workers=4"], True),
        (["seed=0,1", "model=vit"], ["model=vit", "seed=0,1"], True),
        (["seed=0,1"], ["seed=0,1", "model=vit"], False),
        (["seed=0,1"], ["seed=0"], False),
        (["seed=0,1", "model=vit,resnet18"], ["seed=0,1", "model=vit"], False),
        (["+sweep=seeds"], ["+sweep=seeds", "data=demo"], False),
        (["+sweep=seeds"], ["+sweep=seeds", "seed=5,6"], True),
    ],
)
def test_the_same_experiment_has_the_same_folder(one: list[str], other: list[str], same: bool) -> None:
    assert (experiment(*one).folder == experiment(*other).folder) is same


def test_a_folder_is_named_after_the_sweep_or_what_varies() -> None:
    assert experiment("+sweep=seeds").folder.startswith("seeds-")
    assert experiment("model=vit,resnet18", "optimizer.lr=1,2").folder.startswith("model_lr-")


@pytest.mark.parametrize(
    ("swept", "words", "name"),
    [
        (("model", "seed"), ["data=demo", "model=vit", "seed=1"], "model=vit,seed=1"),
        (("optimizer.lr",), ["optimizer.lr=0.1"], "lr=0.1"),
        (("+experiment",), ["+experiment=thesis/weights"], "experiment=thesis-weights"),
        (("balance/sampling", "data.sampling"), ["balance/sampling=none", "data.sampling=3"],
         "balance.sampling=none,data.sampling=3"),
        ((), ["seed=1"], "job"),
    ],
)  # fmt: skip
def test_a_job_is_named_after_its_values(swept: tuple[str, ...], words: list[str], name: str) -> None:
    assert Experiment("x", swept, ()).job(words) == name


def test_values_that_are_no_file_names_still_tell_jobs_apart() -> None:
    two = Experiment("x", ("data.classes",), ())
    one, other = (two.job([f"data.classes={value}"]) for value in ("[a b]", "[a:b]"))
    assert one != other
    assert "/" not in one
    assert len(two.job([f"data.classes={'x' * 500}"])) < 120
