"""Names of files and folders that every file system takes."""

from __future__ import annotations

import re
import unicodedata

import pytest

from heritage.core.safe_names import LONGEST, clash_key, safe_name, safe_names

NAMES = [
    "egyptian", "Greek / Roman", "Greek _ Roman", "CON", "con", "nul.txt", "COM1 ", "lpt9.tar.gz", "aux.",
    "..", ".", "", " a ", "a", "A", "a.", ".hidden", "a:b", "a<b>|c?*\"", "x" * 300, "秦" * 200, "e\u0301",
    "\u00e9", "a\nb", "\u202eexe.gpj", "back\\slash", "ﬁne", "fine", "COM²", "-rf", "~", "mistakes.csv",
    "\ud800",
]  # fmt: skip
_WINDOWS = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")


def test_names_hold_on_every_file_system() -> None:
    names = safe_names(NAMES, reserved=("mistakes.csv",))
    assert set(names) == set(NAMES)
    for text, name in names.items():
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f\u202e\ud800-\udfff]', name), text
        assert not _WINDOWS.match(name), text
        assert name == name.strip(" ").rstrip("."), text
        assert not name.startswith(".")
        assert 0 < len(name.encode()) <= LONGEST
    folded = {unicodedata.normalize("NFC", name).casefold() for name in names.values()}
    assert len(folded) == len(NAMES)
    assert clash_key("mistakes.csv") not in {clash_key(name) for name in names.values()}
    assert names["egyptian"] == "egyptian"
    assert names["Greek / Roman"] == "Greek _ Roman"


def test_names_do_not_depend_on_later_texts() -> None:
    assert safe_names(NAMES[:5]) == dict(list(safe_names(NAMES).items())[:5])


@pytest.mark.parametrize(
    ("stem", "suffix", "name"),
    [
        ("vase", ".jpg", "vase.jpg"),
        ("CON", ".jpg", "CON_.jpg"),
        ("a ", ".jpg", "a .jpg"),
        ("", ".png", "_.png"),
    ],
)
def test_files_keep_their_suffix(stem: str, suffix: str, name: str) -> None:
    assert safe_name(stem, suffix) == name
    assert safe_name(stem * 300, suffix).endswith(suffix)
