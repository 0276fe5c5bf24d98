"""What is published: files with their checksums, and what a person must know before they go out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from heritage.errors import HIDDEN, PublishError

Kind = Literal["model", "dataset"]

ALLOWED_SUFFIXES = frozenset(
    {".safetensors", ".json", ".md", ".csv", ".cff", ".parquet", ".png", ".pdf", ".jpg", ".jpeg", ".webp",
     ".avif", ".tif", ".tiff", ".bmp", ".gif", ".jfif"}
)  # fmt: skip
"""Suffixes of what may be published: data and pictures; no pickle, no script and no page with scripts."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class PublishedFile:
    """A file of a publication.

    Attributes:
        name: Its name in the repository or archive, with forward slashes.
        source: The file on this machine.
    """

    name: str
    source: Path

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, as the hub's large files are identified."""
        return self._digest(hashlib.sha256())

    @cached_property
    def git_id(self) -> str:
        """SHA-1 of a git blob, as the hub's small files are identified."""
        digest = hashlib.sha1(usedforsecurity=False)
        digest.update(f"blob {self.size}\0".encode())
        return self._digest(digest)

    def _digest(self, digest: hashlib._Hash) -> str:
        with self.source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


@dataclass(frozen=True)
class Publication:
    """A network or data set that is ready to be published.

    Attributes:
        kind: ``model`` or ``dataset``.
        title: Its title.
        summary: What it is, in a sentence or two of plain text.
        licence: SPDX identifier of the whole; None if it is not stated, or differs between photographs.
        files: The files.
        licences: Photographs by licence, as recorded.
        notes: What a person must know before it goes out, a line each.
        keywords: Keywords for catalogues.
    """

    kind: Kind
    title: str
    summary: str
    licence: str | None
    files: tuple[PublishedFile, ...]
    licences: dict[str, int]
    notes: tuple[str, ...] = ()
    keywords: tuple[str, ...] = field(default=("cultural heritage", "museum", "image classification"))

    def __post_init__(self) -> None:
        """Check the files.

        Raises:
            PublishError: One is not of a kind that may be published, or two have the same name.
        """
        for file in self.files:
            if not _is_plain(file.name):
                raise PublishError(
                    "not a name that every system takes, below the folder of the publication",
                    where=file.name,
                    remedy="rename the file, or curate again",
                )
            if Path(file.name).suffix.lower() not in ALLOWED_SUFFIXES:
                raise PublishError(
                    "not a kind of file that is published (data and pictures, no code)",
                    where=file.source,
                    remedy="remove it, or convert it to an image or table",
                )
        repeated = [name for name, count in Counter(file.name for file in self.files).items() if count > 1]
        if repeated:
            raise PublishError("two files have this name", where=repeated[0], remedy="rename one of them")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def listing(self) -> list[str]:
        """Return a line for each file, and one for each folder of images."""
        alone = [file for file in self.files if "/" not in file.name]
        lines = [f"  {file.name}  {readable_size(file.size)}" for file in alone]
        folders: dict[str, list[PublishedFile]] = {}
        for file in self.files:
            if "/" in file.name:
                folders.setdefault(file.name.partition("/")[0], []).append(file)
        lines += [
            f"  {name}/  {count_of(len(files), 'file')}, {readable_size(sum(file.size for file in files))}"
            for name, files in folders.items()
        ]
        return lines


def _is_plain(name: str) -> bool:
    """Return whether a name stays in its folder, on Windows too, and has no hidden characters."""
    leads_elsewhere = any(part in ("", ".", "..") for part in name.split("/"))
    return not (leads_elsewhere or HIDDEN.search(name) or set(name) & set("\\:"))


def readable_size(size: int) -> str:
    """Return a number of bytes as kB, MB or GB."""
    for unit, limit in (("GB", 10**9), ("MB", 10**6)):
        if size >= limit:
            return f"{size / limit:,.1f} {unit}"
    return f"{size / 1000:,.1f} kB"


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun, as in ``1 file`` and ``2 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def files_in(folder: Path, names: Iterable[str] | None = None) -> list[PublishedFile]:
    """Return the regular files of a folder, sorted; links are not followed."""
    chosen = sorted(path.name for path in folder.iterdir()) if names is None else names
    return [
        PublishedFile(name, folder / name)
        for name in chosen
        if (folder / name).is_file() and not (folder / name).is_symlink()
    ]
