"""Licences of photographs: which permit publishing a copy, and what they require.

The table is exact. A licence that it does not list does not permit publication: museums' own terms,
non-commercial and no-derivatives licences, photographs in copyright, and those without a recorded licence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

_CC = "https://creativecommons.org"
_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
_ON_HUB = {"cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0"}
"""Identifiers of the Hugging Face hub for the licences of the table."""


@dataclass(frozen=True)
class Licence:
    """A licence that permits publishing a copy, resized, for any purpose.

    Attributes:
        identifier: Its SPDX identifier, or its usual name if it has none.
        url: Its text; empty if it has none.
        credit: Whether it requires naming the author.
    """

    identifier: str
    url: str
    credit: bool

    @property
    def hub(self) -> str:
        """Its identifier in the metadata of the Hugging Face hub; ``other`` if the hub has none."""
        lower = self.identifier.lower()
        return lower if lower in _ON_HUB else "other"


def _creative_commons() -> Iterator[tuple[str, Licence]]:
    for kind in ("by", "by-sa"):
        name = f"CC-{kind.upper()}"
        yield _key(name), Licence(name, f"{_CC}/licenses/{kind}/4.0/", credit=True)
        for version in _VERSIONS:
            licence = Licence(f"{name}-{version}", f"{_CC}/licenses/{kind}/{version}/", credit=True)
            for spelling in (f"{name}-{version}", f"{name}-{version} international", licence.url):
                yield _key(spelling), licence


def _key(text: str) -> str:
    """Return a licence in one spelling: lower case, without marks between words."""
    text = re.sub(r"^https?://(www\.)?", "", text.strip().casefold())
    return " ".join(
        re.split(r"[\s_\-/()]+", text.removesuffix("/legalcode").removesuffix("/deed.en"))
    ).strip()


_ZERO = Licence("CC0-1.0", f"{_CC}/publicdomain/zero/1.0/", credit=False)
_MARK = Licence("CC-PDM-1.0", f"{_CC}/publicdomain/mark/1.0/", credit=False)
_NO_KNOWN = Licence("No known copyright restrictions", "", credit=False)

_SPELLINGS: tuple[tuple[Licence, tuple[str, ...]], ...] = (
    (_ZERO, ("CC0", "CC0-1.0", "CC0 1.0 Universal", "Creative Commons Zero", _ZERO.url)),
    (
        _MARK,
        ("Public Domain", "Public Domain Mark", "Public Domain Mark 1.0", "PDM", "PDM 1.0", "PD",
         "CC-PDM-1.0", _MARK.url),
    ),
    (_NO_KNOWN, ("No known copyright", "No known copyright restrictions")),
)  # fmt: skip

OPEN_LICENCES: dict[str, Licence] = {
    **dict(_creative_commons()),
    **{_key(spelling): licence for licence, spellings in _SPELLINGS for spelling in spellings},
}
"""The licences that permit publication, by `_key` of their spellings."""

_WORDS = (
    (r"\bnc\b|non ?commercial", "permits non-commercial use only"),
    (r"\bnd\b|no ?deriv", "permits no derivatives, such as resized copies"),
    (r"in copyright|all rights reserved|©|\binc\b", "in copyright"),
)
"""Why a licence that is not in the table does not permit publication, for messages."""


def require_spdx(text: str) -> str:
    """Return a licence's SPDX identifier in its official spelling.

    Raises:
        ValueError: There is no such identifier.

    Example:
        >>> require_spdx("cc-by-4.0")
        'CC-BY-4.0'
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        if re.fullmatch(r"[A-Za-z0-9.+-]+", text):
            return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        pass
    raise ValueError(
        "is no SPDX identifier; write CC-BY-4.0, CC0-1.0, Apache-2.0, …, or LicenseRef-<name> for terms of "
        "your own (spdx.org/licenses)"
    )


SpdxLicence = Annotated[str, AfterValidator(require_spdx)]
"""An SPDX identifier of a licence, as an option."""


def open_licence(text: str | None) -> Licence | None:
    """Return the licence that a record names; None if it does not permit publication.

    Example:
        >>> open_licence("CC BY 4.0").identifier, open_licence("CC BY-NC 4.0")
        ('CC-BY-4.0', None)
    """
    return OPEN_LICENCES.get(_key(text or ""))


def refusal(text: str | None) -> str:
    """Return why a licence that `open_licence` does not know does not permit publication."""
    key = _key(text or "")
    if not key:
        return "no licence is recorded"
    return next((why for pattern, why in _WORDS if re.search(pattern, key)), "not an open licence")
