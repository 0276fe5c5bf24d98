"""Checks of the arguments that a Python program gives to a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from os import PathLike, fspath
from typing import cast

from heritage.errors import ArgumentError, ConfigError
from heritage.metrics.prediction_sets import HIGHEST, LOWEST


def require_option(name: str, value: object, options: Sequence[str]) -> None:
    """Raise a `ConfigError` unless a value is one of the options."""
    if value not in options:
        raise ConfigError(
            "no such option", where=f"{name}={value}", remedy=f"use one of {', '.join(options)}"
        )


def require_path(name: str, value: object) -> None:
    """Raise an `ArgumentError` unless a value is a path, and a `ConfigError` if it is empty."""
    if not isinstance(value, str | PathLike):
        raise ArgumentError(
            f"a path is a string or a Path, not a {type(value).__name__}",
            where=name,
            remedy="give a run folder or a checkpoint",
        )
    if not fspath(value):
        raise ConfigError("an empty path", where=f"{name}=''", remedy="give a run folder or a checkpoint")


def require_probability(name: str, value: object) -> None:
    """Raise an `ArgumentError` or a `ConfigError` unless a value is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentError(
            f"a probability is a number, not a {type(value).__name__}",
            where=name,
            remedy="give one from 0 to 1",
        )
    if not 0 <= float(value) <= 1:
        raise ConfigError("not a probability", where=f"{name}={value}", remedy="give a number from 0 to 1")


def require_rule(threshold: object, coverage: object) -> None:
    """Check a threshold and a coverage of prediction sets, each of which may be None.

    Raises:
        ArgumentError: One is not a number.
        ConfigError: The threshold is not a probability, or the coverage not from 0.5 to 0.99.
    """
    if threshold is not None:
        require_probability("threshold", threshold)
    if coverage is not None:
        require_probability("coverage", coverage)
        if not LOWEST <= 100 * float(cast("float", coverage)) <= HIGHEST:
            raise ConfigError(
                "no coverage of prediction sets", where=f"coverage={coverage}", remedy="take 0.5 to 0.99"
            )


def require_count(name: str, value: object) -> None:
    """Raise an `ArgumentError` or a `ConfigError` unless a value is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentError(
            f"it is a whole number, not a {type(value).__name__}", where=name, remedy="give 1 or more"
        )
    if value < 1:
        raise ConfigError("less than one image", where=f"{name}={value}", remedy="give 1 or more")
