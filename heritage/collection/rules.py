"""Class rules: map a museum's record to a class.

A rule has conditions on the record and a class. Of all matching rules those of the highest priority decide.
If they disagree, the object is a conflict; if none matches, it is unmapped. Neither gets a class.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from heritage.collection.record import Record, fold
from heritage.core.taxonomy import nearest
from heritage.core.types import Fraction
from heritage.errors import ConfigError


def _as_list(value: object) -> object:
    values = value if isinstance(value, list) else [value]
    return [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]


Words = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
"""Words or phrases, one of which must occur in the field as whole words; case and accents are ignored."""


class Conditions(BaseModel):
    """Conditions on a record; fields left out match everything.

    Attributes:
        department: Ids or names of departments.
        culture: The culture in the museum's words.
        period: The period in the museum's words.
        place: Where the object was made or found, in the museum's words.
        object_name: Kind of object.
        years: First and last year of a range that must contain the object's dating; None is open.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    department: Words | None = None
    culture: Words | None = None
    period: Words | None = None
    place: Words | None = None
    object_name: Words | None = None
    years: tuple[int | None, int | None] | None = None

    def match_all(self, record: Record) -> bool:
        """Return whether all conditions match."""
        return all(
            words is None or _contains_any(words, getattr(record, name)) for name, words in self._phrases()
        ) and (self.years is None or _within(self.years, record))

    def match_any(self, record: Record) -> bool:
        """Return whether at least one condition matches."""
        return any(
            words is not None and _contains_any(words, getattr(record, name))
            for name, words in self._phrases()
        ) or (self.years is not None and _within(self.years, record))

    def _phrases(self) -> list[tuple[str, list[str] | None]]:
        return [
            ("department", self.department),
            ("culture", self.culture),
            ("period", self.period),
            ("place", self.place),
            ("object_name", self.object_name),
        ]


class Rule(Conditions):
    """One rule.

    Attributes:
        name: Recorded with each image it labels.
        museum: The museum whose records it applies to.
        class_name: The class (``class`` in the file); None excludes the object.
        priority: The matching rules of the highest priority decide.
        unless: Conditions that disable the rule if one of them matches.
        share: Expected fraction of its departments' objects that it labels and that have a usable photograph;
            used by the plan only.
        seek: If False, no objects are read for this rule; it only labels objects read for other rules.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Annotated[str, Field(min_length=1)]
    museum: Annotated[str, Field(min_length=1)]
    class_name: str | None = Field(alias="class")
    priority: int = 0
    unless: Conditions | None = None
    share: Fraction | None = None
    seek: bool = True

    def applies(self, record: Record) -> bool:
        """Return whether the rule matches a record of its museum."""
        return self.match_all(record) and not (self.unless and self.unless.match_any(record))


@dataclass(frozen=True, slots=True)
class LabelDecision:
    """The decision of class rules about a record.

    Attributes:
        outcome: ``labelled``; ``unmapped`` if no rule matches; ``conflict`` if rules disagree; ``refused`` if
            a rule excludes the object.
        class_name: The class of a labelled object, else None.
        rule: Names of the deciding rules.
    """

    outcome: Literal["labelled", "unmapped", "conflict", "refused"]
    class_name: str | None
    rule: str


class ClassRules:
    """The classes of a collection and their rules.

    Args:
        name: The collection's name.
        classes: The class list; the class id in file names is the position, counted from 1.
        rules: The rules, in any order.

    Raises:
        ConfigError: A rule is malformed, names an unknown class or repeats a name.
    """

    def __init__(self, *, name: str, classes: list[str], rules: list[Rule]) -> None:
        self.name = name
        self.classes = tuple(classes)
        try:
            self._rules = tuple(TypeAdapter(list[Rule]).validate_python(rules))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"rule {place}: {first['msg']}",
                where=f"collection={name}",
                remedy="correct the rule, see docs/collecting.md",
            ) from error
        self._check()

    def _check(self) -> None:
        place = f"collection={self.name}"
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise ConfigError(
                "the class list is empty or repeats a class", where=place, remedy="list each class once"
            )
        names = [rule.name for rule in self._rules]
        for rule in self._rules:
            if rule.class_name is not None:
                require_class(rule.class_name, self.classes, f"{place}, rule {rule.name}")
            if names.count(rule.name) > 1:
                raise ConfigError(f"two rules have the name '{rule.name}'", where=place, remedy="rename one")

    @property
    def fingerprint(self) -> str:
        """Digest of the classes and rules: it changes whenever a label may change."""
        content = [list(self.classes), [rule.model_dump(mode="json") for rule in self._rules]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def class_id(self, class_name: str) -> int:
        """Return a class's id in file names."""
        return self.classes.index(class_name) + 1

    def rules_for(self, museum: str, classes: Sequence[str]) -> list[Rule]:
        """Return a museum's rules for these classes for which objects are read."""
        return [r for r in self._rules if r.museum == museum and r.class_name in classes and r.seek]

    def label(self, museum: str, record: Record) -> LabelDecision:
        """Label a record.

        Args:
            museum: The museum's code in rules.
            record: The record.
        """
        matching = [rule for rule in self._rules if rule.museum == museum and rule.applies(record)]
        if not matching:
            return LabelDecision("unmapped", None, "")
        top = max(rule.priority for rule in matching)
        deciding = [rule for rule in matching if rule.priority == top]
        names = ", ".join(rule.name for rule in deciding)
        classes = {rule.class_name for rule in deciding}
        if len(classes) > 1:
            return LabelDecision("conflict", None, names)
        (class_name,) = classes
        return LabelDecision("refused" if class_name is None else "labelled", class_name, names)


def require_class(name: str, classes: Sequence[str], where: str) -> None:
    """Check that the collection has a class.

    Raises:
        ConfigError: It has not; the message suggests the nearest name.
    """
    if name not in classes:
        near = nearest(name, classes)
        hint = f"did you mean {near}? " if near else ""
        raise ConfigError(
            f"unknown class '{name}'", where=where, remedy=f"{hint}this collection has {', '.join(classes)}"
        )


def _contains_any(words: list[str], text: str) -> bool:
    folded = fold(text)
    return any(re.search(rf"(?<!\w){re.escape(fold(word))}(?!\w)", folded) for word in words)


def _within(years: tuple[int | None, int | None], record: Record) -> bool:
    first, last = years
    if record.begin_year is None or record.end_year is None:
        return False
    return (first is None or record.begin_year >= first) and (last is None or record.end_year <= last)
