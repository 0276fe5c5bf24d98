"""The reference has every command, option and configuration file, with types, values and explanations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heritage import errors
from heritage.cli import COMMANDS
from heritage.config.compose import compose_command, keys_of
from heritage.core.files import config_dir
from website.api import EXTENSION_POINTS, derived, error_tree
from website.markdown import anchor, header, prose
from website.options import chain, comments, documented_arguments, options_of, type_text
from website.pages import Site, links
from website.reference import write_reference

FILES = [path for path in sorted(config_dir().rglob("*.yaml")) if path.parent != config_dir()]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated pages."""
    site = Site(config_dir().parent, tmp_path_factory.mktemp("site") / "source")
    write_reference(site)
    return site.folder / "reference"


def test_every_command_has_a_page_with_its_own_options(pages: Path) -> None:
    for verb in COMMANDS:
        text = (pages / "commands" / f"{verb}.md").read_text()
        assert f"](commands/{verb}.md)" in (pages / "commands.md").read_text()
        if not (config_dir() / f"{verb}.yaml").is_file():
            continue
        cfg = compose_command(verb, [])
        groups = {
            str(key).partition("@")[2] or str(key).partition("@")[0] for key in cfg.hydra.runtime.choices
        }
        roots = {group.replace("/", ".") for group in groups}
        own = [key for key in keys_of(cfg) if not any(f"{key}.".startswith(f"{root}.") for root in roots)]
        set_elsewhere = {"optimizer"}  # by a model's preset
        assert [
            key for key in own if f"`{key}" not in text and key.partition(".")[0] not in set_elsewhere
        ] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(config_dir()).as_posix())
def test_every_configuration_file_has_a_section(path: Path, pages: Path) -> None:
    group = path.parent.relative_to(config_dir()).as_posix()
    text = (pages / "groups" / f"{group.replace('/', '-')}.md").read_text()
    section = text.partition(f"({anchor(group, path.stem)})=\n")[2].partition("</details>")[0]
    assert f"conf/{group}/{path.name}" in section
    assert "Cost" in section or "Costs" in section


def test_links_among_generated_pages_have_targets(pages: Path) -> None:
    broken = []
    for page in pages.rglob("*.md"):
        for link in links(page.read_text()):
            target, _, anchor_ = link.partition("#")
            path = (page.parent / target).resolve()
            top = path.parent == pages.parent
            if top and (config_dir().parent / "docs" / path.name).is_file():
                continue
            if not path.is_file() or (anchor_ and f"({anchor_})=" not in path.read_text()):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_a_row_has_type_default_and_explanation(pages: Path) -> None:
    page = (pages / "groups" / "balance-sampling.md").read_text()
    assert re.search(r"\| `balance\.sampling\.power` \| number .*\| `1\.0` \| \S", page)
    page = (pages / "commands" / "serve.md").read_text()
    assert "| `port` | integer | `8000` | 0: any free port |" in page
    assert "`limits.megabytes`" in page
    # Inherited from conf/data/_common.yaml.
    assert re.search(
        r"`data\.batch_size` \| integer ≥ 1 \| `32` \|", (pages / "groups" / "data.md").read_text()
    )


def test_the_explanation_is_the_comment_or_the_docstring(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "# Header.\n\n# Above.\na: 1\nb: 2  # beside\nc:\n  # Inside.\n  d: [x, y]\n\n# Lost.\n\ne: 3\n"
    )
    assert comments(path) == {"a": "Above.", "b": "beside", "c.d": "Inside."}
    rows = {
        row.key: (row.default, row.text)
        for row in options_of({"a": 1, "c": {"d": ["x"]}}, "top", comments(path))
    }
    assert rows == {"top.a": ("1", "Above."), "top.c.d": ("[x]", "Inside.")}
    target = "heritage.data.sampling.Weighted"
    assert documented_arguments(target)["power"]
    assert [row.text for row in options_of({"_target_": target, "power": 1.0}, "x", {})] == [
        documented_arguments(target)["power"]
    ]


def test_files_that_a_file_builds_on() -> None:
    names = [path.name for path in chain(config_dir() / "data" / "curated.yaml")]
    assert names == ["curated.yaml", "folder.yaml", "_common.yaml"]


def test_types_are_written_in_words() -> None:
    from heritage.core.option_types import FilePath
    from heritage.core.types import Fraction, PositiveInt, Precision

    assert type_text(PositiveInt | None) == "integer ≥ 1 or null"
    assert type_text(Fraction) == "number > 0, < 1"
    assert type_text(Precision) == "auto, 32-true, bf16-mixed, 16-mixed"
    assert type_text(list[str] | FilePath) == "list of text or path"
    assert type_text(bool) == "true, false"


def test_plain_text_becomes_markdown() -> None:
    text = "Use data.root=/a_b and `code`, see conf/balance/loss/focal.yaml, docs/training.md; *not* <x>."
    assert prose(text, "../") == (
        "Use `data.root=/a_b` and `code`, see "
        "[conf/balance/loss/focal.yaml](../reference/groups/balance-loss.md#balance-loss-focal), "
        r"[docs/training.md](../training.md); \*not\* \<x\>."
    )


def test_headers_become_paragraphs_and_commands() -> None:
    lines = ["One", "two.", "", "  python -m heritage.train    all", "", "Cost: none;", "  as before."]
    assert header(lines) == "One two.\n\n```text\nheritage train    all\n```\n\nCost: none; as before."


def test_extension_points_exist() -> None:
    from hydra.utils import get_object

    for names in EXTENSION_POINTS.values():
        for name in names:
            assert get_object(name).__doc__


def test_the_tree_of_errors_has_each_of_them_below_its_base() -> None:
    own = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    found = list(derived(errors.HeritageError))
    assert [kind for kind, _ in found] != []
    assert {kind for kind, _ in found} == set(own)
    for place, (kind, depth) in enumerate(found[1:], start=1):
        above = next(other for other, at in reversed(found[:place]) if at == depth - 1)
        assert above in kind.__bases__
    lines = error_tree(errors.HeritageError).split("\n\n")
    assert lines[0] == "- :py:exc:`~heritage.errors.HeritageError`"
    assert "    - :py:exc:`~heritage.errors.CommandError`" in lines
