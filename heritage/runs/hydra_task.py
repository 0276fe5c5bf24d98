"""Raise a task's exception past Hydra, which would print further lines about it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any

from omegaconf import DictConfig


class TaskError(BaseException):
    """Carries a task's exception through Hydra, which catches and prints every `Exception`.

    Attributes:
        error: The task's exception.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def carrying_errors(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Return a task whose exceptions are raised as `TaskError`."""

    @functools.wraps(task)
    def run(cfg: DictConfig) -> Any:
        with _Carrier():
            return task(cfg)

    return run


class _Carrier:
    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(fault, Exception):
            raise TaskError(fault) from fault
