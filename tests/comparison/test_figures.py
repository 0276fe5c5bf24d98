"""Figures of a comparison: labels are text, and nothing overlaps or is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from heritage.comparison import figures
from heritage.comparison.figures import Estimate, beside_published
from heritage.core.option_types import FigureWidth
from heritage.reports.style import figure_style
from tests.reports.figure_layout import require_legible

pytestmark = pytest.mark.usefixtures("drawn_figures")

_NAME = r"$\unknown{$ my net"


@pytest.mark.parametrize(("settings", "width"), [(1, "single"), (12, "single"), (12, "double")])
def test_values_beside_published_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: int, width: FigureWidth
) -> None:
    monkeypatch.setattr(figures, "write_figure", lambda *_: [])  # its layout alone is checked
    ours = {
        (f"{_NAME} {k} {'with a long name ' * (k % 5)}", "sgd"): Estimate(0.6 + k / 40, 0.5, 0.95)
        for k in range(settings)
    }
    theirs = {("thesis", "adam"): 0.5, (f"{_NAME} 0 ", "sgd"): 0.604}
    with figure_style():
        figure = beside_published(theirs, ours, "accuracy", tmp_path / "figure.png", width)
        labels = require_legible(figure)
    assert sum(r"$\unknown{$" in text for text in labels) == settings
    assert "0.604" in labels
    assert "0.600 (0.500–0.950)" in labels
