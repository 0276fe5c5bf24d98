"""Where figures are logged: CSV, Weights & Biases, TensorBoard."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning.loggers import CSVLogger, Logger

from heritage.config.types import Count
from heritage.errors import MissingDependencyError


def csv(every_n_steps: Count, *, folder: str) -> Logger:
    """Log to ``logs/metrics.csv`` in the run folder, flushed every ``every_n_steps`` steps."""
    return CSVLogger(folder, name="logs", version="", flush_logs_every_n_steps=every_n_steps)


def wandb(project: str, entity: str | None, offline: bool, tags: list[str], *, folder: str) -> Logger:
    """Log to Weights & Biases; ``offline`` needs neither account nor network.

    The run's id is kept in the run folder, so that a resumed run goes on in the same one.
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


def tensorboard(*, folder: str) -> Logger:
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


def _run_id(path: Path) -> str:
    from wandb.sdk.lib.runid import generate_id

    from heritage.paths import write_text

    if not path.is_file():
        write_text(path, generate_id())
    return path.read_text(encoding="utf-8").strip()
