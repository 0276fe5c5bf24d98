"""The notebooks run from beginning to end, and are kept without outputs."""

from __future__ import annotations

import re
import resource
from pathlib import Path

import nbformat
import pytest

from heritage.core.files import PACKAGE
from website.__main__ import OUTPUT
from website.notebooks import NOTEBOOKS, executed

CPU_SECONDS = 120
"""Of one notebook; about 40 on an idle machine."""


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")  # of Jupyter's packages
def test_a_notebook_runs(notebook: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    path = executed(notebook, OUTPUT / "notebooks")  # where the site takes it from
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    drawing = [
        cell
        for cell in cells
        if "plt.subplots" in cell.source or "Image.open(" in cell.source.splitlines()[-1]
    ]
    assert drawing
    for cell in drawing:
        assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source
    assert after.ru_utime - before.ru_utime < CPU_SECONDS


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(notebook: Path) -> None:
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_no_module_changes_how_notebooks_draw() -> None:
    # Neither a backend nor pyplot's state: figures of a notebook would not appear after a command has run.
    pattern = re.compile(r"\bpyplot\b|\b(?:mpl|matplotlib)\.(?:use|rcParams)\b|switch_backend")
    assert [
        path.name for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))
    ] == []
