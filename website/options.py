"""The keys of configuration files and schemas, with types, values and explanations from the code itself."""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import yaml  # type: ignore[import-untyped]
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo

from heritage.config.signatures import signature_of
from heritage.core.files import PACKAGE

_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_][\w@./-]*): *(?P<rest>.*)$")
_TRAILING = re.compile(r"(?:^|\s)# (?P<text>.*)$")
_ARGUMENT = re.compile(r"^(?P<indent> *)\*{0,2}(?P<name>\w+)(?: \([^)]*\))?: (?P<text>.*)$")
_NAMES = {bool: "true, false", int: "integer", float: "number", str: "text", types.NoneType: "null"}


@dataclass(frozen=True)
class Option:
    """A key of a configuration.

    Attributes:
        key: Its path, such as ``data.batch_size``.
        type: The values it takes, in words; empty if unknown.
        default: Its value in the file, as YAML.
        text: What it does.
    """

    key: str
    type: str
    default: str
    text: str


def comment_header(path: Path) -> list[str]:
    """Return the comment at the beginning of a configuration file, without its signs."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def comments(path: Path) -> dict[str, str]:
    """Return the comments of a configuration file by key: those above it, and those beside it."""
    found: dict[str, str] = {}
    above: list[str] = []
    parents: list[tuple[int, str]] = []
    body = path.read_text(encoding="utf-8").splitlines()[len(comment_header(path)) :]
    for line in body:
        text = line.strip()
        if text.startswith("#"):
            above.append(text.lstrip("#").strip())
            continue
        if match := _KEY.match(line):
            indent = len(match["indent"])
            parents = [*(entry for entry in parents if entry[0] < indent), (indent, match["key"])]
            beside = _TRAILING.search(match["rest"])
            words = [" ".join(above), beside["text"].strip() if beside else ""]
            if explanation := "; ".join(filter(None, words)):
                found[".".join(key for _, key in parents)] = explanation
        above = []
    return found


def options_of(
    node: Mapping[str, Any], prefix: str, explained: Mapping[str, str], target: str | None = None
) -> Iterator[Option]:
    """Yield the keys of a file's node that have a value, with those of nested nodes.

    Args:
        node: The node, as plain data.
        prefix: The path of the node; empty at the top.
        explained: Comments of the file by key, relative to the node.
        target: The function or class that the node is for, if another file names it.
    """
    target = node.get("_target_", target)
    known = arguments_of(str(target), frozenset(map(str, node))) if target else {}
    for name, value in node.items():
        if str(name).startswith("_") or name == "defaults":
            continue
        key = f"{prefix}.{name}" if prefix else str(name)
        type_, documented = known.get(str(name), ("", ""))
        text = explained.get(str(name), "") or documented
        if isinstance(value, Mapping) and value and (not target or "_target_" in value):
            inner = {k.removeprefix(f"{name}."): v for k, v in explained.items() if k.startswith(f"{name}.")}
            yield from options_of(value, key, inner)
        else:
            yield Option(key, type_, written(value), text)


def written(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return str(text).removesuffix("...\n").strip()


def chain(path: Path) -> list[Path]:
    """Return a configuration file and those of its group that it builds on, the nearest first."""
    above = [
        entry for entry in load(path).get("defaults", []) if isinstance(entry, str) and entry != "_self_"
    ]
    files = [path.parent / f"{entry}.yaml" for entry in above if not entry.startswith("/")]
    return [path, *(found for file in files if file.is_file() for found in chain(file))]


def load(path: Path) -> dict[str, Any]:
    """Return the content of a configuration file."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


@cache
def arguments_of(target: str, names: frozenset[str]) -> dict[str, tuple[str, str]]:
    """Return type and explanation of a function's or class's parameters, by name."""
    _, hints = signature_of(target, names)
    texts = documented_arguments(target)
    return {name: (type_text(hints.get(name)), texts.get(name, "")) for name in names}


def schema_types(schema: type) -> dict[str, str]:
    """Return the types of a command's own keys in words, by key; those of its nodes are dotted."""
    hints = typing.get_type_hints(schema, include_extras=True)
    found: dict[str, str] = {}
    for name, hint in hints.items():
        inner = typing.get_args(hint)[1] if typing.get_origin(hint) is Annotated else hint
        if hasattr(inner, "__dataclass_fields__"):
            found |= {f"{name}.{key}": text for key, text in schema_types(inner).items()}
        found[name] = type_text(hint)
    return found


def type_text(hint: Any) -> str:
    """Return an annotation in words, such as ``integer ≥ 1 or null``; empty if any value is possible."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _annotated(*arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(filter(None, map(type_text, arguments))))
    if origin is Literal:
        return ", ".join(map(written, arguments))
    if hint in _NAMES:
        return _NAMES[hint]
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, Path):
        return "path"
    if isinstance(kind, type) and kind is not str and issubclass(kind, Sequence):
        inner = [argument for argument in arguments if argument is not ...]
        return f"list of {type_text(inner[0])}" if inner and type_text(inner[0]) else "list"
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return "mapping"
    return ""


def _annotated(hint: Any, *metadata: Any) -> str:
    if hint is Any:
        return type_text(metadata[0])
    if hint is str and metadata[0] in ("path", "choice"):
        return "path" if metadata[0] == "path" else "word"
    limits = [limit for entry in metadata for limit in _limits(entry)]
    return " ".join([type_text(hint), ", ".join(limits)]).strip()


def _limits(entry: Any) -> Iterator[str]:
    for part in entry.metadata if isinstance(entry, FieldInfo) else [entry]:
        for kind, sign, attribute in ((Gt, ">", "gt"), (Ge, "≥", "ge"), (Lt, "<", "lt"), (Le, "≤", "le")):
            if isinstance(part, kind):
                yield f"{sign} {getattr(part, attribute)}"
        if isinstance(part, MinLen):
            yield f"({part.min_length} or more)"


def documented_arguments(target: str) -> dict[str, str]:
    """Return the explanations in a docstring's sections Args and Attributes, by name."""
    found: dict[str, str] = {}
    section = ""
    for line in docstring(target).splitlines():
        if re.fullmatch(r"\w+:", line):
            section = line.rstrip(":")
        elif section in ("Args", "Attributes"):
            match = _ARGUMENT.match(line)
            if match and len(match["indent"]) == 4:
                found[match["name"]] = match["text"].strip()
            elif found and line.strip():
                found[next(reversed(found))] += f" {line.strip()}"
    return found


def docstring(target: str) -> str:
    """Return the docstring of a function or class, and that of its constructor, without importing it."""
    module, _, name = target.rpartition(".")
    node = _definition(module, name)
    if node is None:
        return ""
    return inspect.cleandoc(ast.get_docstring(node, clean=False) or "")


@cache
def _definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef | None:
    top, *inside = module.split(".")
    path = PACKAGE.joinpath(*inside)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if top != PACKAGE.name or not file.is_file():
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return node
            if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
                return _definition(node.module or "", name)
    return None
