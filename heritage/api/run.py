"""Run a command from Python: the same run folder, and an object to go on working with."""

from __future__ import annotations

import contextlib
import html
import inspect
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from heritage.api.composition import command_overrides, explained, global_hydra, hydra_config, require_command
from heritage.cli import load, prepared_task
from heritage.core.files import config_dir
from heritage.runs.files import METRICS_FILE, REPORT_FILE
from heritage.runs.record import read_json

_OUTPUT = {"collect": "folder", "curate": "out"}
"""The key that names a command's output where that is not ``paths.run``."""
_NO_OUTPUT = {"serve", "weights"}
"""Commands that write no folder."""
_REPORTS = ("report.html", REPORT_FILE, "comparison.html", "explanation.html", "README.md")
"""The page that a command writes for people, the richest first."""


@dataclass(frozen=True)
class RunResult:
    """What a command left behind.

    Attributes:
        verb: The command.
        folder: The folder it wrote: a run folder, a data set, the folder of a report, table or export; None
            for ``serve`` and ``weights``.
        value: What the command's function returned; None for most.
    """

    verb: str
    folder: Path | None
    value: Any = None

    @cached_property
    def details(self) -> dict[str, Any]:
        """The content of ``metrics.json``; empty for commands that measure nothing.

        Raises:
            CheckpointError: The file is damaged.
        """
        return {} if self.folder is None else read_json(self.folder, METRICS_FILE)

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by name, such as ``accuracy``, ``macro_f1`` and ``recall/<class>``.

        They are those of ``metrics.json`` without intervals and counts, see `details`.
        """
        values = {name: value for name, value in self.details.items() if isinstance(value, float)}
        for average in ("macro", "weighted"):
            for name, value in self.details.get(f"{average}_avg", {}).items():
                values.setdefault(f"{average}_{name}", value)
        for label, scores in self.details.get("classes", {}).items():
            values |= {f"{name}/{label}": value for name, value in scores.items() if isinstance(value, float)}
        return values

    @property
    def report(self) -> Path | None:
        """The page to read; None where the command writes none."""
        if self.folder is None:
            return None
        return next((self.folder / name for name in _REPORTS if (self.folder / name).is_file()), None)

    def __repr__(self) -> str:
        score = f", macro_f1={self.metrics['macro_f1']:.3f}" if "macro_f1" in self.metrics else ""
        return f"RunResult({self.verb}, folder='{self.folder}'{score})"

    def _repr_html_(self) -> str:
        rows = {"folder": str(self.folder)}
        if self.report is not None:
            rows["report"] = str(self.report)
        rows |= {name: f"{value:.4f}" for name, value in self.metrics.items()}
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in rows.items()
        )
        return f"<table><caption>heritage {html.escape(self.verb)}</caption>{cells}</table>"


def run(verb: str, *overrides: str, multirun: bool = False, quiet: bool = False, **options: Any) -> RunResult:
    """Run a command.

    It does what ``heritage <verb> <overrides>`` does and leaves the same folder.

    Args:
        verb: A command: ``collect``, ``curate``, ``train``, ``evaluate``, ``compare``, ``explain``,
            ``predict``, ``export``, ``serve`` or ``weights``.
        *overrides: Hydra overrides, as on the command line: ``"model=vit"``, ``"trainer.max_epochs=3"``.
            Paths and names need no quotes; in a multirun, commas separate values.
        multirun: Run every combination of comma-separated values, as ``-m`` does.
        quiet: Do not print what the command prints to standard output.
        **options: Further overrides by name: ``model="vit"``; two underscores stand for a dot
            (``data__root=path``). Values may be numbers, strings, paths, lists, dictionaries,
            booleans and None; a string is one value, so a multirun's choices are given as overrides:
            ``"model=resnet18,vit"``.

    Returns:
        The folder, with its metrics and report; of a multirun the sweep's folder.

    Raises:
        HeritageError: Whatever the command would have refused, as one line.

    Example:
        >>> result = heritage.run("train", *tiny, data__root=class_folders, quiet=True)
        >>> 0 <= result.metrics["macro_f1"] <= 1
        True
        >>> result.report.name
        'report.md'
    """
    require_command(verb)
    words = command_overrides(verb, overrides, options, multirun=multirun)
    task = prepared_task(verb, inspect.unwrap(load(verb)))
    stdout = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    with explained(verb, words), global_hydra(), _logging(), stdout:
        hydra = Hydra.create_main_hydra2(verb, create_config_search_path(str(config_dir().absolute())))
        if multirun:
            return _multirun(hydra, verb, task, words)
        done = hydra.run(verb, task, words)
        cfg, hydra_cfg = cast("DictConfig", done.cfg), cast("DictConfig", done.hydra_cfg)
        with hydra_config(hydra_cfg):
            folder = OmegaConf.select(cfg, _OUTPUT.get(verb, "paths.run"))
    if verb in _NO_OUTPUT:
        return RunResult(verb, None, done.return_value)
    return RunResult(verb, Path(getattr(done.return_value, "folder", folder)).absolute(), done.return_value)


def _multirun(hydra: Hydra, verb: str, task: Callable[[DictConfig], Any], words: list[str]) -> RunResult:
    cfg = hydra.compose_config(verb, words, run_mode=RunMode.MULTIRUN)
    with hydra_config(cfg):
        folder = str(cfg.hydra.sweep.dir)
    return RunResult(verb, Path(folder).absolute(), hydra.multirun(verb, task, words))


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
