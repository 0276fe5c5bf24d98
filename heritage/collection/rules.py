"""Class rules: what a museum says of an object → a class, or an honest "not known".

A rule holds conditions on the record and the class it gives. Of all rules that hold, those of the
highest priority decide; where they disagree the object is a conflict, where none holds it is unmapped.
Neither is guessed at.
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
"""Words or phrases, one of which must stand in the field: whole, without regard to case and accents."""


class Conditions(BaseModel):
    """What must be true of a record. Fields left out do not matter.

    Attributes:
        department: The museum's department, as ids or names.
        culture: What the museum calls the culture.
        period: What the museum calls the period.
        place: Where the museum says that it was made or found.
        object_name: What kind of object it is.
        years: The first and last year between which the object was made entirely; null is open.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    department: Words | None = None
    culture: Words | None = None
    period: Words | None = None
    place: Words | None = None
    object_name: Words | None = None
    years: tuple[int | None, int | None] | None = None

    def hold(self, record: Record) -> bool:
        """Tell whether all conditions hold."""
        return all(
            words is None or _stands_in(words, getattr(record, name)) for name, words in self._wordings()
        ) and (self.years is None or _within(self.years, record))

    def any_holds(self, record: Record) -> bool:
        """Tell whether one condition holds."""
        return any(
            words is not None and _stands_in(words, getattr(record, name)) for name, words in self._wordings()
        ) or (self.years is not None and _within(self.years, record))

    def _wordings(self) -> list[tuple[str, list[str] | None]]:
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
        name: Kept with each image it labels.
        museum: The museum whose records it reads.
        class_name: The class it gives (``class`` in the file); null sets the object aside.
        priority: The highest of the rules that hold decides.
        unless: Conditions one of which takes the rule out.
        share: The share of its departments' objects that it is expected to label and that have a usable
            photograph; for the plan alone.
        seek: False where objects are not read for this rule's sake: it labels what is met on the way.
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
        """Tell whether the rule holds for a record of its museum."""
        return self.hold(record) and not (self.unless and self.unless.any_holds(record))


@dataclass(frozen=True, slots=True)
class LabelDecision:
    """What the rules say of a record.

    Attributes:
        outcome: ``labelled``; ``unmapped`` where no rule holds; ``conflict`` where rules disagree;
            ``refused`` where a rule sets the object aside.
        class_name: The class, where it is labelled.
        rule: The names of the rules that decided.
    """

    outcome: Literal["labelled", "unmapped", "conflict", "refused"]
    class_name: str | None
    rule: str


class ClassRules:
    """The classes of a collection and the rules that give them.

    Args:
        name: The collection's name.
        classes: The class list; a class's id in file names is its position, counted from 1.
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
            raise ConfigError("its classes are empty or repeated", where=place, remedy="list each class once")
        names = [rule.name for rule in self._rules]
        for rule in self._rules:
            if rule.class_name is not None:
                require_class(rule.class_name, self.classes, f"{place}, rule {rule.name}")
            if names.count(rule.name) > 1:
                raise ConfigError(f"two rules are called '{rule.name}'", where=place, remedy="rename one")

    @property
    def fingerprint(self) -> str:
        """A digest that changes whenever a label could."""
        content = [list(self.classes), [rule.model_dump(mode="json") for rule in self._rules]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def class_id(self, class_name: str) -> int:
        """Return a class's id in file names."""
        return self.classes.index(class_name) + 1

    def of(self, museum: str, classes: Sequence[str]) -> list[Rule]:
        """Return a museum's rules that objects are read for, of these classes."""
        return [r for r in self._rules if r.museum == museum and r.class_name in classes and r.seek]

    def label(self, museum: str, record: Record) -> LabelDecision:
        """Say what a record is.

        Args:
            museum: The code that rules know the museum by.
            record: The record.
        """
        found = [rule for rule in self._rules if rule.museum == museum and rule.applies(record)]
        if not found:
            return LabelDecision("unmapped", None, "")
        top = max(rule.priority for rule in found)
        deciding = [rule for rule in found if rule.priority == top]
        names = ", ".join(rule.name for rule in deciding)
        classes = {rule.class_name for rule in deciding}
        if len(classes) > 1:
            return LabelDecision("conflict", None, names)
        (class_name,) = classes
        return LabelDecision("refused" if class_name is None else "labelled", class_name, names)


def require_class(name: str, classes: Sequence[str], where: str) -> None:
    """Refuse a class that the collection lacks.

    Raises:
        ConfigError: With the nearest right name.
    """
    if name not in classes:
        near = nearest(name, classes)
        hint = f"did you mean {near}? " if near else ""
        raise ConfigError(
            f"unknown class '{name}'", where=where, remedy=f"{hint}this collection has {', '.join(classes)}"
        )


def _stands_in(words: list[str], text: str) -> bool:
    folded = fold(text)
    return any(re.search(rf"(?<!\w){re.escape(fold(word))}(?!\w)", folded) for word in words)


def _within(years: tuple[int | None, int | None], record: Record) -> bool:
    first, last = years
    if record.begin_year is None or record.end_year is None:
        return False
    return (first is None or record.begin_year >= first) and (last is None or record.end_year <= last)
