"""File and folder names that every file system takes, for text of other people such as class names.

The names hold on Linux, macOS and Windows, on exFAT sticks and on shares: no separators or reserved
characters, no name that Windows keeps for devices, no hidden file, at most 100 bytes, and no two names that
differ only in case or in the form of their Unicode characters.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Container, Iterable

from heritage.errors import HIDDEN

LONGEST = 100
"""Bytes of a name in UTF-8; file systems take 255, but whole paths on Windows only 260 characters."""

_RESERVED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_DEVICES = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\s*\.|\s*$)", re.IGNORECASE
)
_HASH = 9  # bytes of a hyphen and a hash


def safe_name(text: str, suffix: str = "") -> str:
    """Return a name for a file or folder.

    Args:
        text: The name without suffix, any text.
        suffix: The suffix with its dot, such as ``.jpg``.

    Example:
        >>> safe_name("Greek / Roman"), safe_name("CON"), safe_name("..")
        ('Greek _ Roman', 'CON_', '_')
    """
    suffix = _plain(suffix)[: LONGEST // 4]
    name = _plain(unicodedata.normalize("NFC", text))
    if not suffix:
        name = name.rstrip(" .")
    name = name.lstrip(" ").lstrip(".") or "_"
    if _DEVICES.match(name):
        name = re.sub(r"^([^.]*?)\s*(?=\.|$)", r"\1_", name, count=1)
    return _shortened(name, LONGEST - len(suffix.encode()), text) + suffix


def safe_names(texts: Iterable[str], reserved: Iterable[str] = ()) -> dict[str, str]:
    """Return a different name for each text; names that would clash end in a hash of their text.

    Args:
        texts: The texts.
        reserved: Names of other files in the folder.
    """
    names: dict[str, str] = {}
    taken = set(map(clash_key, reserved))
    for text in dict.fromkeys(texts):
        name = unclashing(safe_name(text), text, taken)
        taken.add(clash_key(name))
        names[text] = name
    return names


def unclashing(name: str, text: str, taken: Container[str]) -> str:
    """Return a name, before whose suffix a hash is added where it clashes with taken ones.

    Args:
        name: A safe name.
        text: What the hash is of, such as the path of a file.
        taken: The keys (`clash_key`) of other names in the folder.
    """
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number, chosen = 0, name
    while clash_key(chosen) in taken:
        digest = _digest(text if number == 0 else f"{text}\0{number}")
        chosen = f"{_cut(stem, LONGEST - _HASH - len((dot + suffix).encode()))}-{digest}{dot}{suffix}"
        number += 1
    return chosen


def clash_key(name: str) -> str:
    """Return what two names have in common that a file system may take for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _plain(text: str) -> str:
    return HIDDEN.sub("_", _RESERVED.sub("_", text.encode("utf-8", "replace").decode()))


def _shortened(name: str, longest: int, text: str) -> str:
    """Cut a long name and add a hash of the whole text."""
    if len(name.encode()) <= longest:
        return name
    return f"{_cut(name, longest - _HASH)}-{_digest(text)}"


def _cut(name: str, longest: int) -> str:
    return name.encode()[:longest].decode(errors="ignore").rstrip(" .")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
