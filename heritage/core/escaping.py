"""Escape text for its reader: terminal, log, HTML, Markdown, LaTeX, or a spreadsheet that opens a CSV file.

Names of files and classes, titles, credits, links and messages come from other people's data. Every writer of
this package passes them through the function of its format:

============================  =============================================================================
`terminal`                    messages, log lines and tables on a terminal
`html`, `web_link`            HTML pages and notebooks
`markdown`, `markdown_link`   reports, cards and attributions
`latex`                       tables for LaTeX
`figure_text`                 labels of Matplotlib's figures
`csv_cell`, `read_csv_cell`   CSV files (through `heritage.core.csv_files`)
============================  =============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, urlsplit

from heritage.errors import HIDDEN, one_line, terminal

__all__ = [
    "CSV_CELL_JS",
    "csv_cell",
    "figure_text",
    "html",
    "latex",
    "markdown",
    "markdown_code",
    "markdown_link",
    "markdown_row",
    "one_line",
    "read_csv_cell",
    "terminal",
    "visible",
    "web_link",
    "without_hidden",
]

# What begins or ends an inline construct, an HTML tag or an entity. Underscores inside words do not.
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")
_MARKDOWN_START = re.compile(r"^(?:[+\-](?=\s|$|-)|[=#]|[0-9]{1,9}(?=[.)](?:\s|$)))")
_ENTITY = re.compile(r"&(?=#?\w+;)")

_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%_#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "–": "--",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # at the beginning of a row they would be arguments of the line break before it
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}

# What spreadsheets take for a formula, also in the full-width forms of East Asian keyboards.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")
_QUOTED_FORMULA = re.compile(r"'+(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")
# A number, alone or followed by its interval, as in "-0.0123 (-0.020 – +0.001) ± 0.004".
_NUMBER = r"[+\-]?(?:[0-9][0-9.,]*|\.[0-9]+)(?:[eE][+\-]?[0-9]+)?"
_NUMBERS = re.compile(
    rf"{_NUMBER}(?: ?%)?(?: \({_NUMBER} ?– ?{_NUMBER}\))?(?: ± {_NUMBER})?|[+\-]?(?:inf|nan)|-{{1,3}}"
)

_SCHEMES = ("http", "https")


def visible(text: object) -> str:
    """Return text whose line breaks and tabs remain; other hidden characters are shown as by `terminal`."""
    return "\n".join("\t".join(map(terminal, line.split("\t"))) for line in str(text).split("\n"))


def without_hidden(text: object) -> str:
    """Return text without the characters that `terminal` shows escaped."""
    return HIDDEN.sub("", str(text))


def html(text: object) -> str:
    """Return text for HTML: as content of an element or as a quoted attribute."""
    return escape(visible(text), quote=True)


def web_link(url: object) -> str:
    """Return a URL that a page may link: http or https with a host; empty for any other.

    Example:
        >>> web_link("javascript:alert(1)"), web_link("https://museum.example/1")
        ('', 'https://museum.example/1')
    """
    text = str(url or "").strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    is_web = parts.scheme.lower() in _SCHEMES and bool(parts.netloc)
    return text if is_web and not (HIDDEN.search(text) or re.search(r"\s", text)) else ""


def markdown(text: object) -> str:
    r"""Return text for one line of Markdown or one cell of its tables: no markup, no link, no HTML.

    Example:
        >>> markdown("[x](javascript:alert(1))")
        '\\[x\\](javascript:alert(1))'
    """
    escaped = _MARKDOWN.sub(r"\\\g<0>", _ENTITY.sub("&amp;", one_line(text)))
    escaped = escaped.replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN_START.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", escaped)


def markdown_row(cells: Iterable[object]) -> str:
    """Return cells as a row of a Markdown table."""
    return f"| {' | '.join(map(markdown, cells))} |"


def markdown_code(text: object) -> str:
    """Return text as a code span of one line, whatever backticks it has."""
    line = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    blank = " " if fence != "`" or line.startswith(" ") or not line else ""
    # inside a table a bar would end the cell even in code
    return f"{fence}{blank}{line}{blank}{fence}".replace("|", "\\|")


def markdown_link(url: object) -> str:
    """Return an automatic link, ``<https://…>``, or an empty string for a URL that must not be linked."""
    link = web_link(url)
    return f"<{quote(link, safe='/%,;:@!$&()*+=-._~?#')}>" if link else ""


def latex(text: object) -> str:
    """Return text for LaTeX: on one line, with its special characters escaped."""
    return "".join(_LATEX.get(letter, letter) for letter in one_line(text))


def figure_text(text: object) -> str:
    """Return text for Matplotlib, which reads what is between dollar signs as a formula."""
    return one_line(text).replace("$", r"\$")


def csv_cell(text: str) -> str:
    """Return a cell that spreadsheets do not run: what they take for a formula begins with an apostrophe.

    Numbers and numbers with an interval stay as they are.

    Example:
        >>> csv_cell("=cmd|' /C calc'!A0"), csv_cell("-0.5")
        ("'=cmd|' /C calc'!A0", '-0.5')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBERS.fullmatch(text) else text


def read_csv_cell(text: str) -> str:
    """Return the text that `csv_cell` wrote.

    Example:
        >>> read_csv_cell(csv_cell("=1+1"))
        '=1+1'
    """
    return text[1:] if _QUOTED_FORMULA.match(text) else text


CSV_CELL_JS = r"""
  const csvCell = value => {
    const text = /^'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])/.test(value) ? "'" + value : value;
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
"""
"""`csv_cell` with the quotes of a CSV file, for the scripts of pages; numbers get the apostrophe, too."""
