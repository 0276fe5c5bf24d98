"""Record every `HeritageError` that the tests raise, and check the parts of its message."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from os import PathLike

import pytest

from heritage.config.faults import FaultyConfigError
from heritage.core.files import PACKAGE
from heritage.errors import HeritageError

_FORBIDDEN = {
    r"(?<!\$)\{[A-Za-z_][\w.!:()]*\}": "an unfilled placeholder",  # ${…} is the user's interpolation
    r"%\([a-z_]+\)": "an unfilled placeholder",
    r"\bNone\b": "Python's None",
    r"<(?:class|function|bound|module|generator|\w+ object)\b|\bat 0x[0-9a-f]+": "the repr of an object",
    r"\b(?:Posix|Windows)?Path\(|\b(?:Dict|List)Config\(|\b\w+Error\(|\bdtype\(|\bnp\.\w+\(|\bdict_keys\(":
        "the repr of an object",
    r"\btyping\.|\bFieldInfo\b|\bTraceback\b": "Python's internals",
}  # fmt: skip
_ANGLES = re.compile(r"<[a-z][a-z ]*>")
"""A placeholder for the reader, such as ``<run folder>``, is allowed in remedies only."""
_REMEDY = re.compile(r"; \w|\bshould\b")
"""A remedy of a wrong value: what to do, or what the value should be."""
_PLACE = re.compile(r"[\w+~./@'\[\]-]+[^:]*: \S|[\w.]+ (?:has no value|is missing)|cannot read '")


def faults_of(error: HeritageError) -> list[str]:
    """Return the parts that a message lacks."""
    if isinstance(error, FaultyConfigError):
        faults = [f"no key at its start: {line}" for line in error.faults if not _PLACE.match(line)]
        faults += [f"no remedy: {line}" for line in error.faults if not _REMEDY.search(line)]
        lines, what = list(error.faults), ""
    else:
        faults = [f"no {name}" for name in ("what", "where", "remedy") if not getattr(error, name).strip()]
        if error.where == "None":
            faults.append("no where")
        lines, what = [str(error)], error.what
    faults += [f"more than one line: {line}" for line in lines if "\n" in line]
    faults += [
        f"{word}: {line}"
        for line in lines
        for pattern, word in _FORBIDDEN.items()
        if re.search(pattern, line)
    ]
    if _ANGLES.search(what):
        faults.append(f"an unfilled placeholder: {error}")
    return [f"{type(error).__name__}: {fault} [{error}]" for fault in faults]


def _is_ours() -> bool:
    """Return whether the error being made comes from the package, not from a test."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in ("__init__", "_rebuild"):
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(str(PACKAGE))


@pytest.fixture(autouse=True)
def error_messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[HeritageError]]:
    """Fail a test that raises an error whose message names no place or remedy, or shows internals."""
    raised: list[HeritageError] = []
    original = HeritageError.__init__

    def record(self: HeritageError, what: str, *, where: str | PathLike[str], remedy: str) -> None:
        original(self, what, where=where, remedy=remedy)
        if _is_ours():
            raised.append(self)

    monkeypatch.setattr(HeritageError, "__init__", record)
    yield raised
    faults = [fault for error in raised for fault in faults_of(error)]
    assert not faults, "\n".join(faults)
