"""Hints for words that were probably meant otherwise: ranges of numbers, and values with blanks."""

from __future__ import annotations

import pytest

from heritage.config.faults import range_hint
from tests.conftest import Command


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1..3", "write -m 'x.y=range(1,4)' to run each of them"),
        ("0.1..0.5", "write -m x.y=0.1,0.5 to run both"),
        ("1e-4-1e-2", "write -m x.y=1e-4,1e-2 to run both"),
        ("0.1 to 1", "write -m x.y=0.1,1 to run both"),
        ("3..1", None),
        ("0.5", None),
        ("-1", None),
        ("1e-4", None),
        ("vit", None),
    ],
)
def test_a_range_of_numbers_is_written_for_a_multirun(text: str, hint: str | None) -> None:
    assert range_hint("x.y", text) == hint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("optimizer.lr=0.1..0.5",), "; write -m optimizer.lr=0.1,0.5 to run both"),
        (("paths.run=my", "new", "run"), "write 'paths.run=my new run', in quotes, for a value with blanks"),
        (("name=my run",), "has no key 'name'; did you mean hydra.run.dir=<folder>?"),
    ],
)
def test_the_command_shows_how_it_is_written(heritage: Command, words: tuple[str, ...], message: str) -> None:
    done = heritage("train", *words)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
