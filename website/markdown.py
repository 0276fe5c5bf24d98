"""Text of headers, comments and docstrings as Markdown of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from heritage.core.files import config_dir

_SPECIAL = re.compile(r"([\\*_\[\]<>|#~])")
_CONF = re.compile(r"\bconf/(?P<path>[\w/]+?)(?:/\*)?\.yaml")
_PAGE = re.compile(r"\bdocs/(?P<page>\w+)\.md")
# key=value, group/option=…, an extra or a file name with an ending: typed, so set as code.
_TYPED = re.compile(
    r"(?<![\w`/.])(?:[\w.]+/(?:[\w.<>-]+/)*[\w.-]*<\w+>[\w.<>/-]*|[+~]?[A-Za-z][\w./@-]*=(?:'[^']*'|\[[^\]]*\]|\$?\{[^}]*\}|[\w./<>…+-]*[\w\]>…/+-])"
    r"|[A-Za-z_][\w./<>-]*\.(?:py|yaml|json|csv|jsonl|parquet|html|md|png|ckpt|txt)\b"
    r"|[a-z]+_[\w.]*\w(?:\.\w+)*|[a-z]+\.[a-z_]+(?:\.[a-z_]+)*)(?![\w/])"
)


def prose(text: str, top: str = "") -> str:
    """Return plain text as Markdown: signs escaped, typed words as code, files of conf/ and docs/ as links.

    Args:
        text: One paragraph.
        top: The way from the page to the top of the site, such as ``../``.
    """
    pieces = re.split(r"(``[^`]+``|`[^`]+`)", " ".join(text.split()))
    return "".join(
        f"`{piece.strip('`')}`" if piece.startswith("`") and len(piece) > 1 else _plain(piece, top)
        for piece in pieces
    )


def cell(text: str, top: str = "") -> str:
    """Return text for a cell of a table."""
    return prose(text, top).replace("\n", " ")


def code(text: str) -> str:
    """Return text as code for a cell of a table."""
    mark = "``" if "`" in text else "`"
    return f"{mark}{text}{mark}".replace("|", "\\|")


def _plain(text: str, top: str) -> str:
    done, position = [], 0
    pattern = re.compile("|".join(f"(?:{p.pattern})" for p in (_CONF, _PAGE, _TYPED)))
    for match in pattern.finditer(text):
        done.append(_escaped(text[position : match.start()]))
        done.append(_linked(match[0], top))
        position = match.end()
    return "".join([*done, _escaped(text[position:])])


def _linked(word: str, top: str) -> str:
    if conf := _CONF.fullmatch(word):
        exists = (config_dir() / f"{conf['path']}.yaml").is_file()
        return f"[{word}]({top}{_page_of(conf['path'])})" if exists and "*" not in word else f"`{word}`"
    if page := _PAGE.fullmatch(word):
        return f"[{word}]({top}{page['page']}.md)"
    return f"`{word}`"


def _page_of(path: str) -> str:
    group, slash, option = path.rpartition("/")
    if not slash:
        return f"reference/commands/{option}.md"
    return f"reference/groups/{group.replace('/', '-')}.md#{anchor(group, option)}"


def anchor(group: str, option: str) -> str:
    """Return the anchor of an option's section."""
    return f"{group}-{option}".replace("/", "-").replace("_", "-")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def header(lines: Sequence[str], top: str = "") -> str:
    """Return a header's comment as Markdown: paragraphs, and indented lines as a block of commands."""
    blocks = []
    for indented, block in _blocks(lines):
        if indented:
            # Files show the form that works without an active environment; the site shows one form only.
            body = "\n".join(line[2:] for line in block).replace("python -m heritage.", "heritage ")
            blocks.append(f"```text\n{body}\n```")
        else:
            blocks.append(prose(" ".join(block), top))
    return "\n\n".join(blocks)


def _blocks(lines: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    block: list[str] = []
    commands = False
    for line in [*lines, ""]:
        # A paragraph may continue with an indented line; only commands begin a block.
        starts = line.startswith("  ") and not block
        if line.strip() and (not block or commands == line.startswith("  ") or not commands):
            commands = starts if not block else commands
            block.append(line)
            continue
        if block:
            yield commands, block
        block = [line] if line.strip() else []
        commands = line.startswith("  ")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
