"""Every example in a docstring runs and gives what it shows."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

import heritage
from heritage.core.files import PACKAGE
from heritage.models.builders import network_builders
from tests.conftest import TINY


def with_examples() -> list[str]:
    """Modules whose docstrings hold examples."""
    paths = [path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    parts = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(paths)]
    return [".".join(one).removesuffix(".__init__") for one in parts]


@pytest.mark.parametrize("module", with_examples())
def test_examples_run(
    module: str,
    run_folder: Path,
    photographs: Path,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    # an example registers a network
    monkeypatch.setattr("heritage.models.builders._BUILDERS", dict(network_builders()))
    names = {
        "heritage": heritage, "np": np, "run_folder": run_folder, "photographs": photographs,
        "class_folders": tree, "tiny": list(TINY),
    }  # fmt: skip
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    loaded = importlib.import_module(module)
    for test in finder.find(loaded, module, extraglobs=names):
        runner.run(test, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)


def test_every_public_function_has_an_example() -> None:
    for name in heritage.__all__:
        value = getattr(heritage, name)
        if name.islower() and callable(value):
            assert ">>> " in (value.__doc__ or ""), name
