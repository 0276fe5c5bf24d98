"""Collect the pages of the site in one folder, and make links among documents work there.

Documents (docs/*.md and those of the root) link to each other and to files of the repository by relative
paths, as GitHub shows them. In the site a document is a page, and any other file of the repository gets a
page with its text.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

ROOT_DOCUMENTS = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
    "CHANGELOG.md": "changelog",
}
"""Documents outside docs/, and the pages that they become; README's place is taken by docs/index.md."""
FOLDERS = {"conf": "reference", "docs": "index"}
"""Folders that a document may link to, and the pages that take their place."""

LINK = re.compile(r"(?P<before>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?P<after>\))")
_FENCE = re.compile(r"^(`{3,}|~{3,})", re.MULTILINE)
_CODE = re.compile(r"(`+)[^`]+?\1")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".cff": "yaml", ".sh": "bash"}


class BrokenLinkError(ValueError):
    """A document links to a file that does not exist."""


class Site:
    """The sources of the site.

    Args:
        root: The repository.
        folder: The folder to write; what it holds is removed.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        """Write a page, such as ``reference/train.md``."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def add_notebook(self, path: Path) -> None:
        """Add an executed notebook."""
        (self.folder / "notebooks").mkdir(exist_ok=True)
        shutil.copy(path, self.folder / "notebooks" / path.name)

    def add_documents(self) -> None:
        """Add docs/*.md, those of the root, pictures, and the files that they link to."""
        shutil.copytree(self.root / "docs" / "images", self.folder / "images")
        for path in documents(self.root):
            if path.name == "README.md":
                continue
            page = ROOT_DOCUMENTS.get(path.relative_to(self.root).as_posix(), path.stem)
            text = self._with_links(path)
            if page == "index":
                text = _with_toctrees(text)
            elif page == "reference":
                text += toctree(["reference/commands", "reference/groups", "reference/api"], hidden=False)
            self.write(f"{page}.md", text)

    def _with_links(self, document: Path) -> str:
        def replaced(match: re.Match[str]) -> str:
            return f"{match['before']}{self._target(document, match['target'])}{match['after']}"

        return "".join(
            _highlighted(text) if code else LINK.sub(replaced, text)
            for code, text in parts(document.read_text(encoding="utf-8"))
        )

    def _target(self, document: Path, link: str) -> str:
        """Return a link of a document as a link of the site."""
        target, _, anchor = link.partition("#")
        if not target or ":" in target:
            return link
        path = (document.parent / target).resolve()
        if not path.exists() or not path.is_relative_to(self.root):
            raise BrokenLinkError(f"{document.relative_to(self.root)}: no such file: {link}")
        inside = path.relative_to(self.root).as_posix()
        page = ROOT_DOCUMENTS.get(inside) or FOLDERS.get(inside)
        if page is None and path.parent == self.root / "docs" and path.suffix == ".md":
            page = path.stem
        if page is not None:
            return f"{page}.md{'#' if anchor else ''}{anchor}"
        if path.is_relative_to(self.root / "docs"):  # a picture or a notebook
            return path.relative_to(self.root / "docs").as_posix()
        return self._file_page(inside)

    def _file_page(self, inside: str) -> str:
        path = self.root / inside
        language = _LANGUAGES.get(path.suffix, "text")
        text = path.read_text(encoding="utf-8")
        self.write(
            f"files/{inside}.md", f"---\norphan: true\n---\n# {inside}\n\n`````{language}\n{text}\n`````\n"
        )
        return f"files/{inside}.md"


def documents(root: Path) -> list[Path]:
    """Return the documents of a repository."""
    return [*sorted((root / "docs").glob("*.md")), *(root / name for name in ROOT_DOCUMENTS)]


def parts(text: str) -> Iterator[tuple[bool, str]]:
    """Split Markdown into text and fenced blocks: whether a part is a block, and the part."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and not fence:
            yield False, "".join(lines)
            lines, fence = [line], mark[1]
        elif mark and line.strip() == fence:
            yield True, "".join([*lines, line])
            lines, fence = [], ""
        else:
            lines.append(line)
    yield bool(fence), "".join(lines)


def links(text: str) -> list[str]:
    """Return the targets of the links of a document, those in code left out."""
    return [
        match["target"]
        for code, part in parts(text)
        if not code
        for match in LINK.finditer(_CODE.sub("", part))
    ]


def _with_toctrees(text: str) -> str:
    """Return an index with a hidden table of contents for each of its headings with a list of pages."""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return "".join(section + _toctree(section) for section in sections)


def _highlighted(block: str) -> str:
    """Return a block of commands without prompts as a script: a console session would be all output."""
    is_script = block.startswith("```console\n") and not re.search(r"^\$ ", block, flags=re.MULTILINE)
    return block.replace("```console", "```bash", 1) if is_script else block


def toctree(pages: Sequence[str], *options: str, hidden: bool = True) -> str:
    """Return a table of contents; a hidden one is shown in the sidebar only."""
    shown = ":hidden:" if hidden else ":maxdepth: 2"
    return "\n".join(["", "```{toctree}", shown, *options, "", *pages, "```", ""])


def _toctree(section: str) -> str:
    title = section.partition("\n")[0].removeprefix("## ").strip()
    targets = re.findall(r"^- \[[^\]]*\]\(([^)#\s]+)\)", section, flags=re.MULTILINE)
    pages = [PurePosixPath(target).with_suffix("").as_posix() for target in targets if ":" not in target]
    return toctree(pages, f":caption: {title}") + "\n" if pages else ""
