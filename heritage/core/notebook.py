"""How objects are shown: one line in a terminal, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping

from heritage.core.escaping import html

_LENGTH = 60


def shortened(text: object, length: int = _LENGTH) -> str:
    """Return a text in one line of at most ``length`` characters, cut in the middle.

    Example:
        >>> shortened("outputs/train/2026-11-28/09-00-00_resnet10t", 20)
        'outputs/t…_resnet10t'
    """
    line = " ".join(str(text).split())
    if len(line) <= length:
        return line
    head = (length - 1) // 2
    return f"{line[:head]}…{line[head + 1 - length :]}"


def html_table(title: str, rows: Mapping[str, object]) -> str:
    """Return an HTML table with a caption and a row for each name and value, all escaped.

    Args:
        title: The caption.
        rows: Values by name; numbers that are not whole are written with four decimals.
    """
    cells = "".join(
        f"<tr><th style='text-align:left'>{html(name)}</th><td>{html(_text(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{html(title)}</caption>{cells}</table>"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
