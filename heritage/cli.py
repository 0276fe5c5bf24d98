"""The commands, and how each one starts: compose, run, and turn what goes wrong into one line.

Every verb is ``python -m heritage.<verb>`` and ``heritage <verb>``. Only Hydra is imported here, so
that help and mistakes in a command line are answered at once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeGuard

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from heritage.config.faults import FaultyConfigError, explain_composition_error
from heritage.config.help import asks_for_help, help_text
from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.errors import HeritageError

COMMANDS: dict[str, str] = {
    "collect": "museum → raw images with licences and a ledger",
    "curate": "raw photographs → clean, split data set with a report",
    "train": "data set → checkpoint and test report",
    "evaluate": "checkpoint × data set → scores with intervals, calibration, mistakes, audits",
    "compare": "many runs → tables, paired tests and figures, the thesis's beside ours",
    "explain": "checkpoint × images → saliency maps, held against random ones",
    "predict": "checkpoint × photographs → a table of answers",
    "export": "checkpoint → ONNX, torch.export or timm's layout, with a model card",
    "serve": "checkpoint → a web page and a JSON API",
    "weights": "model name → pretrained weights in the cache, for machines without network",
}
"""Each verb and what it turns into what, in the order in which the data flows."""

EXIT_FAULT = 2
_DISK_FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "no permission",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOENT: "no such file or folder, and none can be made",
}
_FULL_ERROR = "HYDRA_FULL_ERROR"


def command(
    verb: str, *, rewrite: Callable[[list[str]], list[str]] | None = None
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a Hydra application of a function.

    The application reads ``conf/<verb>.yaml`` and the command line. A `HeritageError`, a mistake in
    the command line or Ctrl-C ends in a line on stderr and exit code 2; with ``HYDRA_FULL_ERROR=1``
    the exception itself comes through.

    Args:
        verb: The command's name, a key of `COMMANDS`.
        rewrite: Turns command-line arguments of another form into overrides.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        wish: dict[str, str | None] = {}  # what the person set HYDRA_FULL_ERROR to

        @functools.wraps(task)
        def job(cfg: DictConfig) -> Any:
            with _full_error(wish.get(_FULL_ERROR)):
                try:
                    return task(cfg)
                except (HeritageError, OSError, KeyboardInterrupt) as fault:
                    _raise_unexplained(fault)
                    # In a sweep the other jobs go on, and Hydra raises the fault at the end.
                    if wish.get(_FULL_ERROR) == "1" or HydraConfig.get().mode == RunMode.MULTIRUN:
                        raise
                    _leave(verb, fault)

        application = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=verb)(job)

        @functools.wraps(task)
        def main() -> None:
            if rewrite is not None:
                sys.argv[1:] = rewrite(sys.argv[1:])
            register()
            wish[_FULL_ERROR] = os.environ.get(_FULL_ERROR)
            # Hydra prints and exits by itself unless full errors are on: have them, and print our line.
            with _full_error("1"):
                try:
                    if asks_for_help(sys.argv[1:]):
                        print(help_text(verb, overrides_of(sys.argv[1:])))
                    else:
                        application()
                except (
                    HeritageError, HydraException, OmegaConfBaseException, OSError, KeyboardInterrupt
                ) as fault:  # fmt: skip
                    _raise_unexplained(fault)
                    if wish[_FULL_ERROR] == "1":
                        raise
                    _leave(verb, fault)

        return main

    return decorate


@contextlib.contextmanager
def _full_error(value: str | None) -> Iterator[None]:
    before = os.environ.pop(_FULL_ERROR, None)
    if value is not None:
        os.environ[_FULL_ERROR] = value
    try:
        yield
    finally:
        os.environ.pop(_FULL_ERROR, None)
        if before is not None:
            os.environ[_FULL_ERROR] = before


def _raise_unexplained(fault: BaseException) -> None:
    # some of Hydra's are OSErrors too
    if isinstance(fault, OSError) and not isinstance(fault, HydraException) and not _of_disk(fault):
        raise fault


def _of_disk(fault: BaseException) -> TypeGuard[OSError]:
    return isinstance(fault, OSError) and fault.errno in _DISK_FAULTS


def _leave(verb: str, fault: BaseException) -> NoReturn:
    for line in _lines(verb, fault):
        print(f"heritage {verb}: {line}", file=sys.stderr)
    sys.exit(EXIT_FAULT)


def _lines(verb: str, fault: BaseException) -> list[str]:
    if _of_disk(fault):
        place = f"{fault.filename}: " if fault.filename else ""
        return [f"{place}{_DISK_FAULTS[fault.errno or 0]}; what was finished is kept, start again to go on"]
    if isinstance(fault, KeyboardInterrupt):
        return [str(fault) or "stopped by Ctrl-C; what was finished is kept, start again to go on"]
    fault = heritage_cause(fault) or fault
    if isinstance(fault, FaultyConfigError):
        return list(fault.faults)
    if isinstance(fault, HeritageError):
        return [str(fault)]
    return explain_composition_error(fault, verb, overrides_of(sys.argv[1:]))


def heritage_cause(error: BaseException) -> HeritageError | None:
    """Return the `HeritageError` behind an exception: OmegaConf wraps those of resolvers."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HeritageError):
        cause = cause.__cause__
    return cause


def overrides_of(arguments: list[str]) -> list[str]:
    """Return the Hydra overrides among command-line arguments."""
    return [word for word in arguments if "=" in word.lstrip("~") or word.startswith("~") if word[:1] != "-"]


def usage() -> str:
    """Return the list of commands."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {verb:<{width}}  {what}" for verb, what in COMMANDS.items())
    return (
        "usage: heritage <command> [key=value …]   or   python -m heritage.<command> [key=value …]\n\n"
        f"commands:\n{rows}\n\n"
        "heritage <command> --help shows a command's options.\n"
    )


def load(verb: str) -> Callable[[], Any]:
    """Import a verb's module and return its main function."""
    from importlib import import_module

    main: Callable[[], Any] = import_module(f"heritage.{verb}").main
    return main
