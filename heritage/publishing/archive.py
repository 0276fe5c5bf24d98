"""A publication as a ``.zip`` for Zenodo: the same content always makes the same bytes.

Beside the files of the publication it has ``.zenodo.json`` (Zenodo's metadata), ``CITATION.cff``,
``datacite.json`` and ``SHA256SUMS``. Files are stored without compression, in order of their names and with
a fixed date, so the archive depends on their content alone.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from heritage.core.citations import Citation
from heritage.core.escaping import html, one_line
from heritage.core.files import atomic_path
from heritage.core.licences import require_spdx
from heritage.core.locks import locked_output
from heritage.errors import PublishError
from heritage.publishing.publication import Publication

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_MODE = 0o644 << 16
_CHUNK = 1 << 20
_NO_LICENCE = {"model": "other-closed", "dataset": "other-open"}
"""Zenodo's licences for what has none or several; without one it would publish under CC BY 4.0."""
_NOT_IN_CFF = ("CC-PDM-1.0",)
_TYPES = {"model": ("other", "Model"), "dataset": ("dataset", "Dataset")}


def write_archive(publication: Publication, target: Path, citation: Citation, *, overwrite: bool) -> bool:
    """Write the archive of a publication.

    Args:
        publication: What it holds.
        target: The ``.zip``.
        citation: The creators and the date.
        overwrite: Whether another file may be replaced.

    Returns:
        Whether it was written; False if it exists with this content.

    Raises:
        PublishError: Another file exists.
        BusyError: Another command is writing it.
    """
    before = _digest(target) if target.is_file() else None
    with locked_output(target), atomic_path(target) as temporary:
        _write(publication, temporary, citation)
        same = _digest(temporary) == before
        if target.exists() and not same and not overwrite:
            raise PublishError(
                "already exists, with other content",
                where=f"archive={target}",
                remedy="overwrite=true replaces it, or choose another name",
            )
    return not same


def _write(publication: Publication, target: Path, citation: Citation) -> None:
    texts = metadata(publication, citation)
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


def metadata(publication: Publication, citation: Citation) -> dict[str, str]:
    """Return the metadata files of an archive by name."""
    people = citation.people
    kind, general = _TYPES[publication.kind]
    licence = publication.licence
    zenodo: dict[str, Any] = {
        "title": one_line(publication.title),
        "upload_type": kind,
        "description": "".join(f"<p>{html(text)}</p>" for text in (publication.summary, *publication.notes)),
        "creators": [{"name": name, **({"orcid": orcid} if orcid else {})} for name, orcid in people],
        "access_right": "open",
        "keywords": list(publication.keywords),
        "license": licence.lower() if licence else _NO_LICENCE[publication.kind],
        **({"publication_date": citation.date} if citation.date else {}),
    }
    if publication.licences:
        zenodo["notes"] = "Licences of the photographs: " + html(_licences(publication))
    datacite = {
        "titles": [{"title": one_line(publication.title)}],
        "creators": [
            {
                "name": person.name,
                "nameType": "Personal" if person.family else "Organizational",
                **({"nameIdentifiers": [_orcid(person.orcid)]} if person.orcid else {}),
            }
            for person in people
        ],
        "publisher": "Zenodo",
        **({"publicationYear": citation.year} if citation.year else {}),
        "types": {"resourceTypeGeneral": general},
        "subjects": [{"subject": keyword} for keyword in publication.keywords],
        "descriptions": [{"description": publication.summary, "descriptionType": "Abstract"}],
        "rightsList": [{"rightsIdentifier": licence, "rightsIdentifierScheme": "SPDX"}]
        if licence
        else [{"rights": one_line(text)} for text in publication.licences],
        "schemaVersion": "http://datacite.org/schema/kernel-4",
    }
    return {
        ".zenodo.json": _json(zenodo),
        "datacite.json": _json(datacite),
        "CITATION.cff": _citation(publication, citation),
    }


def _citation(publication: Publication, citation: Citation) -> str:
    authors = [
        (
            {"family-names": person.family, "given-names": person.given}
            if person.family
            else {"name": person.name}
        )
        | ({"orcid": f"https://orcid.org/{person.orcid}"} if person.orcid else {})
        for person in citation.people
    ]
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "Please cite it as below.",
        "type": "dataset" if publication.kind == "dataset" else "software",
        "title": one_line(publication.title),
        "abstract": publication.summary,
        "authors": authors,
        "keywords": list(publication.keywords),
        **({"date-released": datetime.date.fromisoformat(citation.date)} if citation.date else {}),
        **({"license": licence} if (licence := _cff_licence(publication.licence)) else {}),
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def _cff_licence(licence: str | None) -> str | None:
    """Return a licence as the schema of CITATION.cff 1.2.0 lists it; None if it does not."""
    if licence is None or licence in _NOT_IN_CFF or licence.startswith("LicenseRef-"):
        return None
    try:
        return require_spdx(licence)
    except ValueError:
        return None


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
