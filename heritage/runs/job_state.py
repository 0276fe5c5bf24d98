"""Decide from the files of a run folder whether its job waits, was interrupted, failed or finished."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from heritage.runs.files import CONFIG_FILE, FAILURE_FILE, REPORT_FILE


class State(StrEnum):
    """State of a job."""

    WAITING = "waiting"
    QUEUED = "queued"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    FINISHED = "finished"


def state_of(folder: Path) -> State:
    """Return the state of a run folder; a killed run is interrupted.

    A finished run has a report, a failed one ``failure.txt``; `State.QUEUED` is known to the batch system
    only.
    """
    if (folder / REPORT_FILE).is_file():
        return State.FINISHED
    if (folder / FAILURE_FILE).is_file():
        return State.FAILED
    return State.INTERRUPTED if (folder / CONFIG_FILE).is_file() else State.WAITING


def failure_of(folder: Path) -> str:
    """Return the error of a failed run in one line; empty for other runs."""
    file = folder / FAILURE_FILE
    if not file.is_file():
        return ""
    return file.read_text(encoding="utf-8").partition("\n")[0]
