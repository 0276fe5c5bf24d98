"""Hold a configuration against the signatures it will call, before anything starts.

Every node with a ``_target_`` is bound to that function's or class's signature: unknown keys, missing
ones, and plain values of the wrong type or outside their range are all reported in one pass.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from heritage.config.faults import FaultyConfigError, did_you_mean
from heritage.config.schema import SCHEMAS

_HYDRA_KEYS = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}
_MISSING = "???"
_PLAIN = (bool, int, float, str, type(None))

# What `heritage.training.build` adds itself to each call, because only it knows: never given in a file.
SUPPLIED: dict[str, frozenset[str]] = {
    "data": frozenset({"train", "copies", "sampling", "seed"}),
    "model": frozenset({"num_classes", "image_size"}),
    "trainer": frozenset({"callbacks", "loggers", "run_folder", "steady"}),
    "balance": frozenset({"counts", "weights"}),
}


def validate(cfg: DictConfig, verb: str) -> None:
    """Refuse a configuration that cannot run, with every fault it has.

    Args:
        cfg: A composed configuration; interpolations are resolved, the original is left as it is.
        verb: The command, whose schema names the keys of the top level.

    Raises:
        FaultyConfigError: One line for each fault, with the key's path and the nearest right name.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise FaultyConfigError([f"{key}: {str(error).partition(chr(10))[0]}"]) from error
    known = {field.name for field in dataclasses.fields(SCHEMAS[verb])}
    unknown = [str(key) for key in cfg if key not in known]
    faults = [f"{key}: {verb} has no such key; {did_you_mean(key, known)}" for key in unknown]
    faults += _faults("", plain, frozenset())
    if faults:
        raise FaultyConfigError(faults)


def validate_options(target: str, options: Mapping[str, Any]) -> None:
    """Hold options of a command's top level against the signature that will take them.

    Args:
        target: The full name of a class or function.
        options: Its arguments, as plain data.

    Raises:
        FaultyConfigError: One line for each fault.
    """
    faults = [
        fault.removeprefix(".") for fault in _call_faults("", {"_target_": target, **options}, frozenset())
    ]
    if faults:
        raise FaultyConfigError(faults)


def value_faults(path: str, function: Callable[..., Any], values: Mapping[str, Any]) -> list[str]:
    """Say which plain values a function or class does not take for its arguments of these names.

    Args:
        path: Where they stand in the configuration.
        function: Whose annotations tell.
        values: Values by argument.
    """
    hints = _hints(function)
    return [
        fault
        for key in sorted(values.keys() & hints.keys())
        if values[key] != _MISSING and _is_plain(values[key])
        for fault in _value_faults(f"{path}.{key}", values[key], hints[key])
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
        yield f"{path} has no value; give it on the command line: {path}=…"


def _call_faults(path: str, node: Mapping[str, Any], supplied: frozenset[str]) -> Iterator[str]:
    target = node["_target_"]
    try:
        function = get_object(target)
    except (HydraException, ImportError, ValueError) as error:
        yield f"{path}._target_={target}: {str(error).partition(chr(10))[0]}"
        return
    signature = inspect.signature(function)
    parameters = {name: p for name, p in signature.parameters.items() if name != "self"}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    given = {str(key) for key in node if key not in _HYDRA_KEYS}
    known = {name for name, p in parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    if not open_ended:
        for key in sorted(given - known):
            yield f"{path}.{key}: {target} has no such key; {did_you_mean(key, known - supplied)}"
    if not node.get("_partial_"):
        for name in sorted(known - given - supplied):
            if parameters[name].default is inspect.Parameter.empty:
                yield f"{path}.{name} is missing: {target} needs it"
    yield from value_faults(path, function, {key: node[key] for key in given & known})


def _value_faults(path: str, value: Any, hint: Any) -> Iterator[str]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        # Annotated types that bring a configuration of their own refuse a second one.
        if error.code != "type-adapter-config-unused":
            return
        adapter = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return  # a type of somebody else's that pydantic cannot describe: the call itself will check
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        reasons = dict.fromkeys(_reason(path, detail) for detail in error.errors(include_url=False))
        yield f"{path}={value}: {' or '.join(reasons)}"


def _reason(path: str, detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"] if isinstance(part, int))
    message = str(detail["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    return f"entry {place} {message}" if place else message


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    called = function.__init__ if inspect.isclass(function) else function
    try:
        return typing.get_type_hints(inspect.unwrap(called), include_extras=True)
    except (NameError, TypeError):
        return {}  # annotations that exist for type checkers alone: the keys are still checked


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" not in value and all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)
