"""Every configuration file composes, validates and has a complete header."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from heritage.cli import COMMANDS
from heritage.config.faults import FaultyConfigError
from heritage.config.register import register
from heritage.config.validate import validate
from heritage.core.files import config_dir
from tests.conftest import Command

ROOT = config_dir()
FILES = sorted(ROOT.rglob("*.yaml"))

NEEDED = {
    "new": ["folder=x"],
    "evaluate": ["ckpt=/run"],
    "compare": ["runs=/runs"],
    "experiment/crt": ["model.weights=/run/checkpoints/best.ckpt"],
    "explain": ["ckpt=/run"],
    "data/met_ceramics": ["data.root=/data"],
    "data/folder": ["data.root=/data"],
    "data/table": ["data.root=/data"],
    "data/class_folders": ["data.root=/data"],
    "data/split/column": ["data.split.test=[MET]"],
    "balance/weighting/by_hand": ["balance.weighting.weights={islam: 2}"],
    "raw/class_folders": ["raw.root=/raw"],
    "raw/table": ["raw.root=/raw"],
    "raw/met_ceramics": ["raw.root=/raw"],
    "raw/rebuild": ["raw.root=/raw", "raw.dataset=/old"],
    "predict": ["ckpt=/run", "input=/photographs"],
    "export": ["ckpt=/run"],
    "serve": ["ckpt=/run"],
    "model/timm": ["model.name=resnet10t.c3_in1k"],
}
"""Overrides that a user must add, since there is no sensible default."""

PLACES = {"head": "head@model"}
"""Where the options of groups without a section of their own belong."""


def composed(verb: str, overrides: list[str]) -> DictConfig:
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT), version_base="1.3"):
        cfg = compose(verb, overrides=[*overrides, "paths.run=/run"], return_hydra_config=True)
        cfg._set_flag("struct", False)
    return cfg


@cache
def choices(verb: str) -> dict[str, str]:
    return dict(composed(verb, []).hydra.runtime.choices)


def selection(path: Path) -> tuple[str, list[str]]:
    """Return the command and the overrides that select a file."""
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    if "/" not in name:
        return name, NEEDED.get(name, [])
    group, option = name.rsplit("/", 1)
    for verb in COMMANDS:
        for key in choices(verb):
            if key.partition("@")[0] == group:
                return verb, [f"{key}={option}", *NEEDED.get(verb, []), *NEEDED.get(name, [])]
    return "train", [f"+{PLACES.get(group, group)}={option}", *NEEDED.get(name, [])]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_composes_and_validates(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem.startswith("_"):
        shared = path.relative_to(ROOT).with_suffix("").as_posix()
        names = (f"- {path.stem}\n", f"- /{shared}\n")
        users = [other for other in FILES if any(name in other.read_text() for name in names)]
        assert len(users) >= 2, "a shared file must be used by at least two others"
        return
    verb, overrides = selection(path)
    cfg = composed(verb, overrides)
    if path.parent != ROOT:
        key, option = overrides[0].lstrip("+").split("=")
        assert cfg.hydra.runtime.choices[key] == option
    assert cfg.hydra.mode is None, "tests compose a command once (`tests.conftest`)"
    monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)  # ${hydra:…} is resolved from it
    plain = cfg.copy()
    del plain["hydra"]
    validate(plain, verb)


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_command_writes_below_its_own_name(verb: str) -> None:
    """With ``_self_`` before ``hydra: default``, the name and folder of training would win."""
    assert composed(verb, NEEDED.get(verb, [])).hydra.job.name == verb


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_opens_with_purpose_command_and_cost(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    head = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
    assert len(head) >= 3, "no header"
    text = "\n".join(head)
    assert "python -m heritage." in text, "the header names no command"
    assert "Cost" in text, "the header names no cost"


def test_all_files_are_found() -> None:
    # A file that rglob misses would not be tested.
    assert len(FILES) >= 55
    assert {path.stem for path in FILES if path.parent == ROOT} == set(COMMANDS)


def test_validation_reports_every_fault() -> None:
    cfg = composed("train", [])
    del cfg["hydra"]
    cfg.model.dpeth = 3
    cfg.data.batch_size = 0
    cfg.trainer.max_epochs = "ten"
    cfg.optimizer._target_ = "heritage.training.optimizers.adamv"
    cfg.optimiser = {"lr": 1}
    cfg.data.root = "???"
    del cfg.balance.sampling["_target_"]
    cfg.balance.sampling._target_ = "heritage.data.sampling.Weighted"
    with pytest.raises(FaultyConfigError) as caught:
        validate(cfg, "train")
    text = "\n".join(caught.value.faults)
    for expected in ("model.dpeth", "data.batch_size=0", "trainer.max_epochs=ten", "adamv", "optimiser",
                     "data.root has no value", "balance.sampling.power is missing"):  # fmt: skip
        assert expected in text
    assert "did you mean 'optimizer'?" in text


def test_a_misspelt_key_in_an_experiment_file_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "# @package _global_\nmodel:\n  droprate: 0.1\ntrainer:\n  max_epoch: 3\n"
    )
    cfg = composed("train", [f"hydra.searchpath=[file://{tmp_path}]", "+experiment=mine"])
    del cfg["hydra"]
    with pytest.raises(FaultyConfigError) as caught:
        validate(cfg, "train")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["model.droprate", "trainer.max_epoch"]
    assert "did you mean 'drop_rate'?" in caught.value.faults[0]
    assert "did you mean 'max_epochs'?" in caught.value.faults[1]


SWEEPS = {
    "thesis_models": 12,
    "thesis_balance": 4,
    "vit_scratch": 2,
    "pretrained_vs_scratch": 6,
    "finetune_depth": 4,
    "balance_lab": 30,
    "seeds": 5,
}
"""The number of jobs of each sweep."""


@cache
def jobs_of(sweep: str) -> list[list[str]]:
    params = composed("train", [f"+sweep={sweep}"]).hydra.sweeper.params
    words = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    jobs = BasicSweeper.split_arguments(words, max_batch_size=None)[0]
    return [[f"+sweep={sweep}", *job] for job in jobs]


def test_each_sweep_has_the_expected_number_of_jobs() -> None:
    assert {path.stem for path in (ROOT / "sweep").glob("*.yaml")} == set(SWEEPS)
    assert {sweep: len(jobs_of(sweep)) for sweep in SWEEPS} == SWEEPS


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_job_of_a_sweep_validates(sweep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Seeds are checked alone: each configuration with one of them is enough.
    without_seed = {
        tuple(word for word in job if not word.startswith("seed=")): job for job in jobs_of(sweep)
    }
    faults: dict[str, tuple[str, ...]] = {}
    for job in without_seed.values():
        cfg = composed("train", job)
        monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)
        plain = cfg.copy()
        del plain["hydra"]
        try:
            validate(plain, "train")
        except FaultyConfigError as fault:
            faults[" ".join(job)] = fault.faults
    assert faults == {}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_sweep_uses_the_curated_data_set_by_default(sweep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HERITAGE_DATA", raising=False)
    job = jobs_of(sweep)[0]
    roots = {"curated": "outputs/data/collected", "demo": "outputs/data/demo", "met_ceramics": "/data"}
    for data, root in roots.items():
        chosen = [] if data == "curated" else [f"data={data}"]
        cfg = composed("train", [*job, *chosen, *NEEDED.get(f"data/{data}", [])])
        assert (cfg.hydra.runtime.choices.data, cfg.data.root) == (data, root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hydra:\n  sweeper:\n    params:\n      optimizer.lrr: 1,2\n", "did you mean 'lr'?"),
        ("hydra:\n  sweeper:\n    params:\n      modle: vit\n", "did you mean 'model'?"),
        ("hydra:\n  sweeper:\n    params:\n      model: vti,vit\n", "did you mean 'vit'?"),
        ("hydra:\n  sweeper:\n    parms:\n      seed: 1,2\n", "did you mean 'params'?"),
        ("balance:\n  samplin: 3\n", "did you mean 'sampling'?"),
        ("trainr:\n  max_epochs: 3\n", "did you mean 'trainer'?"),
    ],
)
def test_a_misspelt_key_in_a_sweep_file_is_rejected(
    heritage: Command, tmp_path: Path, text: str, expected: str
) -> None:
    folder = tmp_path / "mine" / "sweep"
    folder.mkdir(parents=True)
    (folder / "wrong.yaml").write_text(f"# @package _global_\n{text}")
    done = heritage("train", "-m", f"hydra.searchpath=[file://{folder.parent}]", "+sweep=wrong")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert expected in done.err
