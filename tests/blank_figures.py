"""Figures of tests are blank: drawing those of a report takes a third of the time of a tiny run.

What builds a figure runs as always, also the texts and sizes of its parts; only writing it is replaced. A
test of drawn figures requests `drawn_figures`; commands in separate processes draw as always.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def write_blank(figure: Any, path: str | Path, *, dpi: float = 100, **options: Any) -> None:
    """Write a white image of the figure's size, as PNG or as PDF; what `Figure.savefig` is replaced by."""
    size = tuple(round(inches * dpi) for inches in figure.get_size_inches())
    with Path(path).open("wb") as file:
        Image.new("L", size, 255).save(file, format=options["format"])


@pytest.fixture(scope="session", autouse=True)
def _blank_figures() -> Iterator[pytest.MonkeyPatch]:
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", write_blank)
        yield patch


@pytest.fixture
def drawn_figures(_blank_figures: pytest.MonkeyPatch) -> Iterator[None]:
    """Draw the figures that a test writes."""
    from matplotlib.figure import Figure

    _blank_figures.undo()
    yield
    _blank_figures.setattr(Figure, "savefig", write_blank)
