"""Validate a configuration against the signatures that it will call, before anything starts.

Every node with a ``_target_`` is checked against the signature of that function or class: unknown keys,
missing ones, and plain values of the wrong type or outside their range are all reported in one pass.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, get_type_hints

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from heritage.config.compose import keys_of
from heritage.config.faults import FaultyConfigError, did_you_mean, range_hint, right_key
from heritage.config.grammar import escaped, literal, quoted
from heritage.config.network_parts import NETWORK_PARTS, builder_node
from heritage.config.schema import SCHEMAS
from heritage.config.signatures import imported_signature, signature_of
from heritage.core.option_types import UNKNOWN, option_type
from heritage.core.types import NonNegativeInt, Seed

_HYDRA_KEYS = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}
_MISSING = "???"
_PLACES = {"curate": "out", "collect": "folder"}
"""Commands whose ``name`` is that of a folder, and the option of another folder."""
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*%")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_PLAIN = (bool, int, float, str, type(None))

SUPPLIED: dict[str, frozenset[str]] = {
    "data": frozenset({"train", "copies", "sampling", "seed"}),
    "model": frozenset({"num_classes", "image_size"}),
    "balance": frozenset({"counts", "weights"}),
}
"""Arguments, by group, that `heritage.training.build` adds itself: never given in a file."""


_SECTIONS = {
    "curate": ("cleaning", "duplicates", "groups", "split", "resize"),
    "evaluate": ("report",),
}
"""Sections that a command needs."""


def validate(cfg: DictConfig, verb: str) -> None:
    """Raise an error that lists every fault of a configuration, if there is one.

    Args:
        cfg: A composed configuration; it is not changed.
        verb: The command, whose schema defines the keys of the top level.

    Raises:
        FaultyConfigError: One line for each fault, with the key's path and the nearest valid name.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise FaultyConfigError([_unresolved(cfg, error)]) from error
    known = {field.name for field in dataclasses.fields(SCHEMAS[verb])}
    unknown = [str(key) for key in cfg if key not in known]
    elsewhere = [key for key in keys_of(cfg) if key not in unknown]
    faults = [f"{key}: {verb} has no such key; {right_key(verb, key, known, elsewhere)}" for key in unknown]
    faults += _faults("", plain, frozenset())
    if isinstance(plain, dict):
        faults += _top_level_faults(plain, verb)
    if faults:
        raise FaultyConfigError(faults)


def _top_level_faults(plain: Mapping[Any, Any], verb: str) -> Iterator[str]:
    """Yield faults of values that OmegaConf does not check: seeds, lists and names of folders."""
    if isinstance(plain.get("seed"), int):
        yield from _value_faults("seed", plain["seed"], Seed)
    if plain.get("workers", _MISSING) != _MISSING:
        yield from _value_faults("workers", plain["workers"], NonNegativeInt | None)
    hints = get_type_hints(SCHEMAS[verb], include_extras=True)
    for key, value in plain.items():
        kind = option_type(hints[key]) if key in hints else UNKNOWN
        if kind.items is not None and not kind.text and isinstance(value, str | int | float):
            yield f"{key}={_typed(value)}: should be a list; write {shlex.quote(f'{key}={_list_of(value)}')}"
    for key in _SECTIONS.get(verb, ()):
        if key in plain and plain[key] is None:
            yield f"{key}=null: should be a section; leave it out, or set {key}.<name>=<value>"
    name, place = plain.get("name"), _PLACES.get(verb)
    if (
        place
        and isinstance(name, str)
        and name != _MISSING
        and (name in ("", "..") or PurePath(name).name != name)
    ):
        yield f"name={name}: should be the name of a folder; write {place}=<folder> for another place"


def validate_options(target: str, options: Mapping[str, Any]) -> None:
    """Validate the options of a command's top level against the class that takes them.

    Args:
        target: The dotted name of a class or function.
        options: Its arguments, as plain data.

    Raises:
        FaultyConfigError: One line for each fault.
    """
    faults = [
        fault.removeprefix(".") for fault in _call_faults("", {"_target_": target, **options}, frozenset())
    ]
    if faults:
        raise FaultyConfigError(faults)


def value_faults(
    path: str, function: Callable[..., Any], values: Mapping[str, Any], *, strict: bool = False
) -> list[str]:
    """Return the faults of plain values that a function or class is to be called with.

    Args:
        path: The key of the configuration that holds the values.
        function: The function or class, with annotations.
        values: Values by argument.
        strict: Whether text that could be read as a number, or a number as a boolean, is a fault.
    """
    return _type_faults(path, imported_signature(function).hints(values.keys()), values, strict=strict)


def value_fault(path: str, value: Any, hint: Any) -> str | None:
    """Return the fault of one plain value of a saved configuration; None if it is of the type.

    Args:
        path: The key of the configuration that holds the value.
        value: The value.
        hint: Its type.
    """
    return next(_value_faults(path, value, hint, strict=True), None)


def _unresolved(cfg: DictConfig, error: OmegaConfBaseException) -> str:
    key = str(getattr(error, "full_key", None))
    what = str(error).partition("\n")[0]
    text: Any = OmegaConf.to_container(cfg, resolve=False)
    for part in key.split("."):
        text = text.get(part) if isinstance(text, dict) else None
    if not isinstance(text, str) or "${" not in text:
        return f"{key}: {what}"
    word = shlex.quote(f"{key}={quoted(escaped(text))}")
    return f"{key}={text}: {what}; correct the interpolation, or write {word} for a name with these signs"


def _type_faults(
    path: str, hints: Mapping[str, Any], values: Mapping[str, Any], *, strict: bool = False
) -> list[str]:
    return [
        fault
        for key in sorted(values.keys() & hints.keys())
        if values[key] != _MISSING and _is_plain(values[key])
        for fault in _value_faults(f"{path}.{key}", values[key], hints[key], strict=strict)
    ]


def _faults(path: str, node: Any, supplied: frozenset[str]) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield from _call_faults(path, node, supplied)
        for key, value in node.items():
            inner = f"{path}.{key}" if path else str(key)
            yield from _faults(inner, value, SUPPLIED.get(key, frozenset()) if not path else supplied)
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _faults(f"{path}[{position}]", value, supplied)
    elif isinstance(node, str) and node == _MISSING and not path.endswith("]"):
        yield f"{path} has no value; give {path}=…"


def _call_faults(path: str, node: Mapping[str, Any], supplied: frozenset[str]) -> Iterator[str]:
    target = str(node["_target_"])
    if path == "model":
        yield from _type_faults(path, NETWORK_PARTS, node)
        node = builder_node(node)
    values = {str(key): value for key, value in node.items() if key not in _HYDRA_KEYS}
    typed = {key for key, value in values.items() if value != _MISSING and _is_plain(value)}
    try:
        signature, hints = signature_of(target, typed)
    except (HydraException, ImportError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().rpartition("\n")[2]
        yield f"{path}._target_={target}: cannot be imported ({reason}); check the dotted name"
        return
    known = signature.required.keys()
    if not signature.open_ended:
        for key in sorted(values.keys() - known):
            yield f"{path}.{key}: {target} has no such key; {did_you_mean(key, known - supplied)}"
    if not node.get("_partial_"):
        for name in sorted(known - values.keys() - supplied):
            if signature.required[name]:
                yield f"{path}.{name} is missing: {target} requires it; give {path}.{name}=…"
    yield from _type_faults(path, hints, values)


def _value_faults(path: str, value: Any, hint: Any, *, strict: bool = False) -> Iterator[str]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        # Annotated types that already have a configuration do not accept another.
        if error.code != "type-adapter-config-unused":
            return
        adapter = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return  # a type that pydantic does not know: the call itself checks it
    try:
        adapter.validate_python(value, strict=strict or None)
    except ValidationError as error:
        if value is None:
            yield f"{path}=null: cannot be null; give a value"
            return
        reasons = dict.fromkeys(_reason(path, detail) for detail in error.errors(include_url=False))
        hint = range_hint(path, value) if isinstance(value, str) and _takes_number(adapter) else None
        form = f"; {hint}" if hint else _form(path, value, adapter, error)
        yield f"{path}={_typed(value)}: {' or '.join(reasons)}{form}"


def _takes_number(adapter: TypeAdapter[Any]) -> bool:
    """Return whether an option takes a number."""
    for number in (1, 0.5):
        with contextlib.suppress(ValidationError):
            adapter.validate_python(number)
            return True
    return False


def _form(path: str, value: Any, adapter: TypeAdapter[Any], error: ValidationError) -> str:
    """Return how a valid value is written that was probably meant: a list, null, a fraction, an integer."""
    for meant in _probably_meant(value):
        try:
            adapter.validate_python(meant)
        except ValidationError:
            continue
        text = _list_of(meant[0]) if isinstance(meant, list) else _typed(meant)
        return f"; write {shlex.quote(f'{path}={text}')}"
    kinds = [detail["type"] for detail in error.errors(include_url=False) if not detail["loc"]]
    return f"; write {path}.<name>=<value>" if kinds == ["dict_type"] else ""


def _list_of(value: Any) -> str:
    return f"[{literal(value) if isinstance(value, str) else _typed(value)}]"


def _probably_meant(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        if found := _PERCENT.fullmatch(value):
            yield float(found[1].replace(",", ".")) / 100
        if _DECIMAL_COMMA.fullmatch(value):
            yield float(value.replace(",", "."))
        if value.lower() in ("none", "nil", "no", "off", ""):
            yield None
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if isinstance(value, str | int | float):
        yield [value]


def _typed(value: Any) -> str:
    """Return a value as it is written on a command line."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_typed(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_typed, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _reason(path: str, detail: Any) -> str:
    if detail["type"] == "union_tag_not_found":
        name = detail["ctx"]["discriminator"].strip("'")
        return f"should have the key {name}; give {path}.{name}=…"
    if detail["type"] == "union_tag_invalid":
        name, expected = detail["ctx"]["discriminator"].strip("'"), detail["ctx"]["expected_tags"]
        return f"its key {name} should be one of {expected}"
    place = ".".join(str(part) for part in detail["loc"] if isinstance(part, int))
    message = str(detail["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    return f"entry {place} {message}" if place else message


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" not in value and all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)
