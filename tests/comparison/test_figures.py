"""Names of runs in the comparison's figures are text, not formulas."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from heritage.comparison.figures import _bars, _rows

_NAME = r"$\unknown{$ my net"


@pytest.mark.parametrize("settings", [1, 12])
def test_bars_draw_names_with_dollar_signs(settings: int) -> None:
    figure = Figure()
    axes = figure.subplots()
    ours = {(f"{_NAME} {k}", "sgd"): (0.6, 0.5, 0.7) for k in range(settings)}
    _bars(axes, {("thesis", "adam"): 0.5}, ours)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0] in {"thesis adam", "thesis\nadam"}
    assert all(r"\$\unknown{\$ my net" in label for label in labels[1:])


def test_rows_draw_names_with_dollar_signs() -> None:
    figure = Figure()
    axes = figure.subplots()
    _rows(axes, [_NAME])
    figure.draw_without_rendering()
    assert axes.get_yticklabels()[0].get_text() == r"\$\unknown{\$ my net"
