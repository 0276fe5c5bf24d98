"""What a saved configuration must look like before any of it is used.

Only what later code relies on is checked here: that sections are mappings, and the types and ranges of values
that are read directly. Arguments of functions are checked by `heritage.config.saved_parts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from os import PathLike
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from heritage.core.files import PACKAGE
from heritage.core.types import CropPct, ImageSize, NonNegativeInt, PositiveInt, Precision
from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_config
from heritage.runs.plain_data import PlainDataError, plain_data

Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
_Section = dict[str, Any]
_STRICT: Any = {"strict": True, "extra": "allow"}

REQUIRED = (
    "model", "balance", "optimizer", "seed", "trainer", "trainer.precision",
    "data", "data.root", "data.image_size", "data.crop_pct", "data.reader", "data.split",
)  # fmt: skip
"""Keys that a checkpoint's configuration needs."""


@with_config(_STRICT)
class _Data(TypedDict, total=False):
    root: str
    classes: list[str] | None
    image_size: ImageSize | None
    crop_pct: CropPct
    batch_size: PositiveInt
    num_workers: NonNegativeInt | None
    reader: _Section
    split: _Section


@with_config(_STRICT)
class _Balance(TypedDict, total=False):
    sampling: _Section | None
    weighting: _Section | None
    loss: _Section | None
    schedule: _Section | None


@with_config(_STRICT)
class _Trainer(TypedDict, total=False):
    precision: Precision


@with_config(_STRICT)
class _Best(TypedDict, total=False):
    monitor: str
    mode: str


@with_config(_STRICT)
class _Callbacks(TypedDict, total=False):
    best: _Best | None


@with_config(_STRICT)
class _Paths(TypedDict, total=False):
    run: str


@with_config(_STRICT)
class _Config(TypedDict, total=False):
    seed: Seed
    paths: _Paths
    data: _Data
    balance: _Balance
    model: _Section
    optimizer: _Section
    finetune: _Section
    trainer: _Trainer
    callbacks: _Callbacks
    objective: str | None


def checked_config(config: Any, where: str | PathLike[str], *, complete: bool = False) -> dict[str, Any]:
    """Return a saved configuration as plain data, with the names of this version.

    Args:
        config: The configuration as read from the file.
        where: The file, for messages.
        complete: Whether it must have all sections that a checkpoint needs.

    Raises:
        CheckpointError: It is no configuration of a training run.
    """
    remedy = "give one that `heritage train` wrote" if complete else "restore the file"
    try:
        plain = plain_data(config)
    except PlainDataError as error:
        raise CheckpointError(f"unreadable configuration ({error})", where=where, remedy=remedy) from error
    if not isinstance(plain, Mapping):
        raise CheckpointError("unreadable configuration (not a mapping)", where=where, remedy=remedy)
    upgraded: dict[str, Any] = upgrade_config(plain)
    try:
        _adapter().validate_python(upgraded)
    except ValidationError as error:
        raise CheckpointError(
            f"unreadable configuration ({first_fault(error)})", where=where, remedy=remedy
        ) from error
    if complete and (missing := [name for name in REQUIRED if not _has(upgraded, name)]):
        raise CheckpointError(f"its configuration lacks {', '.join(missing)}", where=where, remedy=remedy)
    if complete and (pretended := next((name for name in _targets(upgraded) if not _may_be(name)), None)):
        raise CheckpointError(
            f"it names {pretended[:100]}, which this package does not define", where=where, remedy=remedy
        )
    return upgraded


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(target := node.get("_target_"), str):
            yield target
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _may_be(target: str) -> bool:
    """Return whether a name is another package's, or that of a function or class that ours defines.

    Names of other packages may be the user's own loss or augmentation, which later commands never look up.
    Nothing is imported.
    """
    top, *parts = target.split(".")
    if top != PACKAGE.name:
        return True
    if not parts or not all(part.isidentifier() for part in parts):
        return False
    *folders, name = parts
    path = PACKAGE.joinpath(*folders)
    defined = rf"^(?:def|class) {name}\b|^from {PACKAGE.name}\.\S+ import .*\b{name}\b"
    files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return any(re.search(defined, file.read_text(encoding="utf-8"), re.MULTILINE) for file in files)


def _has(config: Mapping[str, Any], key: str) -> bool:
    section, _, name = key.partition(".")
    return section in config and (not name or name in config[section])


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a validation in a few words."""
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("dict[", "list[")))
    return f"{place}: {fault['msg'].removeprefix('Input ')}"


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(_Config)
