"""Who made a publication and when, and how it is cited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from heritage.core.escaping import one_line


class Person(NamedTuple):
    """A creator: ``Family, Given`` or an organisation, with an ORCID or an empty string."""

    name: str
    orcid: str

    @property
    def family(self) -> str:
        """The family name; empty for an organisation."""
        name, comma, _ = self.name.partition(",")
        return name.strip() if comma else ""

    @property
    def given(self) -> str:
        """The given names; empty for an organisation."""
        return self.name.partition(",")[2].strip()


@dataclass(frozen=True)
class Citation:
    """What citations of a publication need beside its title.

    Attributes:
        creators: ``Family, Given`` or ``Family, Given; ORCID``; an organisation has no comma.
        date: The date of publication, as YYYY-MM-DD; None if it is not stated.
    """

    creators: Sequence[str] = ()
    date: str | None = None

    @property
    def people(self) -> list[Person]:
        """The creators."""
        pairs = (creator.partition(";") for creator in self.creators)
        return [Person(one_line(name.strip()), orcid.strip()) for name, _, orcid in pairs]

    @property
    def year(self) -> str | None:
        """The year of publication."""
        return None if self.date is None else self.date[:4]

    def bibtex(self, title: str, url: str | None = None) -> str | None:
        """Return an entry for BibTeX; None without creators.

        Example:
            >>> print(Citation(["Lovelace, Ada"], "2026-01-31").bibtex("Vases"))
            @misc{lovelace2026, author={Lovelace, Ada}, title={Vases}, year={2026}}
        """
        if not self.people:
            return None
        first = self.people[0].family or self.people[0].name
        key = "".join(sign for sign in first.lower() if sign.isascii() and sign.isalnum())
        names = " and ".join(
            _plain(person.name) if person.family else f"{{{_plain(person.name)}}}" for person in self.people
        )
        fields = {"author": names, "title": _plain(one_line(title)), "year": self.year, "url": url}
        body = ", ".join(f"{name}={{{value}}}" for name, value in fields.items() if value)
        return f"@misc{{{key or 'heritage'}{self.year or ''}, {body}}}"


def _plain(text: str) -> str:
    """Return text for a field of BibTeX: its special signs are escaped."""
    special = {sign: f"\\{sign}" for sign in "&%$#_"}
    return "".join(special.get(sign, "" if sign in "{}\\" else sign) for sign in text)
