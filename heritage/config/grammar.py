"""Hydra's grammar of values: write a value in it, parse one, and split lists and sweeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError

UNREADABLE = object()
"""What `parsed_value` returns for text that is not in the grammar."""

_BARE = re.compile(r"[A-Za-z_/][\w./-]*", re.ASCII)
_WORDS = {"true", "false", "null", "nan", "inf"}
_OPENING, _CLOSING = "([{", ")]}"


def literal(value: str | Sequence[str]) -> str:
    """Return text, or a list of texts, in Hydra's grammar.

    Example:
        >>> from heritage.config.grammar import literal
        >>> literal("my photographs"), literal(["a", "1"])
        ("'my photographs'", "[a,'1']")
    """
    if isinstance(value, str):
        return value if is_bare(value) else quoted(value)
    return f"[{','.join(map(literal, value))}]"


_KEY = re.compile(r"(?:[A-Za-z0-9_./+-]|\\[\\()\[\]{}:=, \t])(?:[A-Za-z0-9_./+ -]|\\[\\()\[\]{}:=, \t])*")
_KEY_ESCAPED = re.compile(r"[\\()\[\]{}:=, \t]")


def mapping(pairs: Sequence[tuple[str, str]]) -> str:
    r"""Return a mapping in Hydra's grammar.

    Its keys there are ASCII; with others the mapping is an interpolation, ``${mapping:…}``.

    Args:
        pairs: Each key as text, and its value in Hydra's grammar.

    Example:
        >>> from heritage.config.grammar import mapping
        >>> mapping([("new kingdom", "2"), ("islam", "1")])
        '{new\\ kingdom:2,islam:1}'
    """
    keys = [_KEY_ESCAPED.sub(r"\\\g<0>", key) for key, _ in pairs]
    if all(_KEY.fullmatch(key) for key in keys):
        return "{" + ",".join(f"{key}:{value}" for key, (_, value) in zip(keys, pairs, strict=True)) + "}"
    return quoted("${mapping:" + ",".join(f"{_in_interpolation(key)},{value}" for key, value in pairs) + "}")


def _in_interpolation(text: str) -> str:
    """Return text in the double quotes of an interpolation's arguments."""
    return (
        '"'
        + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + (r"\"" if found[2] else ""), escaped(text))
        + '"'
    )


def is_key(text: str) -> bool:
    """Return whether text may be a part of a key, ``key.part=value``."""
    return bool(re.fullmatch(r"[A-Za-z_][\w-]*|\d+", text, re.ASCII))


def resolve_mapping(*parts: Any) -> dict[str, Any]:
    """Return a mapping of alternating keys and values: the OmegaConf resolver ``${mapping:…}``."""
    return dict(zip(map(str, parts[::2]), parts[1::2], strict=True))


def mapping_items(text: str) -> list[tuple[str, str]] | None:
    """Return the keys of ``{key: value, …}`` and its values as they are written; None for other text."""
    if text[:1] != "{" or text[-1:] != "}":
        return None
    pairs = [piece.partition(":") for piece in split_values(text[1:-1])]
    if not all(colon and key.strip() and value.strip() for key, colon, value in pairs):
        return None
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def escaped(text: str) -> str:
    r"""Return text in which OmegaConf sees no interpolation: ``${`` becomes ``\${``."""
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)


def split_values(text: str) -> list[str]:
    """Split at the commas that are outside of quotes and brackets; brackets without a partner are text."""
    balanced = all(
        text.count(one) == text.count(other) for one, other in zip(_OPENING, _CLOSING, strict=True)
    )
    pieces, start, depth, position = [], 0, 0, 0
    while position < len(text):
        sign = text[position]
        if sign in "'\"" and not text[start:position].strip(" [({"):
            position = _end_of_quotes(text, position)
        elif balanced and sign in _OPENING:
            depth += 1
        elif balanced and sign in _CLOSING:
            depth -= 1
        elif sign == "," and depth == 0:
            pieces.append(text[start:position])
            start = position + 1
        position += 1
    return [*pieces, text[start:]]


def _end_of_quotes(text: str, start: int) -> int:
    """Return the position of the closing quote; the start if the quote is text, as in ``'t Hooft``."""
    found = re.compile(rf"(?:\\.|[^\\{text[start]}])*{text[start]}(?=\s*(?:[,\])}}]|$))", re.DOTALL)
    match = found.match(text, start + 1)
    return start if match is None else match.end() - 1


def parsed_value(value: str) -> Any:
    """Return what Hydra reads, quoted text as a `QuotedString`; `UNREADABLE` if it cannot."""
    try:
        return OverridesParser.create().parse_override(f"key={value}")._value  # noqa: SLF001  with quotes
    except HydraException:
        return UNREADABLE


def is_interpolation(text: str) -> bool:
    """Return whether OmegaConf can read text, with its interpolations."""
    try:
        OmegaConf.create([text])
    except GrammarParseError:
        return False
    return True


def is_bare(text: str) -> bool:
    """Return whether Hydra reads a value as this very text."""
    return bool(_BARE.fullmatch(text)) and text.lower() not in _WORDS


def quoted(text: str) -> str:
    """Return text in quotes."""
    # A quote, and the end, halves the backslashes before it.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text) + "'"
