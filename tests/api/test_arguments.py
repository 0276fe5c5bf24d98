"""Wrong arguments from Python end in a `HeritageError` of one line, and nothing else is printed."""

from __future__ import annotations

import os
import re
import shutil
import traceback
from collections.abc import Callable
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

import heritage
from heritage.api import run as run_module
from heritage.api.overrides import option_overrides
from heritage.errors import ArgumentError, HeritageError
from heritage.prediction.arguments import require_count, require_probability
from tests.conftest import TINY


class Colour(Enum):
    RED = "red"


class Name(StrEnum):
    VIT = "vit"


WRONG: list[tuple[Callable[[], Any], type[HeritageError], str]] = [
    (lambda: heritage.run("train", [["model=vit"]]), ArgumentError, "not a value of type list"),  # type: ignore[list-item]
    (lambda: heritage.run("train", 3), ArgumentError, "not a value of type int"),  # type: ignore[arg-type]
    (lambda: heritage.run("train", "-m"), HeritageError, "multirun=True"),
    (lambda: heritage.run("train", "--config-dir=mine"), HeritageError, "hydra.searchpath"),
    (lambda: heritage.run(3), ArgumentError, "use one of new, collect"),  # type: ignore[arg-type]
    (lambda: heritage.run("trian"), HeritageError, "did you mean 'train'?"),
    (lambda: heritage.compose(None), ArgumentError, "use one of new, collect"),  # type: ignore[arg-type]
    (lambda: heritage.compose("train", None), ArgumentError, "NoneType"),  # type: ignore[arg-type]
    (lambda: heritage.compose("train", {"model": "vit"}), ArgumentError, "options by name: model='vit'"),
    (lambda: heritage.compose("train", [3]), ArgumentError, "not a value of type int"),  # type: ignore[list-item]
    (lambda: heritage.compose("train", ["model"]), HeritageError, "write model=<option>"),
    (lambda: heritage.compose("train", seed=1j), ArgumentError, "seed: an option cannot be a value of type"),
    (lambda: heritage.compose("train", data__root=b"x"), ArgumentError, "data.root: an option cannot be"),
    (lambda: heritage.compose("train", data={"classes": [object()]}), ArgumentError, "data.classes[0]: "),
    (lambda: heritage.compose("train", ["model=vit,resnet18"]), HeritageError, "multirun=True"),
    (lambda: heritage.run("train", "data.classes=a,b"), HeritageError, "data.classes=[a,b]"),
    (lambda: heritage.compose("train", model=["vit", "resnet18"]), HeritageError, "multirun=True"),
    (lambda: heritage.run("train", "+sweep=balance_lab"), HeritageError, "multirun=True"),
    (lambda: heritage.run("evaluate"), HeritageError, "ckpt has no value; give ckpt=…"),
    (lambda: heritage.build({}), ArgumentError, 'heritage.compose("train")'),  # type: ignore[arg-type]
    (lambda: heritage.build("train"), ArgumentError, "not a str"),  # type: ignore[arg-type]
    (lambda: heritage.build(OmegaConf.create()), HeritageError, "not a configuration of train"),
    (lambda: heritage.build(heritage.compose("predict")), HeritageError, "not a configuration of train"),
    (lambda: heritage.list_options(3), ArgumentError, "group: it is a string"),  # type: ignore[call-overload]
    (lambda: heritage.list_models(3), ArgumentError, "pattern: it is a string"),  # type: ignore[arg-type]
    (lambda: heritage.load(None), ArgumentError, "give a run folder or a checkpoint"),  # type: ignore[arg-type]
    (lambda: heritage.load("nowhere"), HeritageError, "no such checkpoint"),
    (lambda: heritage.load("x", threshold="a"), ArgumentError, "a number, not a str"),  # type: ignore[arg-type]
    (lambda: heritage.load("x", device=3), ArgumentError, "device: "),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_arguments_end_in_one_line(
    call: Callable[[], Any],
    kind: type[HeritageError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert "command line" not in text
    assert isinstance(caught.value, TypeError) == (kind is ArgumentError)
    assert capfd.readouterr() == ("", "")


def test_a_failed_run_raises_its_own_error_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(_: DictConfig) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(run_module, "load", lambda verb: fail)
    with pytest.raises(ZeroDivisionError) as caught:
        heritage.run("evaluate", "ckpt=x")
    shown = "".join(traceback.format_exception(caught.value))
    assert "fail" in shown
    assert "TaskError" not in shown
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5), (np.float32(0.25), 0.25), (np.int64(3), 3), (np.bool_(True), True),
        (np.str_("a b"), "a b"), (np.array([1, 2]), [1, 2]), (np.array([[0.5]]), [[0.5]]),
        (torch.tensor(3), 3), (torch.tensor([0.5, 1.0]), [0.5, 1.0]), (torch.tensor(True), True),
        ([Path("a b"), np.int32(1)], ["a b", 1]), ({"k": np.float64(2.0)}, {"k": 2.0}), (range(3), [0, 1, 2]),
        ((name for name in ("x", "y")), ["x", "y"]), ({"a": 1}.keys(), ["a"]), ({3, 1}, [1, 3]),
        (Colour.RED, "red"), (Name.VIT, "vit"), (OmegaConf.create({"a": [1]}), {"a": [1]}),
        (OmegaConf.create([1, "b"]), [1, "b"]), (float("inf"), float("inf")),
    ],
)  # fmt: skip
def test_values_of_other_libraries_become_plain(value: Any, expected: Any) -> None:
    cfg = heritage.compose("curate", ["raw=class_folders"], raw__root=value)
    node = OmegaConf.to_container(cfg.raw, resolve=False)
    assert isinstance(node, dict)
    assert node["root"] == expected
    assert type(node["root"]) is type(expected)


def test_float_overrides_keep_every_digit() -> None:
    assert option_overrides({"lr": np.float64(0.1)}) == ["lr=0.1"]


@pytest.mark.parametrize("flag", ["multirun", "quiet"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_flag_is_true_or_false(flag: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=rf"^{flag}: it is True or False, not a value of type \w+; give "):
        heritage.run("train", **{flag: value})


@pytest.mark.parametrize("check", [require_count, require_probability])
def test_a_boolean_is_no_number(check: Callable[[str, object], None]) -> None:
    with pytest.raises(ArgumentError, match=r"^size: .* not a bool; give "):
        check("size", True)
    check("size", 1)


def test_a_folder_of_runs_names_the_newest(tmp_path: Path) -> None:
    day = tmp_path / "train" / "2026-01-01"
    for number, name in enumerate(("10-00-00_b", "09-00-00_a")):
        file = day / name / "checkpoints" / "best.ckpt"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
        os.utime(file, (number, number))
    for folder in (tmp_path, day.parent, day):
        with pytest.raises(HeritageError, match=re.escape(f"newest run below it is {day / '09-00-00_a'}")):
            heritage.load(folder)


def test_results_are_shown_in_one_short_line(run_folder: Path, tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "-".join(["long"] * 30)
    shutil.copytree(run_folder, folder)
    result = heritage.RunResult("train", folder)
    cfg = heritage.compose("train", list(TINY), data__root=tree, hydra__run__dir=folder / "other")
    run = heritage.build(cfg)
    for value in (result, run, run.data):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 160, repr(value)
        assert "<table>" in value._repr_html_()
    assert str(folder) in result._repr_html_()
    assert repr(run.data) == str(run.data)
    assert "byzantium" in run.data._repr_html_()
    assert "54 train, 16 val, 10 test" in repr(run.data)
    with pytest.raises(HeritageError, match=r"the network is not trained; call fit\(\) first"):
        run.test()


def test_compose_and_run_take_words_and_lists() -> None:
    words = ["model=vit", "seed=3"]
    for given in (words, [words], [words[:1], words[1]], [tuple(words)], [iter(words)]):
        cfg = heritage.compose("train", *given)
        assert (cfg.model._target_, cfg.seed) == ("heritage.models.vit_sizes.vit", 3)
    for given in (["seed=x"], [["seed=x"]]):
        with pytest.raises(HeritageError, match=r"seed=x: .*give a whole number"):
            heritage.run("train", *given)
