"""A signature read from source is the one that importing gives."""

from __future__ import annotations

import re

import pytest
from hydra.utils import get_object

from heritage.config.signatures import _UnreadableError, imported_signature, parsed_signature, signature_of
from tests.config.test_composition import FILES

TARGETS = sorted(
    {name for path in FILES for name in re.findall(r"_target_: (\S+)", path.read_text(encoding="utf-8"))}
)
SLOW = ("heritage.data.", "heritage.models.", "heritage.training.")
"""Packages that import torch: all of their signatures must be readable."""


@pytest.mark.parametrize("target", TARGETS)
def test_a_parsed_signature_equals_the_imported_one(target: str) -> None:
    function = get_object(target)
    expected = imported_signature(function)
    try:
        parsed = parsed_signature(target)
    except _UnreadableError:
        assert not target.startswith(SLOW)
    else:
        assert dict(parsed.required) == dict(expected.required)
        assert parsed.open_ended == expected.open_ended
    for name, hint in expected.hints(expected.required.keys()).items():
        _, hints = signature_of(target, {name})
        assert repr(hints) == repr({name: hint})


@pytest.mark.parametrize(
    "target", ["heritage.no_such_module.f", "heritage.data.split.no_such_split", "no_such_package.f"]
)
def test_a_missing_target_raises_an_error(target: str) -> None:
    with pytest.raises(Exception, match="no_such") as caught:
        signature_of(target, set())
    assert type(caught.value).__name__ in ("InstantiationException", "ImportError", "ModuleNotFoundError")
