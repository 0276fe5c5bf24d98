"""``sweep.json``: what a sweep is, and its jobs with their parameters and states.

Whoever reads a sweep (`heritage compare`) finds each run by it. The states are those of the last look;
a run's own folder is what counts.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from heritage.cluster.job import Job
from heritage.core.files import write_text
from heritage.errors import CheckpointError
from heritage.runs.state import State, failure_of
from heritage.runs.sweep_names import Experiment
from heritage.sweep.expansion import Sweep

INDEX_FILE = "sweep.json"


class Index:
    """The index of a sweep folder.

    Attributes:
        tickets: The batch system's number of each job that was submitted, by the job's name.
    """

    def __init__(self, sweep: Sweep) -> None:
        """Read the index, or begin one.

        Raises:
            CheckpointError: The folder holds another sweep, or an index that cannot be read.
        """
        self._sweep = sweep
        self._path = sweep.folder / INDEX_FILE
        self._rows: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            before = self._read()
            _refuse_another(before["experiment"], sweep.experiment, sweep.folder)
            self._rows = {row["name"]: row for row in before["jobs"]}
        self.tickets: dict[str, str] = {
            name: row["ticket"] for name, row in self._rows.items() if row.get("ticket")
        }

    def write(self, states: dict[str, State]) -> None:
        """Write the jobs' states.

        Args:
            states: By the job's name; jobs of an earlier start that are not among these are kept.
        """
        for job in self._sweep.jobs:
            self._rows[job.name] = self._row(job, states[job.name])
        record = {
            "experiment": asdict(self._sweep.experiment),
            "command": list(self._sweep.command),
            "jobs": list(self._rows.values()),
        }
        write_text(self._path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def _row(self, job: Job, state: State) -> dict[str, Any]:
        words = dict(word.split("=", 1) for word in job.words if "=" in word)
        return {
            "name": job.name,
            "folder": job.folder.relative_to(self._sweep.folder).as_posix(),
            "parameters": {key.lstrip("+"): words.get(key) for key in self._sweep.experiment.swept},
            "state": str(state),
            "ticket": self.tickets.get(job.name),
            "error": failure_of(job.folder) or None,
        }

    def _read(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            _ = record["experiment"], [row["name"] for row in record["jobs"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"unreadable ({error!r})", where=self._path, remedy="remove it: the runs' folders say it all"
            ) from error
        return record


def _refuse_another(before: Any, now: Experiment, folder: Path) -> None:
    # as JSON has it: tuples are lists
    wanted = json.loads(json.dumps(asdict(now)))
    if before == wanted:
        return
    differs = "; ".join(
        f"{key}: {before.get(key)} → {wanted[key]}" for key in wanted if before.get(key) != wanted[key]
    )
    raise CheckpointError(
        f"the folder holds another experiment ({differs})",
        where=folder,
        remedy="leave hydra.sweep.dir out, or name a new folder by it",
    )
