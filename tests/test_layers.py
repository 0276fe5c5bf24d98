"""A module imports only from lower layers, and packages of one layer leave each other alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from heritage.cli import COMMANDS
from heritage.core.files import PACKAGE

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "errors",
        "paths",
        "lock",
        "taxonomy",
        "manifest",
        "picture",
        "packed",
        "scores",
        "splitting",
        "tables",
        "config",
    ),
    ("demo", "collection", "curation", "data", "models"),
    ("training", "analysis"),
    (
        "serving",
        "trained",
        "testbed",
        "adjustment",
        "auditing",
        "evaluation",
        "explanation",
        "neighbours",
        "record",
        "resume",
        "preview",
        "run",
        "experiment",
        "cluster",
        "sweep",
        "commands",
        *COMMANDS,
        "__main__",
    ),
)
ALLOWED_BESIDE = {("collection", "demo"), ("data", "demo")}
# The command line needs the faults of configurations before anything else is there.
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def layer(name: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if name in names)


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("heritage."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "heritage":
            found.update(alias.name for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("heritage."))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(path: Path) -> None:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("__init__",):
        return
    own = parts[0]
    for other in imported(path) - {own}:
        if layer(own) > layer(other) or (own, other) in ALLOWED_BESIDE:
            continue
        assert layer(own) == layer(other) in (0, 3), f"{own} imports {other}"


def test_modules_are_small() -> None:
    long = [path.name for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert long == []
