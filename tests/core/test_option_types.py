"""What an annotation tells about the values of an option."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from heritage.core.option_types import UNKNOWN, Choice, FilePath, OptionType, option_type

NAME = OptionType(text=True)
PATH = OptionType(text=True, path=True)
NONE = type(None)


@dataclass
class Options:
    folder: FilePath
    size: int | None


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, NAME),
        (FilePath, PATH),
        (Path, PATH),
        (Choice, UNKNOWN),
        (Any, UNKNOWN),
        (int, OptionType(plain=frozenset({int}))),
        (FilePath | None, OptionType(text=True, path=True, plain=frozenset({NONE}))),
        (Annotated[str, Field(min_length=1)], NAME),
        (Annotated[float, Field(gt=0)] | None, OptionType(plain=frozenset({float, NONE}))),
        (Annotated[Any, bool | FilePath], OptionType(text=True, path=True, plain=frozenset({bool}))),
        (Annotated[Any, FilePath | list[FilePath]], OptionType(text=True, path=True, items=PATH)),
        (list[str] | None, OptionType(plain=frozenset({NONE}), items=NAME)),
        (Mapping[str, str], OptionType(values=NAME)),
        (dict[str, FilePath], OptionType(values=PATH)),
        (Literal["auto"] | bool, OptionType(plain=frozenset({bool}))),
    ],
)
def test_an_annotation_tells_what_an_option_takes(hint: Any, expected: OptionType) -> None:
    assert option_type(hint) == expected


def test_a_class_of_options_has_fixed_keys() -> None:
    keys = option_type(Options).keys or {}
    assert {name: option_type(hint) for name, hint in keys.items()} == {
        "folder": PATH,
        "size": OptionType(plain=frozenset({int, NONE})),
    }
