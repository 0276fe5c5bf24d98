"""The commands, and their common entry point: compose, run, and print errors as one line.

Every command is ``python -m heritage.<verb>`` and ``heritage <verb>``. Hydra is imported when a command
starts, so that the list of commands appears at once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from heritage.core.disk import full_disk_as_os_error
from heritage.core.signals import Terminated, stopped_in_one_line
from heritage.core.terminal import STANDARD_OUTPUT, command_output, escape_logs, print_line, print_text
from heritage.errors import BusyError, ConfigError, HeritageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMMANDS: dict[str, str] = {
    "new": "name → a folder for your own photographs, with a configuration and the commands",
    "collect": "museum → raw images with licences and a ledger",
    "curate": "raw photographs → clean, split data set with a report",
    "train": "data set → checkpoint and test report",
    "embed": "network × data set → a store of features for probes, maps, audits and nearest objects",
    "evaluate": "checkpoint × data set → metrics with confidence intervals, calibration, errors, audits",
    "compare": "many runs → tables, paired tests and figures, beside the thesis's results",
    "explain": "checkpoint × images → saliency maps, with tests of their faithfulness",
    "predict": "checkpoint × photographs → a table of predictions",
    "export": "checkpoint → ONNX, torch.export or timm's layout, with a model card",
    "publish": "checkpoint or data set → a Hugging Face hub, or an archive for Zenodo",
    "serve": "checkpoint → a web page and a JSON API",
    "weights": "model name → pretrained weights in the cache, for machines without network",
}
"""Each command with its input and output, in the order of the workflow."""

EXIT_FAULT = 2
EXIT_CLOSED_PIPE = 141
"""As of a program that the signal of a closed pipe ended: 128 + SIGPIPE."""
_DISK_FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "no permission",
    errno.ENOTDIR: "a component of the path is a file",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOENT: "no such file or folder, and it cannot be created",
    errno.EPERM: "no permission",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network disk no longer has it",
    errno.EISDIR: "a folder is in the place of a file",
    errno.EEXIST: "a file is in the place of a folder",
    errno.ELOOP: "a link leads back to itself",
}
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP}
HELP_SECTIONS: dict[str, Callable[[], Mapping[str, Sequence[str]]]] = {}
"""What returns the sections that a command adds to its help; filled when the command is imported."""
REWRITES: dict[str, Callable[[list[str]], list[str]]] = {}
"""What converts a command's arguments of another form into overrides; filled in the same way."""
_RESUME = "finished work is kept, run the same command again to continue"
_FULL_ERROR = "HYDRA_FULL_ERROR"
_FLAGS = ("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--info", "--multirun", "--config-dir")
_FLAGS_WITH_VALUE = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn"}


def command(
    verb: str,
    *,
    rewrite: Callable[[list[str]], list[str]] | None = None,
    help_sections: Callable[[], Mapping[str, Sequence[str]]] | None = None,
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Make a Hydra application of a function.

    The application reads ``conf/<verb>.yaml`` and the command line. A `HeritageError`, a mistake in the
    command line, a full disk, Ctrl-C or SIGTERM ends in a line on stderr and exit code 2; with
    ``HYDRA_FULL_ERROR=1`` the exception itself is raised. A signal while modules are still being imported
    ends in a line and exit code 130 or 143.

    Args:
        verb: The command's name, a key of `COMMANDS`.
        rewrite: Converts command-line arguments of another form into overrides.
        help_sections: Returns sections of the command's help beside those of every command: title → rows.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        if help_sections is not None:
            HELP_SECTIONS[verb] = help_sections
        if rewrite is not None:
            REWRITES[verb] = rewrite

        @functools.wraps(task)
        def main() -> None:
            name = f"heritage {verb}"
            with stopped_in_one_line(name), command_output(name):
                if rewrite is not None:
                    sys.argv[1:] = rewrite(sys.argv[1:])
                _start(verb, task, help_sections or dict)

        return main

    return decorate


def _start(
    verb: str, task: Callable[[DictConfig], Any], help_sections: Callable[[], Mapping[str, Sequence[str]]]
) -> None:
    import hydra

    from heritage.config.compose import COMPOSITION_ERRORS
    from heritage.config.help import asks_for_help, config_dir_override, help_text
    from heritage.config.register import register
    from heritage.core.files import config_dir
    from heritage.runs.locks import releasing

    register()
    users_choice = os.environ.get(_FULL_ERROR)
    failed: list[HeritageError] = []
    job = _job(verb, prepared_task(verb, task), users_choice, failed)
    logging.raiseExceptions = False  # no traceback for each line of the log that a full disk refuses
    # Unless full errors are on, Hydra prints errors and exits; we print our own line instead.
    with _full_error("1"), releasing():
        try:
            sys.argv[1:] = _prepared_arguments(verb, sys.argv[1:])
            if asks_for_help(sys.argv[1:]):
                overrides = [*config_dir_override(sys.argv[1:]), *overrides_of(sys.argv[1:])]
                write_output(help_text(verb, overrides, help_sections()), verb)
            else:
                hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=verb)(job)()
            write_output("", verb)
            if failed:
                sys.exit(EXIT_FAULT)
        except (HeritageError, *COMPOSITION_ERRORS, OSError, KeyboardInterrupt) as fault:
            if _lost_its_reader(fault):
                _exit_without_output(verb, fault)
            if users_choice == "1" or _is_a_defect(fault):
                raise
            _exit_with(verb, fault)
        except ValueError as fault:
            # what logging raises for a log file that cannot be opened
            if users_choice == "1" or not _is_of_disk(fault.__cause__):
                raise
            _exit_with(verb, fault.__cause__)


def _job(
    verb: str,
    task: Callable[[DictConfig], Any],
    full_error: str | None,
    failed: list[HeritageError],
) -> Callable[[DictConfig], Any]:
    """Return what Hydra calls: the task, with the user's own setting of ``HYDRA_FULL_ERROR``.

    In a multirun an error is printed and added to ``failed``, and the other jobs continue: Hydra would report
    the first one alone, with a line about itself.
    """

    @functools.wraps(task)
    def job(cfg: DictConfig) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        with _full_error(full_error):
            try:
                escape_logs()
                with full_disk_as_os_error(str(cfg.paths.run)):
                    return task(cfg)
            except (HeritageError, OSError, KeyboardInterrupt) as fault:
                multirun = HydraConfig.get().mode == RunMode.MULTIRUN
                if multirun and full_error != "1" and isinstance(fault, HeritageError):
                    _print_fault(f"{verb} {' '.join(HydraConfig.get().overrides.task)}", fault)
                    failed.append(fault)
                    return None
                if full_error == "1" or multirun or _is_a_defect(fault):
                    raise
                _exit_with(verb, fault)

    return job


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


def write_output(text: str, verb: str = "") -> None:
    """Print text, if there is any, and what was printed before; exit if nobody can read it.

    Without it Python reports a closed pipe or a full disk with a traceback, at its end at the latest.
    """
    try:
        if text:
            print_text(text)
        sys.stdout.flush()
    except OSError as fault:
        _exit_without_output(verb, fault)


def _exit_without_output(verb: str, fault: OSError) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(fault, BrokenPipeError):
        sys.exit(EXIT_CLOSED_PIPE)
    reason = _DISK_FAULTS.get(fault.errno or 0) or fault.strerror
    print_line(f"{f'heritage {verb}'.strip()}: standard output: {reason}; send it elsewhere", error=True)
    sys.exit(EXIT_FAULT)


def _lost_its_reader(fault: BaseException) -> TypeGuard[BrokenPipeError]:
    """Return whether an error comes from a closed standard output, not from a pipe between processes."""
    if not isinstance(fault, BrokenPipeError):
        return False
    import select

    poll = select.poll()
    with contextlib.suppress(OSError, ValueError):
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    return False


def _is_a_defect(fault: BaseException) -> bool:
    """Return whether an error deserves its traceback: an OSError that no line of ours explains."""
    from hydra.errors import HydraException  # some of Hydra's errors are OSErrors, too

    return isinstance(fault, OSError) and not isinstance(fault, HydraException) and not _is_of_disk(fault)


def _is_of_disk(fault: BaseException | None) -> TypeGuard[OSError]:
    return isinstance(fault, OSError) and fault.errno in _DISK_FAULTS


def _exit_with(verb: str, fault: BaseException) -> NoReturn:
    if isinstance(fault, OSError) and fault.filename == STANDARD_OUTPUT:
        _exit_without_output(verb, fault)
    write_output("", verb)
    _print_fault(verb, fault)
    sys.exit(EXIT_FAULT)


def _print_fault(verb: str, fault: BaseException) -> None:
    name = f"heritage {verb}: "
    for line in _lines(verb, fault):
        print_line(name + line.removeprefix(name), error=True)  # the command can be what is wrong


def _lines(verb: str, fault: BaseException) -> list[str]:
    from heritage.config.composition_errors import explain_composition_error
    from heritage.config.config_files import with_files
    from heritage.config.faults import FaultyConfigError
    from heritage.config.help import config_dir_override

    if (error := disk_error(fault, verb)) is not None:
        return [str(error) if error.where != verb else f"{error.what}; {error.remedy}"]
    if isinstance(fault, KeyboardInterrupt):
        reason = str(fault) or "stopped by Ctrl-C"
        return [reason if str(fault) and not isinstance(fault, Terminated) else f"{reason}; {_RESUME}"]
    fault = heritage_cause(fault) or fault
    overrides = [*config_dir_override(sys.argv[1:]), *overrides_of(sys.argv[1:])]
    if isinstance(fault, FaultyConfigError):
        return with_files(fault.faults, overrides)
    if isinstance(fault, HeritageError):
        return [str(fault)]
    return explain_composition_error(fault, verb, overrides)


def disk_error(fault: BaseException, verb: str) -> ConfigError | None:
    """Return the one-line error for a file or folder that cannot be written; None for other exceptions."""
    if not _is_of_disk(fault):
        return None
    number = fault.errno or 0
    # a file is written beside its place and renamed
    where = (fault.filename2 if number in _IN_THE_WAY else None) or fault.filename or verb
    remedy = "remove it, or choose another folder" if number in _IN_THE_WAY else _RESUME
    return ConfigError(_DISK_FAULTS[number], where=os.fsdecode(where), remedy=remedy)


def heritage_cause(error: BaseException) -> HeritageError | None:
    """Return the `HeritageError` that caused an exception: OmegaConf wraps the errors of resolvers."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HeritageError):
        # OmegaConf raises its own error while the resolver's is handled, and removes the cause.
        cause = cause.__cause__ or (cause.__context__ if hasattr(cause, "full_key") else None)
    return cause


def _prepared_arguments(verb: str, arguments: list[str]) -> list[str]:
    """Return a command line whose overrides Hydra reads as they are meant."""
    from heritage.config.help import config_dir_override
    from heritage.config.overrides import prepared_overrides

    require_no_dashes(arguments)
    places = [
        place
        for place, (before, word) in enumerate(zip(["", *arguments], arguments, strict=False))
        if before not in _FLAGS_WITH_VALUE and overrides_of([word])
    ]
    words = prepared_overrides(
        verb,
        [arguments[place] for place in places],
        others=config_dir_override(arguments),
        multirun=bool({"-m", "--multirun"} & set(arguments)),
    )
    done = list(arguments)
    for place, word in zip(places, words, strict=True):
        done[place] = word
    return done


def require_no_dashes(arguments: Sequence[str]) -> None:
    """Check that no option is written ``--key=value`` or ``--key value``, as those of other programs are.

    Raises:
        ConfigError: One is, or flags exclude each other.
    """
    from hydra._internal.utils import get_args_parser

    from heritage.core.taxonomy import nearest

    known, unknown = get_args_parser().parse_known_args(arguments)
    if known.experimental_rerun is not None:
        raise ConfigError(
            "unpickling a configuration would run code that the file names",
            where="--experimental-rerun",
            remedy="resume=<run folder> continues a run with its own configuration",
        )
    if known.multirun and (known.cfg or known.info):
        raise ConfigError(
            "shows the configuration of one run",
            where="--cfg" if known.cfg else "--info",
            remedy="leave -m out, and give one value for each option",
        )
    if word := next((word for word in unknown if word.startswith("--")), None):
        flag, equals, value = word.partition("=")
        following = [*arguments[arguments.index(word) + 1 :], "<value>"][0]
        name = flag.lstrip("-")
        if not equals and (near := nearest(flag, _FLAGS)):
            raise ConfigError("no such flag", where=word, remedy=f"did you mean {near}?")
        raise ConfigError(
            "options have no dashes", where=word, remedy=f"write {name}={value if equals else following}"
        )


def prepared_task(verb: str, task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Return a command's function that expands ``~`` in paths and removes an unused run folder."""

    @functools.wraps(task)
    def prepared(cfg: DictConfig) -> Any:
        from heritage.config.overrides import expand_home
        from heritage.runs.folders import remove_unused_run_folder

        try:
            expand_home(cfg, verb)
            return task(cfg)
        except (HeritageError, OSError, KeyboardInterrupt) as fault:
            if not isinstance(fault, BusyError):
                remove_unused_run_folder()
            raise

    return prepared


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
    """Import a command's module and return its main function."""
    from importlib import import_module

    main: Callable[[], Any] = import_module(f"heritage.{verb}").main
    return main
