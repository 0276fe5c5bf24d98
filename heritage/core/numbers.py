"""Numbers as a reader wants them: ``1 image``, ``2,000 images``, ``95 %``, intervals that have a width."""

from __future__ import annotations

import math

_PLURALS = {"class": "classes", "entry": "entries", "pass": "passes"}


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the singular for 1.

    Args:
        number: The number.
        noun: The singular: ``image``, ``class``.

    Example:
        >>> counted(1, "image"), counted(1500, "image"), counted(0, "class")
        ('1 image', '1,500 images', '0 classes')
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a noun that the package counts."""
    return _PLURALS.get(noun, f"{noun}s")


def percent(fraction: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """Return a fraction as per cent, with a blank before the sign; a dash for None or NaN.

    Args:
        fraction: The fraction, 1 for 100 %.
        digits: Digits after the point.
        signed: Write a plus before positive values.

    Example:
        >>> percent(0.95, 0), percent(0.0281, signed=True), percent(None)
        ('95 %', '+2.8 %', '–')
    """
    if fraction is None or math.isnan(fraction):
        return "–"
    return f"{100 * fraction:{'+' if signed else ''}.{digits}f} %"


def bounds(low: float, high: float, digits: int = 3) -> str:
    """Return an interval; one number if both ends are written the same.

    Example:
        >>> bounds(0.91, 0.95), bounds(1.0, 1.0)
        ('0.910–0.950', '1.000')
    """
    first, last = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return first if first == last else f"{first}–{last}"


def with_interval(value: float, low: float, high: float, digits: int = 3, *, value_digits: int = 0) -> str:
    """Return a value with its interval, or alone if the interval has no width when written.

    Args:
        value: The value.
        low: The lower end of its interval.
        high: The upper end.
        digits: Digits after the point, of both.
        value_digits: More digits for the value than for its interval.

    Example:
        >>> with_interval(0.93, 0.91, 0.95), with_interval(1.0, 1.0, 1.0)
        ('0.930 (0.910–0.950)', '1.000')
        >>> with_interval(1 / 3, 1 / 3, 1 / 3, value_digits=4)
        '0.3333'
    """
    number, around = f"{value:.{max(digits, value_digits)}f}", bounds(low, high, digits)
    return f"{number} ({around})" if "–" in around else number
