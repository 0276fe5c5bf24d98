"""Numbers as a reader wants them: ``1 image``, ``2,000 images``, and intervals that have a width."""

from __future__ import annotations

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
