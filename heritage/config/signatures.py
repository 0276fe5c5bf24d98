"""Read the signatures of the functions and classes that a configuration names, without importing them.

Importing a network's module imports torch, which takes seconds; a wrong value should be reported at once.
So modules of this package are parsed, and annotations are evaluated as `typing.get_type_hints` does. What
cannot be read in this way (another package, a constructor inherited from Lightning) is imported.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import typing
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from heritage.core.files import PACKAGE

_LIGHT = {
    "typing", "collections.abc", "pathlib", "pydantic",
    f"{PACKAGE.name}.core.licences", f"{PACKAGE.name}.config.network_parts",
}  # fmt: skip
"""Modules that are imported to evaluate an annotation; ours are here as their types are those of pydantic."""
_NO_CONSTRUCTOR = {"object", "ABC", "Protocol"}
"""Base classes that take no arguments."""


@dataclass(frozen=True)
class Signature:
    """The parameters of a function or of a class's constructor.

    Attributes:
        required: For each parameter that can be given by name, whether it has no default.
        open_ended: Whether further keyword arguments are accepted.
        hints: Returns the types of parameters; those without an annotation are left out.
    """

    required: Mapping[str, bool]
    open_ended: bool
    hints: Callable[[AbstractSet[str]], dict[str, Any]]


class _UnreadableError(Exception):
    """The source is not enough: the module must be imported."""


def signature_of(target: str, names: AbstractSet[str]) -> tuple[Signature, dict[str, Any]]:
    """Return the signature of a ``_target_``, and the types of those of its parameters that are named.

    Args:
        target: The dotted name of a function or class.
        names: The parameters whose types are needed.

    Raises:
        HydraException, ImportError, ValueError: There is no such function or class.
    """
    try:
        signature = parsed_signature(target)
        return signature, signature.hints(names)
    except _UnreadableError:
        from hydra.utils import get_object

        signature = imported_signature(get_object(target))
        return signature, signature.hints(names)


def imported_signature(function: Callable[..., Any]) -> Signature:
    """Return the signature of a function or class."""
    parameters = {name: p for name, p in inspect.signature(function).parameters.items() if name != "self"}
    # A dataclass's fields are evaluated where they are declared: a subclass need not import their types.
    is_plain_class = inspect.isclass(function) and not is_dataclass(function)
    called = function.__init__ if is_plain_class else inspect.unwrap(function)

    def hints(names: AbstractSet[str]) -> dict[str, Any]:
        try:
            known = typing.get_type_hints(called, include_extras=True)
        except (NameError, TypeError):
            return {}  # annotations for type checkers only: the keys are still checked
        return {name: known[name] for name in known.keys() & names}

    return Signature(
        required={
            name: p.default is p.empty
            for name, p in parameters.items()
            if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
        },
        open_ended=any(p.kind is p.VAR_KEYWORD for p in parameters.values()),
        hints=hints,
    )


def parsed_signature(target: str) -> Signature:
    """Return the signature that the source of this package shows.

    Raises:
        _UnreadableError: The source is not enough.
    """
    module, _, name = target.rpartition(".")
    return _module(module).signature(name)


class _Module:
    """The top level of a module's source."""

    def __init__(self, path: Path) -> None:
        self._tree = ast.parse(path.read_text(encoding="utf-8"))

    @cached_property
    def _statements(self) -> dict[str, ast.stmt]:
        """What defines each name; blocks (``if TYPE_CHECKING``) are left out."""
        names: dict[str, ast.stmt] = {}
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names[node.name] = node
            elif isinstance(node, ast.ImportFrom):
                names |= {alias.asname or alias.name: node for alias in node.names}
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names[node.targets[0].id] = node
        return names

    def signature(self, name: str) -> Signature:
        """Return the signature of a function or class."""
        node = self._statements.get(name)
        if isinstance(node, ast.ImportFrom):
            return _module(node.module).signature(_imported_name(node, name))
        if isinstance(node, ast.FunctionDef) and all(map(self._keeps_signature, node.decorator_list)):
            return self._of_function(node, first=0)
        if isinstance(node, ast.ClassDef):
            return self._of_class(node)
        raise _UnreadableError

    def _keeps_signature(self, decorator: ast.expr) -> bool:
        """Return whether a decorator is one of this package: ours use `functools.wraps`, as a test checks."""
        source = self._statements.get(ast.unparse(decorator))
        return isinstance(source, ast.ImportFrom) and (source.module or "").startswith(f"{PACKAGE.name}.")

    def _of_class(self, node: ast.ClassDef) -> Signature:
        methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        if node.keywords or "__new__" in methods:
            raise _UnreadableError
        if "__init__" in methods and not node.decorator_list:
            return self._of_function(methods["__init__"], first=1)
        bases = [base for base in map(ast.unparse, node.bases) if base not in _NO_CONSTRUCTOR]
        if len(bases) > 1:
            raise _UnreadableError
        inherited = self.signature(bases[0]) if bases else Signature({}, False, lambda _: {})
        if not node.decorator_list:
            return inherited
        if inherited.required or inherited.open_ended or "__init__" in methods:
            raise _UnreadableError
        return self._of_dataclass(node)

    def _of_dataclass(self, node: ast.ClassDef) -> Signature:
        decorators = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
        source = self._statements.get(ast.unparse(decorators[0]))
        if len(decorators) > 1 or not isinstance(source, ast.ImportFrom) or source.module != "dataclasses":
            raise _UnreadableError
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        fields = [item for item in fields if not ast.unparse(item.annotation).startswith("ClassVar")]
        if not all(map(_is_plain_field, fields)):
            raise _UnreadableError
        annotations = {ast.unparse(item.target): item.annotation for item in fields}
        required = {ast.unparse(item.target): item.value is None for item in fields}
        return Signature(required, False, lambda names: self._hints(annotations, names))

    def _of_function(self, node: ast.FunctionDef, first: int) -> Signature:
        """Return a function's signature from a positional parameter on: 1 leaves out ``self``."""
        arguments = node.args
        if arguments.posonlyargs:
            raise _UnreadableError
        optional = len(arguments.args) - len(arguments.defaults)
        required = {a.arg: number < optional for number, a in enumerate(arguments.args)}
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            required[argument.arg] = default is None
        for argument in arguments.args[:first]:
            del required[argument.arg]
        annotations = {a.arg: a.annotation for a in (*arguments.args, *arguments.kwonlyargs) if a.annotation}
        return Signature(required, bool(arguments.kwarg), lambda names: self._hints(annotations, names))

    def _hints(self, annotations: Mapping[str, ast.expr], names: AbstractSet[str]) -> dict[str, Any]:
        return {name: self._value(node) for name, node in annotations.items() if name in names}

    def _value(self, expression: ast.expr) -> Any:
        """Evaluate an annotation, a type alias or a constant."""
        if isinstance(expression, ast.Constant) and not isinstance(expression.value, str):
            return expression.value
        used = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}
        namespace = {name: self._resolve(name) for name in used if not hasattr(builtins, name)}

        def holder() -> None: ...

        holder.__annotations__ = {"hint": ast.unparse(expression)}
        try:
            return typing.get_type_hints(holder, namespace, include_extras=True)["hint"]
        except (NameError, TypeError, AttributeError) as error:
            raise _UnreadableError from error

    def _resolve(self, name: str) -> Any:
        node = self._statements.get(name)
        if isinstance(node, ast.ImportFrom):
            original = _imported_name(node, name)
            if node.module in _LIGHT:
                return getattr(import_module(node.module), original)
            return _module(node.module)._resolve(original)  # noqa: SLF001  the same class
        if isinstance(node, ast.Assign):
            return self._value(node.value)
        raise _UnreadableError


def _is_plain_field(field: ast.AnnAssign) -> bool:
    """Return whether a dataclass's field is a parameter that has a default if anything is assigned to it."""
    value = field.value
    if not isinstance(value, ast.Call):
        return True
    return ast.unparse(value.func) == "field" and {word.arg for word in value.keywords} == {"default_factory"}


@cache
def _module(name: str | None) -> _Module:
    top, *parts = (name or "").split(".")
    path = PACKAGE.joinpath(*parts)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if top == PACKAGE.name and file.is_file():
            return _Module(file)
    raise _UnreadableError


def _imported_name(node: ast.ImportFrom, name: str) -> str:
    if node.level:
        raise _UnreadableError
    return next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
