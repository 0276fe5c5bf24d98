"""`heritage new`: a folder with a configuration that composes; nothing is overwritten."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import heritage as package
from heritage.project import create
from tests.conftest import Command


@pytest.mark.parametrize("name", ["my-project", "Meine Töpfe", "l'été=1, 'x'"])
def test_a_project_with_any_name(heritage: Command, tmp_path: Path, name: str) -> None:
    done = heritage("new", name)
    assert done.code == 0, done.err
    folder = tmp_path / name
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["README.md", "conf/experiment/project.yaml"]
    assert (folder / "photographs").is_dir()
    assert f"cd {shlex.quote(name)}\n" in done.out
    assert {path.name for path in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize("found", [None, "ImageNet weights of the extra heritage[weights]"])
def test_the_configuration_is_that_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    monkeypatch.setattr(create, "weights_found", lambda: found)
    printed = create.create_project(tmp_path / "vases")
    monkeypatch.chdir(tmp_path / "vases")
    cfg = package.compose("train", ["+experiment=project", "hydra.searchpath=[file://conf]"])
    assert cfg.model.weights == ("none" if found is None else "pretrained")
    assert cfg.data.root == "outputs/data/vases"
    assert cfg.optimizer.lr == (2e-3 if found is None else 5e-4)
    assert ("from scratch" in printed) == (found is None)
    assert "heritage[weights]" in printed


def test_the_two_values_that_the_file_names_start_from_pretrained_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "weights_found", lambda: None)
    printed = create.create_project(tmp_path / "vases")
    assert "heritage new again" not in printed
    assert "conf/experiment/project.yaml" in printed
    monkeypatch.chdir(tmp_path / "vases")
    file = Path("conf/experiment/project.yaml")
    changed = re.sub(
        r"(\w+) +# with ImageNet weights: (\w+)", lambda found: found[2], file.read_text(encoding="utf-8")
    )
    file.write_text(changed, encoding="utf-8")
    cfg = package.compose("train", ["+experiment=project", "hydra.searchpath=[file://conf]"])
    assert (cfg.model.name, cfg.model.weights) == ("tf_efficientnet_lite0.in1k", "pretrained")


def test_nothing_is_overwritten(heritage: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    done = heritage("new", "mine")
    assert done.code == 2
    assert done.err == "heritage new: mine: it exists already; choose another name; nothing is overwritten\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_name_is_needed(heritage: Command, tmp_path: Path) -> None:
    done = heritage("new")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert list(tmp_path.iterdir()) == []
