"""Run a command from Python: the same run folder, and its result as an object."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from heritage.api.composition import explained, global_hydra, hydra_config
from heritage.api.overrides import command_overrides, require_command, require_flag
from heritage.cli import disk_error, load, prepared_task
from heritage.core.disk import full_disk_as_heritage_error
from heritage.core.files import config_dir
from heritage.runs.hydra_task import TaskError, carrying_errors
from heritage.runs.locks import releasing
from heritage.runs.run_result import RunResult

_OUTPUT = {"new": "folder", "collect": "folder", "curate": "out"}
"""The key that names a command's output where that is not ``paths.run``."""
_NO_OUTPUT = {"publish", "serve", "weights"}
"""Commands that write no folder of their output."""


def run(
    verb: str, *overrides: str | Iterable[str], multirun: bool = False, quiet: bool = False, **options: Any
) -> RunResult:
    """Run a command.

    It does what ``heritage <verb> <overrides>`` does and leaves the same folder.

    Args:
        verb: A command: ``new``, ``collect``, ``curate``, ``train``, ``embed``, ``evaluate``, ``compare``,
            ``explain``, ``predict``, ``export``, ``serve`` or ``weights``.
        *overrides: Hydra overrides, as the command takes them: ``"model=vit"``, ``"trainer.max_epochs=3"``,
            or a list of them. Paths and names need no quotes; in a multirun, commas separate values.
        multirun: Run every combination of comma-separated values, as ``-m`` does.
        quiet: Do not print what the command prints to standard output.
        **options: Further overrides by name: ``model="vit"``; two underscores stand for a dot
            (``data__root=path``). Values may be numbers, strings, paths, lists, dictionaries, booleans and
            None, and scalars and arrays of NumPy and torch; a string is one value, so a multirun's choices
            are given as overrides: ``"model=resnet18,vit"``.

    Returns:
        The folder, with its metrics and report; of a multirun the sweep's folder.

    Raises:
        HeritageError: Whatever the command would have refused, as one line.
        ArgumentError: An argument has the wrong type.

    Example:
        >>> result = heritage.run("train", *tiny, data__root=class_folders, quiet=True)
        >>> 0 <= result.metrics["macro_f1"] <= 1
        True
        >>> result.report.name
        'report.md'
    """
    require_command(verb)
    require_flag("multirun", multirun)
    require_flag("quiet", quiet)
    words = command_overrides(verb, overrides, options, multirun=multirun)
    task = carrying_errors(prepared_task(verb, inspect.unwrap(load(verb))))
    stdout = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    folder = str(config_dir().absolute())
    with (
        explained(verb, words),
        global_hydra(),
        initialize_config_dir(folder, job_name=verb, version_base="1.3"),
        _logging(),
        stdout,
        releasing(),
        _disk_errors(verb),
    ):
        return _multirun(verb, task, words) if multirun else _run(verb, task, words)


def _run(verb: str, task: Callable[[DictConfig], Any], words: list[str]) -> RunResult:
    with _as_command(verb, words), full_disk_as_heritage_error("."):
        done = _without_hydras_lines(lambda: _hydra().run(verb, task, [*words, "hydra.mode=RUN"]))
    value = done.return_value
    if isinstance(value, RunResult):
        return value
    if verb in _NO_OUTPUT:
        return RunResult(verb, None, value)
    cfg, hydra_cfg = cast("DictConfig", done.cfg), cast("DictConfig", done.hydra_cfg)
    with hydra_config(hydra_cfg):
        folder = OmegaConf.select(cfg, _OUTPUT.get(verb, "paths.run"))
    path = Path(getattr(value, "folder", folder)).absolute()
    return RunResult(verb, path if path.is_dir() else None, value)  # plan=true writes none


def _multirun(verb: str, task: Callable[[DictConfig], Any], words: list[str]) -> RunResult:
    words = [*words, "hydra.mode=MULTIRUN"]
    cfg = _hydra().compose_config(verb, words, run_mode=RunMode.MULTIRUN)
    with hydra_config(cfg):
        path = Path(str(cfg.hydra.sweep.dir)).absolute()
    value = _without_hydras_lines(lambda: _hydra().multirun(verb, task, words))
    return RunResult(verb, path if path.is_dir() else None, value)


@contextlib.contextmanager
def _disk_errors(verb: str) -> Iterator[None]:
    """Turn the error of a folder that cannot be written into the line that the command prints."""
    try:
        yield
    except OSError as fault:
        if (error := disk_error(fault, verb)) is None:
            raise
        raise error from fault


def _hydra() -> Any:
    """Return the application that `initialize_config_dir` made; its class is private."""
    return GlobalHydra.instance().hydra


def _without_hydras_lines(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except TaskError as failed:
        error = failed.error
    raise error


@contextlib.contextmanager
def _as_command(verb: str, words: list[str]) -> Iterator[None]:
    """Let Lightning start the other ranks of a run by the command, and not by the caller's script again."""
    main = sys.modules["__main__"]
    before = sys.argv, main.__spec__
    main.__spec__ = importlib.util.find_spec(f"heritage.{verb}")
    sys.argv = [str(getattr(main.__spec__, "origin", verb)), *words]
    try:
        yield
    finally:
        sys.argv, main.__spec__ = before


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Undo what Hydra does to the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
