"""The options of ``conf/collect.yaml``, validated."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heritage.collection.record import Size
from heritage.collection.rules import ClassRules, require_class
from heritage.config.faults import FaultyConfigError
from heritage.core.types import PositiveFloat, PositiveInt, Seed


class CacheOptions(BaseModel):
    """The cache of records; ``path`` None disables it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path | None
    max_age_days: PositiveFloat


class CollectionOptions(BaseModel):
    """What to collect and how; ``conf/collect.yaml`` explains each option."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    folder: Path
    classes: Annotated[list[str], Field(min_length=1)] | None
    limit: PositiveInt | None
    views: PositiveInt
    size: Size
    min_side: PositiveInt
    placeholders: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    seed: Seed
    ids: Path | None
    since: datetime.date | Literal["last"] | None
    retry: Literal["failed"] | None
    refresh: bool
    dry_run: bool
    report: str | None
    cache: CacheOptions

    def selected_classes(self, rules: ClassRules) -> tuple[str, ...]:
        """Return the classes to collect, in the order of the collection's list.

        Raises:
            ConfigError: A class is unknown.
        """
        if self.classes is None:
            return rules.classes
        for name in self.classes:
            require_class(name, rules.classes, "classes")
        return tuple(name for name in rules.classes if name in self.classes)


def collection_options(values: dict[str, Any]) -> CollectionOptions:
    """Validate plain values.

    Raises:
        FaultyConfigError: One line for each invalid value.
    """
    try:
        return CollectionOptions.model_validate(values)
    except ValidationError as error:
        lines: dict[str, str] = {}
        for detail in error.errors(include_url=False):
            key = ".".join(
                str(part) for part in detail["loc"] if not str(part).startswith(("literal", "date", "list"))
            )
            lines.setdefault(key, f"{key}={detail['input']}: {str(detail['msg']).removeprefix('Input ')}")
        raise FaultyConfigError(list(lines.values())) from error
