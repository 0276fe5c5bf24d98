"""The lock of a run folder, held by its first process from before Hydra writes into it until the run ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from heritage.core.locks import FileLock
from heritage.core.signals import work_begins
from heritage.errors import HeritageError
from heritage.runs.files import LOCK_FILE
from heritage.runs.folders import explicit_run_folder

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "SUBMITIT_LOCAL_GLOBALID")
_NAMED_BY_TIME = "${now:"


@dataclass
class _Held:
    """A lock of this process; blocks of the same thread share it."""

    lock: FileLock
    thread: int
    blocks: int = 0


_held: dict[Path, _Held] = {}
_planned: set[Path] = set()


def is_first_rank() -> bool:
    """Return whether this is the first process of a run, which holds its lock and writes its files."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


@contextlib.contextmanager
def run_locked(folder: Path, *, patience: float = 0.0, begins: bool = True) -> Iterator[None]:
    """Hold a run folder while the block runs; nested blocks of one thread share the lock.

    The other ranks of a run do not lock: they share the lock of the first.

    Args:
        folder: The run folder, or the folder of a report; it is created.
        patience: Seconds to wait until it is free, before raising.
        begins: Whether the command begins to write; before that, a signal ends it at once.

    Raises:
        ConfigError: The folder cannot be written.
        BusyError: Another process, or another thread of this one, is using it.
    """
    if not is_first_rank():
        yield
        return
    key = _resolved(folder)
    held = _held.get(key)
    if held is None or held.thread != threading.get_ident():
        held = _Held(FileLock(folder / LOCK_FILE, patience=patience), threading.get_ident())
        _held[key] = held
    held.blocks += 1
    if begins:
        work_begins()
    try:
        yield
    finally:
        held.blocks -= 1
        if not held.blocks:
            release_run(folder)


def release_run(folder: Path) -> None:
    """Release a run folder, so that a process which this one starts can hold it."""
    held = _held.pop(_resolved(folder), None)
    if held is not None:
        held.lock.release()


def _resolved(folder: Path) -> Path:
    return Path(os.path.realpath(folder))  # Path.resolve raises for a link that leads back to itself


class ClaimFolder(Callback):
    """Hydra's callback that claims the output folder of a command before Hydra writes into it.

    A folder that is named after the time of the start is created under a name that no other process has: two
    commands may start in the same second. If a given folder is in use, Hydra writes nothing, and the command
    itself raises the error.
    """

    def __init__(self) -> None:
        self._claim = contextlib.ExitStack()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create and lock the folder of a single command."""
        node = config.hydra
        if node.output_subdir is None or not is_first_rank():
            return
        with contextlib.suppress(OmegaConfBaseException, HeritageError, OSError), _values_of(config):
            folder = Path(str(node.run.dir))
            if _is_named_by_time(node.run) and not _is_given(config):
                folder = create_free_folder(folder)
            with read_write(node), open_dict(node):
                node.run.dir = str(folder)
                node.output_subdir, subdir = None, node.output_subdir
                self._claim.enter_context(run_locked(folder, begins=False))
                node.output_subdir = subdir

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Release the folder."""
        self._claim.close()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the folder of several commands, if it is named after the time."""
        node = config.hydra
        with contextlib.suppress(OmegaConfBaseException, HeritageError, OSError), _values_of(config):
            if not _is_named_by_time(node.sweep):
                return
            folder = str(create_free_folder(Path(str(node.sweep.dir))))
            with read_write(node), open_dict(node):
                node.sweep.dir = folder
                # Hydra composes the configuration of each job again.
                node.overrides.hydra.append(f"hydra.sweep.dir='{folder}'")


@contextlib.contextmanager
def releasing() -> Iterator[None]:
    """Release the folders that a command claims in the block: an exception skips the callback's end."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in set(_held) - before:
            release_run(folder)


def planned_folder(config: DictConfig) -> Path:
    """Return the folder of a configuration that is composed in Python, which writes nothing yet.

    Two configurations composed in one second have different folders.
    """
    folder = Path(str(config.hydra.run.dir))
    if config.hydra.output_subdir is None or not _is_named_by_time(config.hydra.run) or _is_given(config):
        return folder
    free = folder
    for number in itertools.count(2):
        if free.absolute() not in _planned and not free.exists():
            break
        free = folder.with_name(f"{folder.name}-{number}")
    _planned.add(free.absolute())
    return free


def create_free_folder(folder: Path) -> Path:
    """Create a folder that did not exist: ``folder``, or ``folder`` with the first free number from 2.

    Raises:
        OSError: It cannot be created.
    """
    free = folder
    for number in itertools.count(2):
        try:
            free.mkdir(parents=True)
        except FileExistsError:
            free = folder.with_name(f"{folder.name}-{number}")
        else:
            break
    return free


def _is_named_by_time(node: DictConfig) -> bool:
    plain = OmegaConf.to_container(node, resolve=False)
    return isinstance(plain, dict) and _NAMED_BY_TIME in str(plain["dir"])


def _is_given(config: DictConfig) -> bool:
    """Return whether the command names its run folder, or resumes in one."""
    return config.get("resume") not in (None, False) or explicit_run_folder(config) is not None


@contextlib.contextmanager
def _values_of(config: DictConfig) -> Iterator[None]:
    """Resolve ``${hydra:…}`` from this configuration, as Hydra does a moment later."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.set_config(config)
    try:
        yield
    finally:
        instance.cfg = before
