"""`import heritage`: what it offers, and that it does what the commands do."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import heritage
from heritage.api.overrides import option_overrides
from heritage.core.files import config_dir
from heritage.errors import CommandError, ConfigError, HeritageError
from heritage.runs.files import CONFIG_FILE, METRICS_FILE, PREDICTIONS_FILE
from tests.conftest import TINY, Command

PUBLIC = [
    "ArtefactDataModule",
    "Classifier",
    "Explanation",
    "HeritageError",
    "Prediction",
    "Predictions",
    "Predictor",
    "RunResult",
    "TrainingRun",
    "__version__",
    "build",
    "compose",
    "list_models",
    "list_options",
    "load",
    "open_features",
    "run",
]


def test_the_public_names_are_these() -> None:
    assert heritage.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(heritage))
    for name in PUBLIC:
        assert getattr(heritage, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        heritage.laod  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, heritage; print(sorted({'torch', 'numpy', 'hydra', 'omegaconf'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert heritage.__version__ == version("heritage")
    citation = (config_dir().parent / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {heritage.__version__}\n" in citation


@pytest.mark.parametrize("model", sorted(path.stem for path in (config_dir() / "model").glob("*.yaml")))
def test_compose_takes_every_model(model: str) -> None:
    cfg = heritage.compose("train", [f"model={model}"])
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert "hydra" not in cfg
    assert isinstance(plain, dict)
    assert plain["optimizer"]["lr"] > 0
    assert "/train/" in plain["paths"]["run"]


def test_compose_reports_an_error_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'vit'\?"):
        heritage.compose("train", ["model=vti"])
    with pytest.raises(ConfigError, match=r"did you mean 'depth'\?"):
        heritage.compose("train", model="vit", model__dpeth=3)
    with pytest.raises(ConfigError, match="there is no such recipe"):
        heritage.compose("train", "recipe=nope")
    with pytest.raises(CommandError, match=r"did you mean 'train'\?"):
        heritage.compose("trian")


def test_compose_leaves_an_application_of_hydra_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("a: 1\n")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        heritage.compose("train")
        assert compose("mine").a == 1


@pytest.mark.parametrize(
    "value",
    [
        "plain", "with space", "comma,separated", "equals=sign", "it's", 'say "so"', "back\\slash", "end\\",
        "a\\'b", "${not_me}", "C:\\photos", "true", "12", "null", "ümläut", "[list]", "{x}", "#tag",
        "a:b", "~x", "it\\\\'s\\\\",
        "tab\tx",
        3, 0.5, 1e-7, True, None, ["a b", 2], {"k e": "v,v"}, Path("a b/c"),
    ],
)  # fmt: skip
def test_values_arrive_as_they_are_given(value: Any) -> None:
    cfg = heritage.compose("curate", ["raw=class_folders"], raw__root=value)
    raw = OmegaConf.to_container(cfg.raw, resolve=False)
    assert isinstance(raw, dict)
    assert raw["root"] == (str(value) if isinstance(value, Path) else value)
    assert type(raw["root"]) is (str if isinstance(value, Path) else type(value))


def test_two_underscores_mean_a_dot() -> None:
    assert option_overrides({"data__root": "x", "seed": 1}) == ["data.root=x", "seed=1"]


def test_a_run_from_python_leaves_the_folder_of_the_command(
    tree: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    command: Command = request.getfixturevalue("heritage")
    words = [*TINY, "trainer.max_epochs=1"]
    ours = tmp_path / "python"
    result = heritage.run("train", *words, data__root=tree, hydra__run__dir=ours)
    theirs = tmp_path / "shell"
    assert command("train", *words, f"data.root={tree}", f"hydra.run.dir={theirs}").code == 0

    assert result.folder == ours
    names = [sorted(path.relative_to(one).as_posix() for path in one.rglob("*")) for one in (ours, theirs)]
    assert names[0] == names[1]
    assert (ours / PREDICTIONS_FILE).read_bytes() == (theirs / PREDICTIONS_FILE).read_bytes()
    for name in (CONFIG_FILE, ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"):
        texts = [(one / name).read_text().replace(str(one), "RUN") for one in (ours, theirs)]
        assert texts[0] == texts[1], name
    metrics = json.loads((theirs / METRICS_FILE).read_text())
    assert result.details | {"facts": {}} == metrics | {"facts": {}}  # they hold seconds
    assert result.metrics["macro_f1"] == metrics["macro_avg"]["f1"]
    assert result.metrics["recall/egyptian"] == metrics["classes"]["egyptian"]["recall"]
    assert result.report == ours / "report.md"
    assert "\n" not in repr(result)
    assert str(ours) in result._repr_html_()


def test_a_run_from_python_raises_what_the_command_prints(tmp_path: Path) -> None:
    with pytest.raises(HeritageError, match="no such folder"):
        heritage.run("train", *TINY, data__root=tmp_path / "nowhere", paths__outputs=tmp_path)
    with pytest.raises(HeritageError, match=r"did you mean 'model'\?"):
        heritage.run("train", "modle=vit")


def test_a_run_from_python_leaves_logging_as_it_was(tree: Path, tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers), logging.getLogger().level
    heritage.run("train", *TINY, "trainer.fast_dev_run=true", data__root=tree, paths__outputs=tmp_path)
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before


def test_a_multirun_from_python_returns_the_sweeps_folder(tree: Path, tmp_path: Path) -> None:
    words = [*TINY, "trainer.max_epochs=1"]
    result = heritage.run(
        "train", *words, "seed=0,1", multirun=True, data__root=tree, paths__outputs=tmp_path
    )
    assert result.folder is not None
    assert sorted(path.name for path in result.folder.iterdir() if path.is_dir()) == ["seed=0", "seed=1"]
    compared = heritage.run("compare", runs=[result.folder], intervals__resamples=20, paths__outputs=tmp_path)
    assert compared.report is not None
    assert compared.report.name == "comparison.html"


def test_options_are_listed() -> None:
    assert heritage.list_models("vit*") == ["vit", "vit_pretrained", "vit_thesis"]
    assert "demo" in heritage.list_options("data")
    assert heritage.list_options()["balance/loss"] == heritage.list_options("balance/loss")
    with pytest.raises(ConfigError, match=r"did you mean 'balance'\?"):
        heritage.list_options("balanec")


def test_results_name_the_files_of_their_command(run_folder: Path, photographs: Path, tmp_path: Path) -> None:
    common: dict[str, Any] = {"ckpt": run_folder, "paths__outputs": tmp_path, "quiet": True}
    table = heritage.run("predict", input=photographs, num_workers=0, out=tmp_path / "a" / "b.csv", **common)
    assert table.folder == tmp_path / "a"
    assert table.report is None
    evaluated = heritage.run("evaluate", "report.resamples=20", **common)
    assert evaluated.report is not None
    assert evaluated.report.name == "report.html"
    assert 0 <= evaluated.metrics["balanced_accuracy"] <= 1
    exported = heritage.run("export", format="safetensors", **common)
    assert exported.folder is not None
    assert (exported.folder / "model.safetensors").is_file()


def test_features_of_unreadable_images_are_nan(run_folder: Path, photographs: Path) -> None:
    features = heritage.load(run_folder, device="cpu").embed([photographs / "cut.jpg"])
    assert features.shape[0] == 1
    assert np.isnan(features).all()
