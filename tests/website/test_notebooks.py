"""The notebooks run from beginning to end, and are kept without outputs."""

from __future__ import annotations

import resource
from pathlib import Path

import nbformat
import pytest

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
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert after.ru_utime - before.ru_utime < CPU_SECONDS


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(notebook: Path) -> None:
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
