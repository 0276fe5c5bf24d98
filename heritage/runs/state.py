"""In what state a job is: its folder alone says so, whoever ran it and however it ended."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from heritage.runs.files import CONFIG_FILE, FAILURE_FILE, REPORT_FILE


class State(StrEnum):
    """A job's state."""

    WAITING = "waiting"
    QUEUED = "queued"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    FINISHED = "finished"


def state_of(folder: Path) -> State:
    """Return the state of a run folder.

    A run writes its report last, a failed one ``failure.txt``; one that was killed writes nothing more.
    """
    if (folder / REPORT_FILE).is_file():
        return State.FINISHED
    if (folder / FAILURE_FILE).is_file():
        return State.FAILED
    return State.INTERRUPTED if (folder / CONFIG_FILE).is_file() else State.WAITING


def failure_of(folder: Path) -> str:
    """Return why a run failed, in one line; empty if it did not."""
    file = folder / FAILURE_FILE
    if not file.is_file():
        return ""
    return file.read_text(encoding="utf-8").partition("\n")[0]
