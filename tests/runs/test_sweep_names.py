"""The name of a sweep's folder and of its jobs' folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.runs.compat import first_name
from heritage.runs.description import other_choices
from heritage.runs.folders import sweep_folder
from heritage.runs.setting_keys import is_setting
from heritage.runs.sweep_names import Experiment, experiment_of


def experiment(*words: str) -> Experiment:
    return experiment_of(hydra_of(*words))


def hydra_of(*words: str) -> DictConfig:
    register()
    GlobalHydra.instance().clear()
    chosen = [word for word in words if word.startswith("+sweep")]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides=chosen, return_hydra_config=True)
    OmegaConf.set_readonly(cfg.hydra, False)
    cfg.hydra.overrides.task = list(words)
    node: DictConfig = cfg.hydra
    return node


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


def test_values_that_are_no_file_names_still_distinguish_jobs() -> None:
    two = Experiment("x", ("data.classes",), ())
    one, other = (two.job([f"data.classes={value}"]) for value in ("[a b]", "[a:b]"))
    assert one != other
    assert "/" not in one
    assert len(two.job([f"data.classes={'x' * 500}"])) < 120


def test_the_folder_of_a_sweep_started_under_an_earlier_key_is_found(tmp_path: Path) -> None:
    now = experiment("target_precision=0.8,0.9", "seed=1")
    then = Experiment("wished_precision", ("wished_precision",), ("seed=1",))
    assert now.with_first_names() == then
    config = OmegaConf.create({"hydra": hydra_of("target_precision=0.8,0.9", "seed=1")})
    assert sweep_folder(str(tmp_path), _root_=config) == f"{tmp_path}/{now.folder}"
    (tmp_path / then.folder).mkdir()
    assert sweep_folder(str(tmp_path), _root_=config) == f"{tmp_path}/{then.folder}"
    assert Experiment.from_record(then.record) == now


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["seed=0,1"], "seed-e17a7b"),
        (["balance=none,weights", "seed=0,1", "target_precision=0.9"], "balance_seed-0e7efb"),
        (["target_precision=0.8,0.9", "seed=1"], "wished_precision-b24534"),
    ],
)
def test_folders_of_version_01_keep_their_names(words: list[str], folder: str) -> None:
    assert experiment(*words).with_first_names().folder == folder


@pytest.mark.parametrize("key", ["data.stage", "plan", "logger", "hydra.verbose", "seed", "data.split.fold"])
def test_keys_that_do_not_distinguish_runs(key: str) -> None:
    assert not is_setting(key)
    assert other_choices([f"{key}=1", "++model=vit", "trainer.max_epochs=3"]) == ("trainer.max_epochs=3",)


def test_descriptions_name_keys_by_their_current_names() -> None:
    words = ["wished_precision=0.9", "+report.each=3", "finetune=classifier_anew"]
    now = ("+report.images_per_pair=3", "finetune=new_classifier", "target_precision=0.9")
    assert other_choices(words) == now
    assert {first_name(word) for word in now} == set(words)
