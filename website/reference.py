"""The reference of commands and configuration files: one page per command, one per group.

It is made of conf/ (headers, comments, values), the schemas and signatures (types) and docstrings, so that a
new command, group or option has its place without a line here.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from omegaconf import DictConfig

from heritage.cli import COMMANDS, HELP_SECTIONS, load
from heritage.config.compose import ADDED, ADDING, compose_command, groups, options
from heritage.config.register import register
from heritage.config.schema import SCHEMAS
from heritage.core.files import config_dir
from website import options as read
from website.markdown import anchor, cell, code, header, prose, table
from website.options import Option
from website.pages import Site, toctree

_TOP = "../../"


def write_reference(site: Site) -> None:
    """Write the pages of all commands and groups, and their two lists."""
    register()
    for verb in COMMANDS:
        site.write(f"reference/commands/{verb}.md", _command_page(verb))
    rows = [(f"[heritage {verb}](commands/{verb}.md)", prose(what)) for verb, what in COMMANDS.items()]
    site.write(
        "reference/commands.md",
        _page(
            "Commands", table(["command", "input → output"], rows), [f"commands/{verb}" for verb in COMMANDS]
        ),
    )
    names = [name for name in groups() if _files(name)]
    for name in names:
        site.write(f"reference/groups/{_slug(name)}.md", _group_page(name))
    rows = [
        (f"[{name}](groups/{_slug(name)}.md)", ", ".join(code(o) for o in _visible(name))) for name in names
    ]
    text = (
        "The groups of `conf/`. An option is chosen by `group=option`, and each of its values is changed by "
        "its key, `key=value`.\n\n"
    )
    site.write(
        "reference/groups.md",
        _page(
            "Configuration groups",
            text + table(["group", "options"], rows),
            [f"groups/{_slug(n)}" for n in names],
        ),
    )


def _page(title: str, text: str, pages: Sequence[str]) -> str:
    return f"# {title}\n\n{text}\n{toctree(pages)}"


def _command_page(verb: str) -> str:
    parts = [f"# heritage {verb}", prose(f"{COMMANDS[verb]}.")]
    path = config_dir() / f"{verb}.yaml"
    if not path.is_file():
        return "\n\n".join([*parts, _own_help(verb)]) + "\n"
    parts += [header(read.comment_header(path), _TOP)]
    cfg = compose_command(verb, [])
    if rows := _group_rows(verb, cfg):
        parts += [
            "## Groups",
            f"Choose an option with {code('group=option')}.",
            table(["group", "default", "options"], rows),
        ]
    for title, lines in _sections(verb).items():
        parts += [f"## {title}", "```text\n" + "\n".join(lines) + "\n```"]
    parts += [
        "## Options",
        f"Give a value with {code('key=value')}; {code('???')} marks a value that you must give.",
    ]
    parts += _option_tables(_command_options(verb), read.comments(path))
    return "\n\n".join([*parts, _file(path, path.relative_to(config_dir()).as_posix())]) + "\n"


def _own_help(verb: str) -> str:
    """Return what a command without a configuration file prints as its help."""
    words, sys.argv = sys.argv, [f"heritage {verb}", "--help"]
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            load(verb)()
    finally:
        sys.argv = words
    return f"```text\n{output.getvalue().rstrip()}\n```"


def _sections(verb: str) -> Mapping[str, Sequence[str]]:
    """Return the sections that a command adds to its help."""
    load(verb)
    return HELP_SECTIONS[verb]() if verb in HELP_SECTIONS else {}


def _group_rows(verb: str, cfg: DictConfig) -> list[tuple[str, str, str]]:
    choices = {str(group): str(choice) for group, choice in cfg.hydra.runtime.choices.items()}
    rows = []
    for key in sorted(choices):
        group = key.partition("@")[0]
        if group.partition("/")[0] in ("hydra", "paths") or not _files(group):
            continue
        links = [_option_link(group, name) for name in _visible(group)]
        rows.append(
            (
                f"[{key}](../groups/{_slug(group)}.md)",
                code(choices[key].replace("None", "null")),
                ", ".join(links),
            )
        )
    if verb in ADDING:
        for group in ADDED:
            links = [_option_link(group, name) for name in _visible(group)]
            rows.append((f"[+{group}](../groups/{_slug(group)}.md)", "", ", ".join(links)))
    return rows


def _command_options(verb: str) -> list[Option]:
    """Return the keys of a command that no group sets."""
    path = config_dir() / f"{verb}.yaml"
    content = {key: value for key, value in read.load(path).items() if key not in ("hydra", "defaults")}
    typed = read.schema_types(SCHEMAS[verb])
    return [
        Option(option.key, option.type or typed.get(option.key, ""), option.default, option.text)
        for option in read.options_of(content, "", read.comments(path))
    ]


def _option_tables(entries: Sequence[Option], explained: Mapping[str, str]) -> list[str]:
    """Return a table of plain keys, and one for each node, with its explanation."""
    nodes: dict[str, list[Option]] = {}
    for option in entries:
        nodes.setdefault(option.key.rpartition(".")[0], []).append(option)
    parts = []
    for node, inside in nodes.items():
        if node:
            parts.append(f"### {code(node)}")
            if node in explained:
                parts.append(prose(explained[node], _TOP))
        parts.append(_option_table(inside))
    return parts


def _option_table(entries: Sequence[Option]) -> str:
    rows = [(code(o.key), _typed(o.type), code(o.default), cell(o.text, _TOP)) for o in entries]
    return table(["option", "values", "default", "meaning"], rows)


def _typed(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def _files(group: str) -> list[str]:
    """Return the files of a group, shared ones (``_name``) at the end."""
    folder = config_dir() / group
    names = {path.stem for path in folder.glob("*.yaml")}
    shared = {name for name in names if name.startswith("_")}
    return [*sorted(names - shared), *sorted(shared)]


def _visible(group: str) -> list[str]:
    return options(group, nested=group in ADDED)


def _option_link(group: str, name: str) -> str:
    folder, _, option = f"{group}/{name}".rpartition("/")
    return f"[{name}](../groups/{_slug(folder)}.md#{anchor(folder, option)})"


def _slug(group: str) -> str:
    return group.replace("/", "-")


def _group_page(group: str) -> str:
    added = next((name for name in ADDED if f"{group}/".startswith(f"{name}/")), None)
    parts = [f"# {group}"]
    if added:
        rest = group.removeprefix(added).lstrip("/")
        parts += [f"Added with a plus: {code(f'+{added}={rest}/…' if rest else f'+{added}=…')}."]
    elif users := _users(group):
        names = ", ".join(f"[{verb}](../commands/{verb}.md)" for verb in users)
        parts += [f"Chosen by {code(f'{group}=…')} in {names}."]
    parts += [_option_section(group, name) for name in _files(group)]
    return "\n\n".join(parts) + "\n"


@cache
def _choices() -> dict[str, dict[str, str]]:
    """Return each command's groups with the chosen options."""
    found = {}
    for verb in COMMANDS:
        if (config_dir() / f"{verb}.yaml").is_file():
            choices = compose_command(verb, []).hydra.runtime.choices
            found[verb] = {str(key): str(choice) for key, choice in choices.items()}
    return found


def _users(group: str) -> list[str]:
    return [
        verb for verb, chosen in _choices().items() if any(key.partition("@")[0] == group for key in chosen)
    ]


def _packages(group: str) -> list[str]:
    """Return the paths of the keys that a group sets."""
    keys = {key for chosen in _choices().values() for key in chosen if key.partition("@")[0] == group}
    places = sorted({key.partition("@")[2] for key in keys if "@" in key})
    return places or [group.replace("/", ".")]


def _option_section(group: str, name: str) -> str:
    path = config_dir() / group / f"{name}.yaml"
    title = f"{name} (shared)" if name.startswith("_") else name
    parts = [f"({anchor(group, name)})=", f"## {title}", header(read.comment_header(path), _TOP)]
    content = read.load(path)
    if chosen := _chosen(group, content.get("defaults", [])):
        parts += [f"Chooses {chosen}."]
    places = _packages(group)
    whole = path.read_text(encoding="utf-8").startswith("# @package _global_")
    prefix = "" if whole else places[0]
    explained: dict[str, str] = {}
    for file in reversed(read.chain(path)):
        explained |= read.comments(file)
    target = next((t for file in read.chain(path) if (t := read.load(file).get("_target_"))), None)
    if entries := list(read.options_of(content, prefix, explained, target)):
        parts += [_option_table(entries)]
        if len(places) > 1 and not whole:
            others = ", ".join(code(f"{place}.…") for place in places[1:])
            parts += [f"Likewise {others}."]
    if "_target_" in content:
        parts += [f"Implemented by {{py:obj}}`{content['_target_']}`."]
    return "\n\n".join([*parts, _file(path, path.relative_to(config_dir()).as_posix())])


def _chosen(group: str, defaults: Sequence[Any]) -> str:
    """Return in words which options a file's defaults choose."""
    words = []
    for entry in defaults:
        if entry == "_self_":
            continue
        if isinstance(entry, str):
            folder, _, name = (entry[1:] if entry.startswith("/") else f"{group}/{entry}").rpartition("/")
            words.append(f"the values of [{entry.lstrip('/')}]({_slug(folder)}.md#{anchor(folder, name)})")
            continue
        key, choice = next(iter(entry.items()))
        inner = str(key).removeprefix("override ").removeprefix("optional ").partition("@")[0]
        folder = inner.lstrip("/") if inner.startswith("/") else f"{group}/{inner}"
        shown = str(key).removeprefix("override ").lstrip("/").partition("@_global_")[0]
        if (config_dir() / folder / f"{choice}.yaml").is_file():
            words.append(f"[{shown}={choice}]({_slug(folder)}.md#{anchor(folder, str(choice))})")
        else:
            words.append(code(f"{shown}={choice}"))
    return ", ".join(words)


def _file(path: Any, name: str) -> str:
    text = "\n".join(path.read_text(encoding="utf-8").splitlines()[len(read.comment_header(path)) :]).strip()
    return f"<details><summary>conf/{name}</summary>\n\n````yaml\n{text}\n````\n\n</details>"
