"""Faults of a configuration, each in one line with the nearest valid name."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from heritage.core.taxonomy import nearest, suggestion
from heritage.errors import ConfigError
from heritage.runs.compat import RENAMED_KEYS

OTHER_PROGRAMS = {
    "pretrained": "model.weights=pretrained",
    "device": "trainer=gpu",
    "gpu": "trainer=gpu",
    "gpus": "trainer=gpu",
}
"""Options of other training programs, each with ours."""

_SOURCES = {"raw": "data", "data": "raw"}
"""The group of what a command reads, by the group that other commands have for it."""

_OUTPUT = {"collect": "folder", "curate": "out", "predict": "out", "export": "out"}
"""The option of a command's output; of others ``hydra.run.dir``, if they write a folder."""
_NO_OUTPUT = ("serve", "weights")
_OUTPUT_NAMES = re.compile(
    r"(out|output|outputs|save|result|results|log|logs|run)(_?(dir|folder|path))?|dir|folder|path"
)


_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*(?:\.\.\.?|-|–|:|to)\s*({_NUMBER})")
_WHOLE = re.compile(r"-?\d+")


class FaultyConfigError(ConfigError):
    """All faults of a configuration.

    Attributes:
        faults: One line each.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(" | ".join(self.faults), where="configuration", remedy="correct these options")

    def __str__(self) -> str:
        return self.what

    def __reduce__(self) -> tuple[object, ...]:
        return FaultyConfigError, (self.faults,)


def right_key(verb: str, word: str, known: Collection[str], elsewhere: Iterable[str] = ()) -> str:
    """Return what to write for an unknown key of a command's top level, as `did_you_mean`.

    Args:
        verb: The command: names such as ``output_dir`` give the option of its output.
        word: The unknown key.
        known: The keys of the top level.
        elsewhere: Full keys and groups of other places.
    """
    if verb not in _NO_OUTPUT and (_OUTPUT_NAMES.fullmatch(word.lower()) or word == "name"):
        return f"did you mean {_OUTPUT.get(verb, 'hydra.run.dir')}=<folder>?"
    if (source := _SOURCES.get(word)) in known:
        return f"did you mean '{source}'?"
    return did_you_mean(word, known, elsewhere)


def range_hint(key: str, text: str) -> str | None:
    """Return how the values of a range are run one after the other; None if a text is no range of numbers.

    Example:
        >>> range_hint("seed", "1..3"), range_hint("optimizer.lr", "0.1..0.5")
        ("write -m 'seed=range(1,4)' to run each of them", 'write -m optimizer.lr=0.1,0.5 to run both')
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or float(found[1]) >= float(found[2]):
        return None
    if _WHOLE.fullmatch(found[1]) and _WHOLE.fullmatch(found[2]):
        words = shlex.quote(f"{key}=range({found[1]},{int(found[2]) + 1})")
        return f"write -m {words} to run each of them"
    return f"write -m {shlex.quote(f'{key}={found[1]},{found[2]}')} to run both"


def did_you_mean(word: str, known: Iterable[str], elsewhere: Iterable[str] = ()) -> str:
    """Return ``"did you mean 'x'?"``, or the list to choose from if no name is close.

    A key of an earlier version gives the new name, if that is among the known ones.

    Args:
        word: The unknown name.
        known: The names that are valid in its place.
        elsewhere: Full keys and groups of other places, whose last parts are compared: ``lr`` finds
            ``optimizer.lr`` and ``epochs`` finds ``trainer.max_epochs``.
    """
    names = sorted(set(known))
    if RENAMED_KEYS.get(word) in names:
        return f"it is now called '{RENAMED_KEYS[word]}'"
    if (option := OTHER_PROGRAMS.get(word)) and option.partition("=")[0] in {*names, *elsewhere}:
        return f"did you mean {option}?"
    near = _in_another_place(word, elsewhere, exact=True) or nearest(word, names)
    near = near or _in_another_place(word, elsewhere, exact=False)
    if near:
        return f"did you mean '{near}'?"
    return suggestion(word, names) if names else "it takes no keys"


_SIMILAR = 0.75
"""Similarity of names that are suggested for another place, where a chance match is more likely."""


def _in_another_place(word: str, keys: Iterable[str], *, exact: bool) -> str | None:
    shortest = sorted(keys, key=lambda key: (key.count(".") + key.count("/"), len(key), key))
    names: dict[str, str] = {}
    for key in shortest:
        names.setdefault(_last(key), key)
    if exact:
        return names.get(word)
    for key in shortest:
        for part in _last(key).split("_"):
            names.setdefault(part, key)
    matches = difflib.get_close_matches(word, names, n=len(names) or 1, cutoff=_SIMILAR)
    return names[min(matches, key=lambda name: names[name].count("_"))] if matches else None


def _last(key: str) -> str:
    return key.replace("/", ".").rpartition(".")[2]
