"""Call what a saved configuration names: functions of an exact table, and nothing else.

A checkpoint or run folder may come from anybody, so a name in it is only compared with the keys of a table
in this package's code; it is never imported, and no attribute is looked up by it. Arguments are checked
against the function's signature. A function of the user's own joins the table when she names it herself,
with ``trusted=[my_module.my_function]`` or by `trust`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from os import PathLike
from typing import Any

from hydra.errors import HydraException

from heritage.config.signatures import imported_signature
from heritage.config.validate import value_faults
from heritage.errors import CheckpointError, ConfigError

Part = Callable[..., Any]

_IGNORED = {"_target_", "_partial_", "_convert_", "_recursive_"}
_LONGEST = 100

_trusted: dict[str, Part] = {}


def trust(names: Iterable[str]) -> None:
    """Let saved configurations name functions or classes of the user's own.

    Args:
        names: Dotted names, as the user typed them; their modules are imported.

    Raises:
        ConfigError: There is no such function or class.
    """
    from hydra.utils import get_object

    for name in names:
        try:
            part = get_object(name)
        except (HydraException, ImportError, ValueError) as error:
            reason = str(error.__cause__ or error).strip().rpartition("\n")[2]
            raise ConfigError(
                f"cannot be imported ({reason})", where=f"trusted={name}", remedy="check the dotted name"
            ) from error
        if not callable(part):
            raise ConfigError(
                "not a function or class", where=f"trusted={name}", remedy="check the dotted name"
            )
        _trusted[name] = part


def trusted_part(name: str) -> Part | None:
    """Return a function of the user's own by the name that she trusts; None if there is none."""
    return _trusted.get(name)


def saved_part(
    node: Any,
    table: Mapping[str, Part],
    *,
    part: str,
    key: str,
    where: str | PathLike[str],
    supplied: Collection[str] = (),
) -> Part:
    """Return the function that a node of a saved configuration describes, with the node's arguments.

    Args:
        node: The node, as plain data: ``_target_`` and arguments.
        table: The functions that it may name, by ``_target_``.
        part: What it is, for messages: ``network``, ``split``.
        key: Its key in the configuration.
        where: The checkpoint.
        supplied: Arguments that the caller will add.

    Raises:
        CheckpointError: The table has no such function, or an argument is unknown, missing or has a wrong
            type or value.
    """
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if not isinstance(target, str):
        raise CheckpointError(
            f"its configuration does not describe its {part} ({key})",
            where=where,
            remedy="give a checkpoint that `heritage train` wrote",
        )
    function = table.get(target) or trusted_part(target)
    if function is None:
        raise unknown_part(target, part, where)
    options = {name: value for name, value in node.items() if name not in _IGNORED}
    if faults := _faults(function, options, key, supplied):
        raise CheckpointError(
            f"its {part} cannot be rebuilt ({'; '.join(faults[:3])})",
            where=where,
            remedy="it was made by another version of heritage, or is damaged",
        )
    return functools.partial(function, **options)


def unknown_part(target: str, part: str, where: str | PathLike[str]) -> CheckpointError:
    """Return the error for a name that is in no table."""
    short = target if len(target) <= _LONGEST else f"{target[:_LONGEST]}…"
    return CheckpointError(
        f"its {part} is {short}, which is not this package's and is not imported because a file names it",
        where=where,
        remedy="if you wrote it or trust its code, name it yourself: trusted=[<dotted name>], in Python "
        "heritage.load(ckpt, trusted=[…]) or @heritage.models.register_network",
    )


def _faults(function: Part, options: Mapping[str, Any], key: str, supplied: Collection[str]) -> list[str]:
    signature = imported_signature(function)
    faults = [
        f"{key}.{name}: no such argument"
        for name in options
        if name in supplied or (name not in signature.required and not signature.open_ended)
    ]
    faults += [
        f"{key}.{name} is missing"
        for name, required in signature.required.items()
        if required and name not in options and name not in supplied
    ]
    faults += [f"{key}.{name}: names a function" for name, value in options.items() if _names_code(value)]
    return faults or value_faults(key, function, options, strict=True)


def _names_code(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_names_code, value.values()))
    return isinstance(value, list) and any(map(_names_code, value))
