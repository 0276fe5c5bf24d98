"""Links among documents, to their headings and to files of the repository work on GitHub and in the site."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from website.notebooks import NOTEBOOKS
from website.pages import BrokenLinkError, Site, documents, links, parts

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = documents(ROOT)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and myst make them."""
    text = "".join(part for code, part in parts(document.read_text(encoding="utf-8")) if not code)
    titles = re.findall(r"^#{1,6} +(.+?) *$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(links_of: list[str], folder: Path, own: set[str]) -> list[str]:
    """Return the links without a target."""
    wrong = []
    for link in links_of:
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        path = folder / target
        if (target and not path.exists()) or (anchor and anchor not in (anchors(path) if target else own)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_a_document(document: Path) -> None:
    found = links(document.read_text(encoding="utf-8"))
    assert broken(found, document.parent, anchors(document)) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_links_of_a_notebook(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    found = links("\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))
    assert found
    assert broken(found, notebook.parent, set()) == []


def test_the_index_lists_every_document_and_notebook() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index.read_text())}
    assert listed == {*DOCUMENTS, *NOTEBOOKS} - {index, ROOT / "README.md"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of four documents and a source file."""
    root = tmp_path / "repository"
    (root / "docs" / "images").mkdir(parents=True)
    (root / "conf").mkdir()
    (root / "docs" / "images" / "page.png").write_bytes(b"")
    (root / "code.py").write_text("print(1)\n")
    for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG"):
        (root / f"{name}.md").write_text(f"# {name}\n")
    (root / "docs" / "index.md").write_text("# Index\n\n## First\n\n- [Guide](guide.md): all\n")
    return root


def built(root: Path, guide: str) -> Site:
    (root / "docs" / "guide.md").write_text(guide)
    site = Site(root, root / "build")
    site.add_documents()
    return site


def test_links_are_those_of_the_site(repository: Path) -> None:
    guide = (
        "# Guide\n[c](../CONTRIBUTING.md#set-up) [code](../code.py) [conf](../conf) ![p](images/page.png)\n"
        "[web](https://example.org/a.md)\n\n```python\n[not](a.md)\n```\n"
    )
    site = built(repository, guide)
    text = (site.folder / "guide.md").read_text()
    assert (
        "[c](contributing.md#set-up) [code](files/code.py.md) [conf](reference.md) ![p](images/page.png)"
        in text
    )
    assert "[web](https://example.org/a.md)" in text
    assert "[not](a.md)" in text
    assert "print(1)" in (site.folder / "files/code.py.md").read_text()
    assert ":caption: First" in (site.folder / "index.md").read_text()


def test_a_broken_link_names_the_document(repository: Path) -> None:
    with pytest.raises(BrokenLinkError, match=r"docs/guide\.md: no such file: missing\.md"):
        built(repository, "[x](missing.md)")


def test_commands_without_prompts_are_highlighted_as_a_script(repository: Path) -> None:
    site = built(repository, "```console\nmake train\n```\n\n```console\n$ make\nok\n```\n")
    assert (
        site.folder / "guide.md"
    ).read_text() == "```bash\nmake train\n```\n\n```console\n$ make\nok\n```\n"
