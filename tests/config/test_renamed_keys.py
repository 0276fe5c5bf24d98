"""A key of an earlier version ends in a line that names the new one, wherever it is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from heritage.config.compose import options
from heritage.config.faults import did_you_mean
from heritage.runs.compat import RENAMED_CHOICES, RENAMED_KEYS, RENAMED_OPTIONS
from tests.config.test_composition import FILES, NEEDED
from tests.conftest import Command

NEW = "it is now called 'target_precision'"
EXPERIMENT = "# @package _global_\nwished_precision: 0.8\n"
SWEEP = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      {key}: 0.8,0.9\n"


@pytest.mark.parametrize("old", RENAMED_KEYS)
def test_each_new_key_exists_and_the_old_one_does_not(old: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    assert any(f"{RENAMED_KEYS[old]}:" in text for text in texts)
    assert not any(f"{old}:" in text for text in texts)


@pytest.mark.parametrize("many", [[], ["-m", "seed=0,1"]])
@pytest.mark.parametrize(
    "word",
    [
        "wished_precision=0.8",
        "+wished_precision=0.8",
        "++wished_precision=0.8",
        "~wished_precision",
        "wished_precision=null",
    ],
)
def test_an_override(heritage: Command, tiny: tuple[str, ...], word: str, many: list[str]) -> None:
    base = [other for other in tiny if "precision" not in other or "trainer" in other]
    done = heritage("train", *many[:1], *base, *many[1:], word)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith(f"heritage train: {word.split('=')[0].lstrip('+')}")
    assert NEW in done.err


@pytest.mark.parametrize("word", ["limits.answer_seconds=3", "+limits.answer_seconds=3"])
def test_an_override_within_a_group(heritage: Command, word: str) -> None:
    done = heritage("serve", *NEEDED["serve"], word)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert done.err.startswith("heritage serve: limits.answer_seconds")
    assert "it is now called 'response_seconds'" in done.err


@pytest.mark.parametrize("old", RENAMED_OPTIONS)
def test_an_option_of_a_command(heritage: Command, old: str) -> None:
    verb = {"report": "evaluate", "explain": "explain", "source": "collect"}[old.partition(".")[0]]
    options = ["report=nowhere.csv"] if verb == "collect" else ["ckpt=nowhere"]
    done = heritage(verb, *options, f"{old}=3")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert f"{old}=3: it is now called '{RENAMED_OPTIONS[old]}'" in done.err
    done = heritage(verb, *options, f"{RENAMED_OPTIONS[old]}=3")
    assert ("should match pattern" if verb == "collect" else "no such checkpoint") in done.err


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("experiment", EXPERIMENT),
        ("sweep", EXPERIMENT),
        ("sweep", SWEEP.format(key="wished_precision")),
        ("sweep", SWEEP.format(key="+wished_precision")),
    ],
)
def test_an_experiment_or_sweep_file(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, group: str, text: str
) -> None:
    folder = tmp_path / "mine" / group
    folder.mkdir(parents=True)
    (folder / "old.yaml").write_text(text)
    search = f"hydra.searchpath=[file://{folder.parent}]"
    done = heritage("train", "-m", *tiny, "seed=0,1", search, f"+{group}=old")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1, done.err
    assert NEW in done.err


@pytest.mark.parametrize("group", RENAMED_CHOICES)
def test_an_option_of_a_group(heritage: Command, group: str) -> None:
    for old, new in RENAMED_CHOICES[group].items():
        done = heritage("train", f"{group}={old}")
        assert done.code == 2
        assert done.err.strip() == f"heritage train: {group}={old}: it is now called '{new}'"
        assert new in options(group)


def test_a_renamed_key_is_not_suggested_elsewhere() -> None:
    assert did_you_mean("wished_precision", ["target_precision", "precision"]) == NEW
    assert "now called" not in did_you_mean("wished_precision", ["batch_size", "root"])
