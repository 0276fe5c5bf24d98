"""Loggers: CSV, Weights & Biases, TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.utilities import rank_zero_only

from heritage.core.csv_files import read_records
from heritage.core.option_types import FilePath
from heritage.core.types import PositiveInt
from heritage.errors import CheckpointError, MissingDependencyError
from heritage.models.checkpoint_file import open_checkpoint
from heritage.runs.files import CHECKPOINTS_FOLDER, LAST_CHECKPOINT


def csv(every_n_steps: PositiveInt, *, folder: FilePath) -> Logger:
    """Log to ``logs/metrics.csv`` in the run folder, flushed every ``every_n_steps`` steps.

    A resumed run appends to the same file, after the step of its checkpoint.
    """
    logger = CSVLogger(folder, name="logs", version="", flush_logs_every_n_steps=every_n_steps)
    path = Path(logger.log_dir) / "metrics.csv"
    if getattr(rank_zero_only, "rank", 0) == 0 and path.is_file():
        rows = _rows_until(path, Path(folder) / CHECKPOINTS_FOLDER / LAST_CHECKPOINT)
        writer = logger.experiment  # deletes the file when it is created
        if rows:
            writer.metrics = rows
            writer.save()
    return logger


def wandb(project: str, entity: str | None, offline: bool, tags: list[str], *, folder: FilePath) -> Logger:
    """Log to Weights & Biases; ``offline`` needs neither account nor network.

    The id is stored in the run folder, so that a resumed run continues the same Weights & Biases run.
    """
    from pytorch_lightning.loggers import WandbLogger

    return WandbLogger(
        save_dir=folder,
        project=project,
        entity=entity,
        offline=offline,
        tags=tags,
        id=_run_id(Path(folder) / "wandb_id.txt"),
        resume=None if offline else "allow",
    )


def tensorboard(*, folder: FilePath) -> Logger:
    """Log to TensorBoard event files below ``tensorboard/`` in the run folder.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """
    from pytorch_lightning.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(folder, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "TensorBoard is not installed", where="logger", remedy="pip install 'heritage[tensorboard]'"
        ) from error


def _rows_until(path: Path, checkpoint: Path) -> list[dict[str, Any]]:
    if not checkpoint.is_file():
        return []
    step = open_checkpoint(checkpoint).get("global_step")  # memory-mapped: only the step is read
    if type(step) is not int:
        raise CheckpointError(
            "it has no number of steps", where=checkpoint, remedy="remove it, and the run starts again"
        )
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in read_records(file) if int(row["step"]) < step]


def _run_id(path: Path) -> str | None:
    from wandb.sdk.lib.runid import generate_id

    from heritage.core.files import write_text

    if getattr(rank_zero_only, "rank", 0):
        return None  # only the first rank logs
    if not path.is_file():
        write_text(path, generate_id())
    return path.read_text(encoding="utf-8").strip()
