"""Every command line in the documents and headers composes, and every Python example parses."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

import heritage
from heritage.cli import COMMANDS, REWRITES, load, require_no_dashes
from heritage.config.compose import COMPOSITION_ERRORS, compose_command
from heritage.config.overrides import prepared_overrides
from heritage.config.register import register
from heritage.config.validate import validate
from heritage.core.files import config_dir
from heritage.errors import HeritageError
from website.options import comment_header
from website.pages import documents, parts

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = documents(ROOT)
HEADERS = sorted(config_dir().rglob("*.yaml"))
SHELL = ("console", "sh", "bash")
PROGRAM = re.compile(r"(?:python -m heritage\.|heritage )(?P<verb>[a-z]+)\b(?P<rest>.*)")


def blocks(document: Path, languages: tuple[str, ...]) -> list[str]:
    """The fenced blocks of these languages, without their fences."""
    found = [part for code, part in parts(document.read_text(encoding="utf-8")) if code]
    return [block.split("\n", 1)[1].rpartition("```")[0] for block in found if block.startswith(
        tuple(f"```{language}\n" for language in languages)
    )]  # fmt: skip


def lines_of(text: str) -> Iterator[str]:
    """The command lines of a block: joined, without prompts, assignments, programs before them and output."""
    joined = re.sub(r"\\\n\s*", " ", text)
    prompted = "\n$ " in f"\n{joined}"
    for line in joined.splitlines():
        if prompted and not line.startswith("$ "):
            continue
        for command in line.removeprefix("$ ").split(" && "):
            yield re.sub(r"^srun .*--pty ", "", re.sub(r"^(?:[A-Z_]+=\S+ )+", "", command)).strip()


def commands() -> dict[str, str]:
    """Every command of this package in the documents and headers, with the first place it is written in."""
    found: dict[str, str] = {}
    for document in DOCUMENTS:
        for block in blocks(document, SHELL):
            for line in lines_of(block):
                if PROGRAM.match(line):
                    found.setdefault(shlex.join(words(line)), document.name)
    for path in HEADERS:
        text = re.sub(r"\\\n\s*", " ", "\n".join(comment_header(path)))
        for line in text.splitlines():
            if line.startswith("  python -m heritage."):
                # What follows two blanks is an explanation.
                command = re.split(r"\s{2,}", line.strip())[0]
                found.setdefault(shlex.join(words(command)), path.relative_to(config_dir()).as_posix())
    return found


def words(line: str) -> list[str]:
    """The words of a command line, with a name in place of ``<run folder>`` and ``…``."""
    line = re.sub(r"<[^<>]+>", "name", line.replace("python -m heritage.", "heritage "))
    return [word.replace("=…", "=name") for word in shlex.split(line, comments=True) if word != "…"]


WRONG = "heritage train model=vit model.dpeth=3"
"""Shown with the error that it ends in."""
COMMAND_LINES = commands()


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMAND_LINES, ids=lambda line: f"{COMMAND_LINES[line]}: {line}")
def test_a_command_line_composes(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, verb, *arguments = shlex.split(line)
    assert verb in COMMANDS
    if line == WRONG:
        return
    if (
        "--config-dir" in arguments
        or "hydra.searchpath" in line
        or not (config_dir() / f"{verb}.yaml").is_file()
    ):
        return  # files of the reader's own
    if flags := [word for word in arguments if word.startswith("-")]:
        assert set(flags) <= {"-m", "--help", "--cfg"}
    load(verb)
    arguments = REWRITES.get(verb, list)(arguments)
    require_no_dashes(arguments)
    register()
    given = [word for word in arguments if "=" in word or word.startswith("~")]
    for overrides in runs(prepared_overrides(verb, given, multirun="-m" in flags), multirun="-m" in flags):
        cfg = compose_command(verb, ["paths.run=/run", *needed(verb, given), *overrides])
        cfg._set_flag("struct", False)
        monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)  # ${hydra:…} is resolved from it
        plain = cfg.copy()
        del plain["hydra"]
        validate(plain, verb)


def runs(overrides: list[str], *, multirun: bool) -> list[list[str]]:
    """The first and the last run of a sweep, or the only run."""
    if not multirun:
        return [overrides]
    every = BasicSweeper.split_arguments(
        OverridesParser.create().parse_overrides(overrides), max_batch_size=None
    )[0]
    return [every[0], every[-1]]


def needed(verb: str, given: list[str]) -> list[str]:
    """Values for what a command needs and an example leaves out for shortness."""
    used = {word.partition("=")[0].lstrip("+") for word in given}
    text = (config_dir() / f"{verb}.yaml").read_text(encoding="utf-8")
    keys = [key for key in ("ckpt", "input", "runs", "repo") if f"\n{key}: ???" in text]
    if verb == "train" and {"data=folder", "data=table", "data=class_folders", "data=met_ceramics"} & set(
        given
    ):
        keys.append("data.root")
    return [f"{key}=name" for key in keys if key not in used]


def test_enough_command_lines_are_found() -> None:
    # An extraction that finds nothing would pass.
    assert len(COMMAND_LINES) > 150
    assert {shlex.split(line)[1] for line in COMMAND_LINES} == set(COMMANDS)
    assert WRONG in COMMAND_LINES


def test_a_wrong_command_line_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (
        f"{WRONG} seed=1",
        "heritage train model=vti",
        "heritage serve prot=8",
        "heritage train -m model=vit,vti",
    ):
        with pytest.raises((HeritageError, *COMPOSITION_ERRORS)):
            test_a_command_line_composes(wrong, monkeypatch)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = {
        word
        for document in DOCUMENTS
        for block in blocks(document, SHELL)
        for line in lines_of(block)
        for word in re.findall(r"^make ([a-z-]+)", line)
    }
    assert used
    assert used <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_examples_parse_and_use_the_public_names(document: Path) -> None:
    for block in blocks(document, ("python",)):
        tree = ast.parse(textwrap.dedent(block))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "heritage":
                assert node.attr in heritage.__all__
