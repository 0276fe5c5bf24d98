"""Faults of a user's configuration files: all at once, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

import heritage as package
from heritage.errors import ConfigError
from tests.conftest import Command

HEAD = "# @package _global_\n"


def write(folder: Path, text: str | bytes, name: str = "experiment/mine.yaml") -> None:
    file = folder / "conf" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model: [a\n", "line 3, column 1: expected ',' or ']', but got '<stream end>'; correct the YAML"),
        (
            "model:\n\tname: a\n",
            "line 3, column 1: found character '\\t' that cannot start any token; indent with",
        ),
        ("seed: 3\nmodel: a: b\n", "line 3, column 9: mapping values are not allowed here; correct the YAML"),
        ("- seed: 3\n", "conf/experiment/mine.yaml: the file holds a list; write keys and values"),
        (
            "seed: abc\n",
            "line 2: seed: Value 'abc' of type 'str' could not be converted to Integer; give a whole",
        ),
        ("defaults:\n  - override /modle: vit\n", "there is no such group; did you mean 'model'?"),
        ("defaults:\n  - override /model: vti\n", "line 2: there is no model/vti; did you mean 'vit'?"),
        ("trainr:\n  max_epochs: 3\n", "line 2: trainr: train has no such key; did you mean 'trainer'?"),
        ("max_epochs: 3\n", "line 2: max_epochs: train has no such key; did you mean 'trainer.max_epochs'?"),
    ],
)
def test_a_fault_is_one_line_with_file_and_line(
    heritage: Command, tmp_path: Path, text: str, line: str
) -> None:
    write(tmp_path, HEAD + text)
    done = heritage("train", "--config-dir", "conf", "+experiment=mine")
    assert done.code == 2
    (only,) = done.err.splitlines()
    assert only.startswith("heritage train: conf/experiment/mine.yaml")
    assert line in only
    assert not (tmp_path / "outputs").exists()


def test_a_file_in_latin_1(heritage: Command, tmp_path: Path) -> None:
    write(tmp_path, HEAD.encode() + b"# \xe9\nseed: 3\n")
    done = heritage("train", "--config-dir=conf", "+experiment=mine")
    assert (done.code, done.err) == (
        2,
        "heritage train: conf/experiment/mine.yaml line 2: not UTF-8; save the file as UTF-8\n",
    )


def test_a_group_of_the_user_with_a_syntax_error(heritage: Command, tmp_path: Path) -> None:
    write(tmp_path, "name: [a\n", "model/mine.yaml")
    for words in (["model=mine"], ["--help", "model=mine"]):
        done = heritage("train", "--config-dir", "conf", *words)
        assert done.code == 2
        assert done.err.startswith("heritage train: conf/model/mine.yaml line 2, column 1: ")
        assert len(done.err.splitlines()) == 1


def test_all_typos_of_a_file_and_of_the_command_line_are_reported_at_once(
    heritage: Command, tmp_path: Path
) -> None:
    text = "trainr:\n  max_epochs: 3\nbalance:\n  samplin: 3\nmodel:\n  droprate: 0.1\nmodle: x\n"
    write(tmp_path, HEAD + text)
    done = heritage("train", "--config-dir", "conf", "+experiment=mine", "trainer.max_epochs=ten")
    assert done.code == 2
    file = "heritage train: conf/experiment/mine.yaml line"
    assert [line.split("; ")[0] for line in done.err.splitlines()] == [
        f"{file} 2: trainr: train has no such key",
        f"{file} 5: balance.samplin: 'balance' has no such key",
        f"{file} 8: modle: train has no such key",
        f"{file} 7: model.droprate: heritage.models.backbone.timm_network has no such key",
        "heritage train: trainer.max_epochs=ten: should be a valid integer",
    ]


def test_the_file_is_named_that_sets_the_key(tmp_path: Path, heritage: Command) -> None:
    write(tmp_path, HEAD + "data:\n  batch_size: 0\n", "experiment/base.yaml")
    write(tmp_path, HEAD + "defaults:\n  - base\n\nmodel:\n  droprate: 0.1\n", "experiment/mine.yaml")
    done = heritage("train", "--config-dir", "conf", "+experiment=mine", "optimizer.lr=-1")
    assert done.code == 2
    starts = ["conf/experiment/base.yaml line 3: data.batch_size=0: ",
              "conf/experiment/mine.yaml line 6: model.droprate: ", "optimizer.lr=-1: "]  # fmt: skip
    assert len(done.err.splitlines()) == len(starts)
    for start in starts:
        assert f"heritage train: {start}" in done.err
    # The command line wins, so the value is not that of the file.
    done = heritage("train", "--config-dir", "conf", "+experiment=base", "data.batch_size=-3")
    assert done.err.startswith("heritage train: data.batch_size=-3: ")


def test_from_python_the_message_is_the_same(tmp_path: Path) -> None:
    write(tmp_path, HEAD + "model: [a\n")
    words = [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "+experiment=mine"]
    with pytest.raises(ConfigError, match=r"mine\.yaml line 3, column 1: .*; correct the YAML"):
        package.compose("train", words)
    write(tmp_path, HEAD + "model:\n  droprate: 0.1\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml line 3: model\.droprate: .*did you mean 'drop_rate'"):
        package.run("train", *words, paths__outputs=tmp_path / "outputs")
    assert not list(tmp_path.glob("outputs/*"))
