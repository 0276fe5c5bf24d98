"""A publication as a ``.zip`` for Zenodo: the same content always makes the same bytes.

Beside the files of the publication it has ``.zenodo.json`` (Zenodo's metadata), ``CITATION.cff``,
``datacite.json`` and ``SHA256SUMS``. Files are stored without compression, in order of their names and with
a fixed date, so the archive depends on their content alone.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from heritage.core.escaping import html, one_line
from heritage.core.files import atomic_path
from heritage.core.locks import locked_output
from heritage.errors import PublishError
from heritage.publishing.publication import Publication

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_MODE = 0o644 << 16
_CHUNK = 1 << 20
_TYPES = {"model": ("other", "Model"), "dataset": ("dataset", "Dataset")}


def write_archive(
    publication: Publication, target: Path, creators: Sequence[str], *, overwrite: bool
) -> bool:
    """Write the archive of a publication.

    Args:
        publication: What it holds.
        target: The ``.zip``.
        creators: ``Family, Given`` or ``Family, Given; ORCID``.
        overwrite: Whether another file may be replaced.

    Returns:
        Whether it was written; False if it exists with this content.

    Raises:
        PublishError: Another file exists.
        BusyError: Another command is writing it.
    """
    before = _digest(target) if target.is_file() else None
    with locked_output(target), atomic_path(target) as temporary:
        _write(publication, temporary, creators)
        same = _digest(temporary) == before
        if target.exists() and not same and not overwrite:
            raise PublishError(
                "already exists, with other content",
                where=f"archive={target}",
                remedy="overwrite=true replaces it, or choose another name",
            )
    return not same


def _write(publication: Publication, target: Path, creators: Sequence[str]) -> None:
    texts = metadata(publication, creators)
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    sums |= {file.name: file.sha256 for file in publication.files}
    texts["SHA256SUMS"] = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    sources = {file.name: file.source for file in publication.files}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted({*texts, *sources}):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix, whatever this machine is
            if name in texts:
                archive.writestr(entry, texts[name].encode())
                continue
            entry.file_size = sources[name].stat().st_size
            with sources[name].open("rb") as source, archive.open(entry, "w") as into:
                while chunk := source.read(_CHUNK):
                    into.write(chunk)


def metadata(publication: Publication, creators: Sequence[str]) -> dict[str, str]:
    """Return the metadata files of an archive by name."""
    people = [_person(creator) for creator in creators]
    kind, general = _TYPES[publication.kind]
    licence = publication.licence
    zenodo: dict[str, Any] = {
        "title": one_line(publication.title),
        "upload_type": kind,
        "description": "".join(f"<p>{html(text)}</p>" for text in (publication.summary, *publication.notes)),
        "creators": [{"name": name, **({"orcid": orcid} if orcid else {})} for name, orcid in people],
        "access_right": "open",
        "keywords": list(publication.keywords),
        **({"license": licence.lower()} if licence else {}),
    }
    if publication.licences:
        zenodo["notes"] = "Licences of the photographs: " + html(_licences(publication))
    datacite = {
        "titles": [{"title": one_line(publication.title)}],
        "creators": [
            {
                "name": name,
                "nameType": "Personal",
                **({"nameIdentifiers": [_orcid(orcid)]} if orcid else {}),
            }
            for name, orcid in people
        ],
        "types": {"resourceTypeGeneral": general},
        "subjects": [{"subject": keyword} for keyword in publication.keywords],
        "descriptions": [{"description": publication.summary, "descriptionType": "Abstract"}],
        "rightsList": [{"rightsIdentifier": licence, "rightsIdentifierScheme": "SPDX"}] if licence else [],
        "schemaVersion": "http://datacite.org/schema/kernel-4",
    }
    return {
        ".zenodo.json": _json(zenodo),
        "datacite.json": _json(datacite),
        "CITATION.cff": _citation(publication, people),
    }


def _citation(publication: Publication, people: Sequence[tuple[str, str]]) -> str:
    authors = []
    for name, orcid in people:
        family, comma, given = (part.strip() for part in name.partition(","))
        author = {"family-names": family, "given-names": given} if comma else {"name": name}
        authors.append(author | ({"orcid": f"https://orcid.org/{orcid}"} if orcid else {}))
    citation: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "Please cite it as below.",
        "type": "dataset" if publication.kind == "dataset" else "software",
        "title": one_line(publication.title),
        "abstract": publication.summary,
        "authors": authors,
        "keywords": list(publication.keywords),
        **({"license": publication.licence} if publication.licence else {}),
    }
    text: str = yaml.safe_dump(citation, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def _person(creator: str) -> tuple[str, str]:
    name, _, orcid = (part.strip() for part in creator.partition(";"))
    return one_line(name), orcid


def _orcid(orcid: str) -> dict[str, str]:
    return {"nameIdentifier": f"https://orcid.org/{orcid}", "nameIdentifierScheme": "ORCID"}


def _licences(publication: Publication) -> str:
    return ", ".join(f"{one_line(name)} ({count:,})" for name, count in publication.licences.items())


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
