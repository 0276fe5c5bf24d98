"""Overrides that remove a required key, add an existing one, or give an empty path: one line each."""

from __future__ import annotations

import pytest

import heritage
from heritage.config.faults import FaultyConfigError

CASES = {
    "~seed": "~seed: train requires it; leave ~seed out, or give seed=…",
    "~paths": "~paths: train requires it; leave ~paths out",
    "~paths.run": "~paths.run: train requires it; leave ~paths.run out",
    "~optimizer.lr": r"~optimizer.lr: heritage\S+ requires it; leave .* out, or give optimizer.lr=…",
    "paths.run=": "paths.run=: an empty path; give a path, or leave paths.run out",
    "hydra.run.dir=''": "hydra.run.dir='': an empty path",
    "data.root=": "data.root=: an empty path",
    "hydra.run.dir=null": "hydra.run.dir=null: names no folder; leave hydra.run.dir out, or write .*=./null",
    "paths.run=null": "paths.run=null: names no folder",
    "+seed=3": r"\+seed=3: seed exists already; write seed=3",
}


@pytest.mark.parametrize("word", CASES)
def test_one_line_with_the_remedy(word: str) -> None:
    with pytest.raises(FaultyConfigError, match=CASES[word]) as fault:
        heritage.compose("train", ["data=class_folders", word])
    assert "Exception" not in str(fault.value)


def test_a_key_that_is_added_and_set() -> None:
    with pytest.raises(
        FaultyConfigError, match=r"data.root is given twice; keep one of them, without a plus"
    ):
        heritage.compose("train", ["+data.root=x", "data.root=y"])


def test_an_empty_path_from_python() -> None:
    with pytest.raises(FaultyConfigError, match=r"paths.run='': an empty path"):
        heritage.compose("train", paths__run="")


@pytest.mark.parametrize("word", ["!a=3", "a b=3", "=a=3", "seed=(", "{=3"])
def test_unreadable_words_name_no_class_of_the_parser(word: str) -> None:
    with pytest.raises(FaultyConfigError, match=r"cannot read|no key|seed") as fault:
        heritage.compose("train", [word])
    assert "Exception" not in str(fault.value)


def test_optional_keys_can_be_removed() -> None:
    assert "crop_pct" not in heritage.compose("train", ["~data.crop_pct"]).data
    with pytest.raises(FaultyConfigError, match=r"~data.stage: it is null already; leave ~data.stage out"):
        heritage.compose("train", ["~data.stage"])
