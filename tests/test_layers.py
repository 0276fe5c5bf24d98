"""Packages import only from packages below them, modules are small, and names are written once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from heritage.cli import COMMANDS
from heritage.core.files import PACKAGE

# From the bottom to the top: a package imports only from rows above its own.
ORDER: tuple[tuple[str, ...], ...] = (
    ("escaping",),
    ("errors",),
    ("core",),
    ("metrics",),
    ("runs",),
    ("config",),
    ("reports",),
    ("demo", "models"),
    ("data", "collection", "curation"),
    ("training",),
    ("inference",),
    ("evaluation", "comparison", "explanation"),
    ("prediction",),
    ("exporters", "server", "cluster"),
    ("sweep",),
    ("cli",),
    tuple(COMMANDS),
    ("api",),
    ("__init__", "__main__"),
)
ROW = {name: number for number, names in enumerate(ORDER) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))
SHORT = {
    "core/console.py",
    "core/types.py",
    "core/version.py",
    "config/register.py",
    "demo/drawing/rng.py",
    "runs/history.py",
}
"""Files of less than 30 lines: one concept each. Commands may be short."""


def module(path: Path) -> str:
    """The module's dotted name below `heritage`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts)


def imported(path: Path) -> set[str]:
    """Modules below `heritage` that a file imports, inside functions and for type checkers, too."""
    names = {module(other) for other in MODULES}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "heritage":
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                found.add(full if full in names or f"{full}.__init__" in names else base or "__init__")
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] or "__init__" for a in node.names
                      if a.name.partition(".")[0] == "heritage"}  # fmt: skip
    return found


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_imports_point_downwards(path: Path) -> None:
    own = module(path).partition(".")[0]
    for other in imported(path):
        package = other.partition(".")[0]
        if package == own:
            continue
        assert ROW[package] < ROW[own], f"{module(path)} imports {other}"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module(path).removesuffix(".__init__"): imported(path) for path in MODULES}
    finished: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' → '.join((*above[above.index(name) :], name))}"
        if name in finished or name not in graph:
            return
        for other in graph[name]:
            visit(other, (*above, name))
        finished.add(name)

    for name in graph:
        visit(name, ())


def test_every_package_has_its_row() -> None:
    names = {module(path).partition(".")[0] for path in MODULES}
    assert names == set(ROW)


def test_modules_are_neither_long_nor_tiny() -> None:
    lines = {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in MODULES
    }
    assert {name: count for name, count in lines.items() if count > 400} == {}
    tiny = {
        name
        for name, count in lines.items()
        if count < 30 and "/" in name and not name.endswith("__init__.py")
    }
    assert tiny == SHORT


def test_tests_lie_where_the_code_lies() -> None:
    folders = {path.parent.relative_to(PACKAGE) for path in MODULES}
    root = Path(__file__).parent
    astray = {path.relative_to(root).parent for path in root.rglob("test_*.py")} - folders
    assert astray == {Path("compat")}  # what earlier versions made
