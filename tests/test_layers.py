"""Packages import only from packages below them, and files and functions are short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from heritage.cli import COMMANDS
from heritage.core.files import PACKAGE

# From the bottom to the top: a package imports only from rows above its own.
ORDER: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("core",),
    ("metrics",),
    ("probes",),
    ("runs",),
    ("config",),
    ("reports",),
    ("demo", "models"),
    ("data", "collection", "curation"),
    ("features",),
    ("training",),
    ("inference",),
    ("evaluation", "comparison", "explanation"),
    ("prediction",),
    ("exporters", "server", "cluster", "project"),
    ("publishing",),
    ("sweep",),
    ("hydra_plugins",),
    ("cli",),
    tuple(COMMANDS),
    ("api",),
    ("__init__", "__main__"),
)
ROW = {name: number for number, names in enumerate(ORDER) for name in names}
ROOT = PACKAGE.parent
MODULES = sorted(path for folder in (PACKAGE, ROOT / "hydra_plugins") for path in folder.rglob("*.py"))
OTHERS = ("tests", "benchmarks", "website")
FILES = sorted(path for folder in OTHERS for path in (ROOT / folder).rglob("*.py"))
MAX_LINES = 400
MAX_FUNCTION_LINES = 70
SHORT = {
    "core/types.py",
    "core/version.py",
    "config/register.py",
    "demo/drawing/rng.py",
}
"""Files of less than 30 lines: one concept each. Commands may be short."""


def module(path: Path) -> str:
    """The module's dotted name below `heritage`; the plugin's is ``hydra_plugins.heritage_sweep``."""
    root = PACKAGE if PACKAGE in path.parents else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """Modules below `heritage` that a file imports, inside functions and for type checkers, too.

    Importing a module runs the ``__init__`` of each package that it is in, so these are among them, except
    for the packages that the file itself is in.
    """
    names = {module(other) for other in MODULES}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            if (node.module or "").partition(".")[0] != "heritage":
                continue
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                found.add(full if full in names or f"{full}.__init__" in names else base or "__init__")
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] or "__init__" for a in node.names
                      if a.name.partition(".")[0] == "heritage"}  # fmt: skip
    return found | {package for other in found for package in packages_above(other)} - set(
        packages_above(module(path))
    )


def packages_above(name: str) -> list[str]:
    """The packages below `heritage` that a module is in, such as ``training`` of ``training.run``."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


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


def test_at_the_top_are_the_commands_and_their_start() -> None:
    top = {path.stem for path in PACKAGE.glob("*.py")}
    assert top == {*COMMANDS, "__init__", "__main__", "errors", "cli"}


def test_every_package_has_its_row() -> None:
    names = {module(path).partition(".")[0] for path in MODULES}
    assert names == set(ROW)


def test_modules_are_neither_long_nor_tiny() -> None:
    lines = {path.relative_to(ROOT).as_posix(): len(text(path)) for path in (*MODULES, *FILES)}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
    tiny = {
        inside
        for path in MODULES
        if len(text(path)) < 30 and "." in module(path) and path.name != "__init__.py"
        for inside in [path.relative_to(PACKAGE).as_posix()]
    }
    assert tiny == SHORT


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_functions_are_short(path: Path) -> None:
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: count for name, count in lengths.items() if count > MAX_FUNCTION_LINES} == {}


def text(path: Path) -> list[str]:
    """The lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def test_the_folders_of_tests_are_those_of_the_code() -> None:
    folders = {path.parent.relative_to(PACKAGE) for path in MODULES if PACKAGE in path.parents}
    root = Path(__file__).parent
    astray = {path.relative_to(root).parent for path in root.rglob("test_*.py")} - folders
    assert astray == {Path("compat"), Path("website")}  # what earlier versions made; the site
