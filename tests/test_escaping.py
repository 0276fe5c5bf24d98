"""Text of others in every output: nothing runs, nothing moves, and no cell or line is added."""

from __future__ import annotations

import ast
import csv
import io
import logging
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml  # type: ignore[import-untyped]

from heritage.collection.dataset_writer import write_attribution
from heritage.core.attribution import attribution
from heritage.core.console import Console
from heritage.core.csv_files import csv_of_records, csv_text, read_head, read_records, restored, write_arrow
from heritage.core.escaping import (
    csv_cell,
    html,
    latex,
    markdown,
    markdown_code,
    markdown_link,
    one_line,
    read_csv_cell,
    terminal,
    web_link,
)
from heritage.core.files import PACKAGE
from heritage.core.manifest import Manifest
from heritage.core.overrides import COLUMNS, read_overrides
from heritage.core.table_reader import read_table
from heritage.core.terminal import escape_logs, print_line, print_text
from heritage.curation.dataset_card import card
from heritage.errors import HeritageError
from heritage.evaluation.assessment import Assessment, EvaluationOptions
from heritage.evaluation.report import LabelCheck, write_evaluation
from heritage.metrics.label_errors import LabelErrors
from heritage.prediction.results import Prediction, Predictions
from heritage.reports.html import page_environment
from heritage.reports.run_report import Report
from heritage.reports.tables import Table
from heritage.runs.audits import AuditResult
from heritage.server.uploads import display_name

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "javascript:alert(3)",
    "[x](javascript:alert(4))",
    "![x](http://evil.example/x.png)",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "-2+3+cmd|x",
    "+1+cmd|x",
    "\t=1+1",
    "'=1+1",
    "\x1b[2J\x1b]0;title\x07",
    "vase\u202egpj.exe",
    "one\ntwo\r\n| three |",
    "a | b | c",
    r"\input{/etc/passwd} \immediate\write18{id}",
    "$x_{$ & 100 % #1 ~ ^ _",
    "`code` ``more``",
    "# heading",
    "- item",
    "1. item",
    "[[a]] {{ 7 * 7 }} {% raw %}",
    "half \ud800 of a pair",
    "[bold]rich[/bold] :smile: [/]",
    "",
)
CLASSES = tuple(f"{text}{number}" for number, text in enumerate(HOSTILE))


def hidden(text: str, allowed: str = "\n") -> set[str]:
    """Characters that control a terminal, change the order of letters or are half a pair."""
    return {
        letter
        for letter in text
        if letter not in allowed and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }


class Page(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def assert_page_is_inert(text: str, scripts: int = 0) -> None:
    page = Page(text)
    assert page.tags.count("script") == scripts
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    for name, value in page.attributes:
        if name == "href":
            assert (value or "").startswith(("#", "https://", "http://")), value
        if name == "src":
            assert (value or "").startswith("data:image/"), value
    assert hidden(text, "\n\t") == set()


def assert_markdown_is_inert(text: str) -> None:
    assert hidden(text) == set()
    # code and automatic links are no markup
    plain = re.sub(r"(?m)^ {4}.*$|(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)|<https?://[^\s<>]+>", "", text)
    assert re.findall(r"<[a-zA-Z/!]", plain) == []
    targets = re.findall(r"(?<!\\)\]\(([^)]*)", plain)
    assert all(re.fullmatch(r"[\w.]+", target) for target in targets), targets
    width = 0
    for line in plain.split("\n"):
        cells = len(re.findall(r"(?<!\\)\|", line))
        if line.startswith("|"):
            assert width in (0, cells), line
            width = cells
        else:
            assert cells == 0, line
            width = 0


def assert_csv_is_inert(text: str) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        formula = cell.lstrip().startswith(("=", "@")) or (cell[:1] in "\t\r\n" and cell != "")
        arithmetic = re.match(r"\s*[+-]", cell) and re.search(r"[a-zA-Z|!]", cell)
        assert not formula, cell
        assert not arithmetic, cell
    return rows


def assert_lines_are_inert(text: str, lines: int) -> None:
    assert hidden(text) == set()
    assert len(text.splitlines()) == lines


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    count = len(CLASSES)
    text = [name.encode("utf-8", "replace").decode() for name in CLASSES]
    columns = {
        "file": [f"images/{number}{name[:20]}.jpg" for number, name in enumerate(text)],
        "class": text,
        "split": ["train", "val", "test"] * (count // 3) + ["test"] * (count % 3),
        **dict.fromkeys(("title", "credit", "licence", "museum", "object_name", "culture"), text),
        **{name: [f"javascript:alert({name!r})"] * count for name in ("permalink", "source_url")},
        "image_url": ["https://museum.example/1.jpg"] * count,
    }
    return Manifest.build(columns, tmp_path, text)


def test_a_value_of_each_reader() -> None:
    assert terminal("a\x1b[2J\u202eb\n\t\ud800") == r"a\x1b[2J\u202eb\n\t\ud800"
    assert terminal("Vase, 5th c. – ‘Ἀθηνᾶ’ 👩‍🚀 می‌خواهم") == "Vase, 5th c. – ‘Ἀθηνᾶ’ 👩‍🚀 می‌خواهم"
    assert html("<a href='x'>\x1b&\"") == r"&lt;a href=&#x27;x&#x27;&gt;\x1b&amp;&quot;"
    assert markdown("[x](javascript:1)<b>|`") == r"\[x\](javascript:1)&lt;b&gt;\|\`"
    assert markdown("5th c. B.C., no_1, 0.5, -0.5 (a)") == "5th c. B.C., no_1, 0.5, -0.5 (a)"
    assert markdown_code("a`b") == "``a`b``".replace("``a", "`` a").replace("b``", "b ``")
    assert markdown_link("https://m.example/a b") == ""
    assert markdown_link("https://m.example/a_(b)|<c>?q=ä") == "<https://m.example/a_(b)%7C%3Cc%3E?q=%C3%A4>"
    assert latex(r"\input{x} [5] 10 % & a_b") == (r"\textbackslash{}input\{x\} {[}5{]} 10 \% \& a\_b")
    assert [web_link(url) for url in ("HTTPS://a.example/", " http://b.example", "//c", "data:x", None)] == [
        "HTTPS://a.example/", "http://b.example", "", "", ""
    ]  # fmt: skip
    assert web_link("http://[") == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_cells_read_back(text: str) -> None:
    assert read_csv_cell(csv_cell(text)) == text
    assert not csv_cell(text).lstrip().startswith(("=", "@"))


@pytest.mark.parametrize(
    "number", ["-0.5", "+3", "1e-5", "-1.5e+3", "+0.0123 (+0.001 – +0.020)", "nan", "-", "–"]
)
def test_numbers_stay_numbers(number: str) -> None:
    assert csv_cell(number) == number


def test_csv_files_are_inert_and_read_back(tmp_path: Path) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in HOSTILE if text]
    written = csv_text(["file", "=name"], [[text, text] for text in texts])
    assert_csv_is_inert(written)
    assert [row["=name"] for row in read_records(io.StringIO(written, newline=""))] == texts
    path = tmp_path / "rows.csv"
    path.write_text(written, encoding="utf-8", newline="")
    assert read_head(path) == ["file", "=name"]
    assert read_table(path)["=name"].to_pylist() == texts

    arrow = pa.table({"file": texts, "p": [-0.5] * len(texts), "unsure": [True] * len(texts)})
    write_arrow(arrow, path)
    assert_csv_is_inert(path.read_text(encoding="utf-8"))
    assert read_table(path)["file"].to_pylist() == texts
    assert restored(arrow)["p"].to_pylist() == [-0.5] * len(texts)


def test_overrides_read_back(tmp_path: Path) -> None:
    rows = [{"file": f"=cmd|{n}", "decision": "relabel", "class": "@a", "note": "-x"} for n in range(2)]
    text = csv_of_records(COLUMNS, rows)
    assert_csv_is_inert(text)
    (tmp_path / "overrides.csv").write_text(text, encoding="utf-8")
    overrides = read_overrides(tmp_path / "overrides.csv", ["@a"])
    assert [(one.file, one.label, one.note) for one in overrides.values()] == [
        ("=cmd|0", "@a", "-x"), ("=cmd|1", "@a", "-x")
    ]  # fmt: skip


def test_tables_in_three_formats() -> None:
    table = Table(
        "x", HOSTILE[0], ["setting", *CLASSES], [[text] * (1 + len(CLASSES)) for text in HOSTILE], HOSTILE[3]
    )
    assert_markdown_is_inert(table.markdown())
    assert len(assert_csv_is_inert(table.csv())) == 1 + len(HOSTILE)
    text = table.latex()
    assert hidden(text) == set()
    assert re.findall(r"\\(?:input|write|immediate)", text) == []
    assert re.findall(r"\\\\\s*[\[*]", text) == []
    assert text.count("\\\\\n") == 1 + len(HOSTILE)


def test_the_report_of_a_run(manifest: Manifest, tmp_path: Path) -> None:
    count = len(manifest)
    probabilities = np.full((count, count), 1 / count)
    facts, notes = dict(zip(HOSTILE, reversed(HOSTILE), strict=True)), HOSTILE
    report = Report(HOSTILE[0], manifest, np.arange(count), probabilities, facts, notes)
    assert_markdown_is_inert(report.write(tmp_path).read_text(encoding="utf-8"))
    assert_page_is_inert(report._repr_html_())
    console = Console(file=io.StringIO(), width=1000)
    report.print(console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert hidden(shown) == set()
    assert "[bold]rich[/bold] :smile: [/]" in shown


def test_the_report_of_an_evaluation(manifest: Manifest, tmp_path: Path) -> None:
    count = len(manifest)
    logits = np.roll(np.eye(count, dtype=np.float32), 1, axis=1)
    options = EvaluationOptions(
        resamples=2, target_precision=0.9, slices=[], images_per_pair=2, max_images=50, label_errors=10,
        seed=0, out_of_fold=None,
    )  # fmt: skip
    facts, notes = dict(zip(HOSTILE, reversed(HOSTILE), strict=True)), HOSTILE
    assessment = Assessment(HOSTILE[0], manifest, np.arange(count), logits, None, options, facts, notes)
    errors = LabelErrors(np.arange(3), np.array([5, 6, 7]), np.zeros((count, count), np.int64))
    audit = AuditResult(
        "k", HOSTILE[0], HOSTILE[3], HOSTILE[1], good=False, head=HOSTILE[:2], rows=[HOSTILE[2:4]]
    )
    check = LabelCheck(manifest, assessment.probabilities, errors)
    page = write_evaluation(assessment, check, [audit], tmp_path, extra={})
    text = page.read_text(encoding="utf-8")
    assert_page_is_inert(text, scripts=1)
    assert "https://museum.example/1.jpg" in text
    assert_markdown_is_inert((tmp_path / "report.md").read_text(encoding="utf-8"))
    rows = assert_csv_is_inert((tmp_path / "per_class.csv").read_bytes().decode())
    assert [read_csv_cell(row[0]) for row in rows[1:]] == list(manifest.classes)
    assert_csv_is_inert((tmp_path / "label_errors.csv").read_bytes().decode())
    files = manifest.column("file")
    assert read_table(tmp_path / "label_errors.csv")["file"].to_pylist() == files[:3]
    assert_page_is_inert(assessment._repr_html_())


def test_cards_and_attributions(manifest: Manifest, tmp_path: Path) -> None:
    about: dict[str, Any] = {
        "name": HOSTILE[0], "image_size": 32, "groups": 3, "photographs": 9, "dropped": {}, "heritage": "1",
        "audit": {"clean": True, "compared": 0}, "remarks": HOSTILE,
        "configuration": {
            "resize": {"way": "pad", "size": 32, "quality": 90}, "split": {"by": "group", "seed": 0}
        },
    }  # fmt: skip
    text = card(manifest, about)
    assert_markdown_is_inert(text.partition("\n---\n")[2])
    head = yaml.safe_load(text.removeprefix("---\n").partition("\n---\n")[0])
    assert list(head) == ["pretty_name", "license", "task_categories", "tags", "size_categories", "configs"]
    assert head["pretty_name"] == one_line(HOSTILE[0])
    assert_markdown_is_inert(attribution(manifest))
    write_attribution(manifest, tmp_path)
    for name in ("ATTRIBUTION.md", "LICENCES.md"):
        assert_markdown_is_inert((tmp_path / name).read_text(encoding="utf-8"))


def test_predictions_in_notebooks() -> None:
    entries = [Prediction(text, {text: 0.5}, 0.5, unsure=False, name=text) for text in HOSTILE]
    entries += [Prediction(None, {}, float("nan"), unsure=True, name=text, error=text) for text in HOSTILE]
    assert_page_is_inert(Predictions(entries, CLASSES)._repr_html_())
    assert hidden("".join(map(repr, entries))) == set()


def test_what_a_terminal_gets(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        print_line(text)
        print_line(text, error=True)
    shown = capsys.readouterr()
    assert_lines_are_inert(shown.out, len(HOSTILE))
    assert_lines_are_inert(shown.err, len(HOSTILE))
    print_text("two\nlines\x1b")
    assert capsys.readouterr().out == "two\nlines\\x1b\n"
    console = Console(file=io.StringIO(), width=300)
    for text in HOSTILE:
        console.print(text, highlight=False)
    assert_lines_are_inert(console.file.getvalue(), len(HOSTILE))  # type: ignore[attr-defined]


def test_log_lines_and_errors() -> None:
    stream = io.StringIO()
    logger, handler = logging.getLogger(), logging.StreamHandler(stream)
    logger.addHandler(handler)
    escape_logs()
    escape_logs()
    for text in HOSTILE:
        logging.warning("left out: %s (%d of %s)", text, 1, Path(text))
        assert_lines_are_inert(str(HeritageError(text, where=text, remedy=text)), 1)
    assert_lines_are_inert(stream.getvalue(), len(HOSTILE))
    try:
        int(HOSTILE[11])
    except ValueError:
        logging.exception("failed")
    assert hidden(stream.getvalue()) == set()
    assert "Traceback" in stream.getvalue()


def test_names_of_uploads() -> None:
    assert [display_name(name) for name in ("a/\x1b[2Jb\u202e.jpg", "\n", None)] == [
        "[2Jb.jpg",
        "picture",
        "picture",
    ]


def test_every_page_is_made_by_the_one_environment(tmp_path: Path) -> None:
    (tmp_path / "x.html.j2").write_text("<a title='{{ a }}' href='{{ a|web_link }}'>{{ a }}</a>")
    template = page_environment(tmp_path).get_template("x.html.j2")
    for text in HOSTILE:
        page = template.render(a=text)
        assert Page(page).tags == ["a"]
        assert ("href", "") in Page(page).attributes or "evil" not in page
        assert hidden(page, "\n\t") == set()
    for path in PACKAGE.rglob("*.html.j2"):
        text = path.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", "")
        assert [link for link in re.findall(r'href="([^"]*)"', text) if "{{" in link and link[0] != "#"
                and not link.endswith(("|web_link }}", "|folder_link }}"))] == [], path  # fmt: skip


MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}


def users(what: str) -> set[str]:
    pattern = re.compile(what)
    return {name for name, path in MODULES.items() if pattern.search(path.read_text(encoding="utf-8"))}


def test_no_file_is_written_but_through_the_shared_writers() -> None:
    assert users(r"\bcsv\.writer|DictWriter|from csv import|\bto_csv\(|write_csv\(") == {"core/csv_files.py"}
    assert users(r"html\.escape|from html import|_html\.escape|markupsafe import escape") == {
        "core/escaping.py"
    }
    assert users(r"jinja2\.Environment\(") == {"reports/html.py", "exporters/model_card.py"}
    assert users(r"rich\.console import|rich\.markup|rich import print") == {"core/console.py"}
    assert users(r"textbackslash") == {"core/escaping.py"}


def test_nothing_is_printed_but_through_the_shared_functions() -> None:
    printing = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == {"core/terminal.py"}
