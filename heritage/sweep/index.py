"""``sweep.json``: the index of a sweep's jobs, with their parameters and states.

`heritage compare` finds the runs of a sweep by it. The states are those of the last update; the run folders
are authoritative.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from heritage.cluster.job import Job
from heritage.core.files import write_text
from heritage.core.json_files import JsonModel, read_json_file
from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_override
from heritage.runs.job_state import State, failure_of
from heritage.runs.sweep_names import Experiment
from heritage.sweep.expansion import Sweep

INDEX_FILE = "sweep.json"


class _ExperimentRecord(JsonModel):
    name: str
    swept: list[str]
    fixed: list[str]


class _JobRecord(JsonModel):
    name: str
    job_id: str | None = None
    ticket: str | None = None  # the name of job_id in version 0.1
    parameters: dict[str, str | None] | None = None


class _IndexRecord(JsonModel):
    experiment: _ExperimentRecord
    jobs: list[_JobRecord]


class Index:
    """The index of a sweep folder.

    Attributes:
        job_ids: The batch system's id of each submitted job, by the job's name.
    """

    def __init__(self, sweep: Sweep) -> None:
        """Read the index, or start a new one.

        Raises:
            CheckpointError: The folder holds another sweep, or an index that cannot be read.
        """
        self._sweep = sweep
        self._path = sweep.folder / INDEX_FILE
        self._rows: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            before = self._read()
            _require_same(Experiment.from_record(before["experiment"]), sweep.experiment, sweep.folder)
            self._rows = {row["name"]: _upgraded(row) for row in before["jobs"]}
        self.job_ids: dict[str, str] = {
            name: row["job_id"] for name, row in self._rows.items() if row.get("job_id")
        }

    def write(self, states: dict[str, State]) -> None:
        """Write the jobs' states.

        Args:
            states: States by the job's name. Jobs of an earlier start that are not among them are kept.
        """
        for job in self._sweep.jobs:
            self._rows[job.name] = self._row(job, states[job.name])
        record = {
            "experiment": self._sweep.experiment.record,
            "command": list(self._sweep.command),
            "jobs": list(self._rows.values()),
        }
        write_text(self._path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def _row(self, job: Job, state: State) -> dict[str, Any]:
        values = dict(word.split("=", 1) for word in job.overrides if "=" in word)
        return {
            "name": job.name,
            "folder": job.folder.relative_to(self._sweep.folder).as_posix(),
            "parameters": {key.lstrip("+"): values.get(key) for key in self._sweep.experiment.swept},
            "state": str(state),
            "job_id": self.job_ids.get(job.name),
            "error": failure_of(job.folder) or None,
        }

    def _read(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = read_json_file(self._path, _IndexRecord)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"unreadable ({type(error).__name__}: {error})",
                where=self._path,
                remedy="remove the file: it is written again from the run folders",
            ) from error
        return record


def _upgraded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row under today's keys; version 0.1 wrote the job id as ``ticket``."""
    renamed = {"job_id" if key == "ticket" else key: value for key, value in row.items()}
    parameters = row.get("parameters") or {}
    return renamed | {"parameters": {upgrade_override(key): value for key, value in parameters.items()}}


def _require_same(before: Experiment, now: Experiment, folder: Path) -> None:
    if before == now:
        return
    differs = "; ".join(
        f"{key}: {_words(old)} → {_words(new)}"
        for (key, old), new in zip(before.record.items(), now.record.values(), strict=True)
        if old != new
    )
    raise CheckpointError(
        f"the folder holds another experiment ({differs})",
        where=folder,
        remedy="leave hydra.sweep.dir out, or give a new folder",
    )


def _words(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)
