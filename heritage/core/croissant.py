"""``croissant.json``: the metadata of a data-set folder in MLCommons' Croissant format, version 1.0.

It describes the tables of `heritage.core.split_tables` with their checksums, the images, and one record set
for each split whose records join both. ``mlcroissant.Dataset("<folder>/croissant.json").records("train")``
reads them. The file depends on the data set alone: it has no date, so a rebuilt data set has the same one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heritage.core.escaping import one_line, web_link
from heritage.core.files import write_text
from heritage.core.licences import open_licence
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.split_tables import SPLIT_TABLES, TEXT_COLUMNS, used_splits

CROISSANT_FILE = "croissant.json"

_CR = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
    "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
    "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
    "transform",
)  # fmt: skip
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in _CR},
}
_PARQUET = "application/x-parquet"
_NAME = r"^(?:.*/)?([^/]+)$"  # the last component of a path


def write_croissant(manifest: Manifest, root: Path, *, name: str, url: str | None = None) -> None:
    """Write ``croissant.json`` into a data-set folder that has its tables.

    Args:
        manifest: The images, with their splits.
        root: The folder.
        name: The data set's name.
        url: Its page; None if it has none.
    """
    record = croissant(manifest, root, name=name, url=url)
    write_text(root / CROISSANT_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def croissant(manifest: Manifest, root: Path, *, name: str, url: str | None = None) -> dict[str, Any]:
    """Return the content of ``croissant.json``; arguments as for `write_croissant`."""
    splits = used_splits(manifest)
    subfolders = any(file.count("/") > 1 for file in manifest.column("file"))
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": SPLIT_TABLES[split],
            "name": SPLIT_TABLES[split],
            "contentUrl": SPLIT_TABLES[split],
            "encodingFormat": _PARQUET,
            "sha256": hashlib.sha256((root / SPLIT_TABLES[split]).read_bytes()).hexdigest(),
        }
        for split in splits
    ]
    suffixes = sorted({Path(file).suffix.lower() for file in manifest.column("file")})
    distribution.append(
        {
            "@type": "cr:FileSet",
            "@id": "images",
            "name": "images",
            "includes": [f"images/{'*/' if subfolders else ''}*{suffix}" for suffix in suffixes],
            "encodingFormat": "image/jpeg" if suffixes in ([".jpg"], [".jpeg"]) else "image/*",
        }
    )
    record = {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": one_line(name),
        "description": f"{counted(len(manifest), 'photograph')} of museum artefacts in "
        f"{counted(len(manifest.classes), 'class')}: {one_line(', '.join(manifest.classes))}. "
        "Credits are in ATTRIBUTION.md.",
        "version": "1.0.0",
        "license": _licences(manifest.column("licence")),
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": [_records(split) for split in splits],
    }
    if page := web_link(url):
        record["url"] = page
    return record


def _licences(values: Sequence[str | None]) -> list[str]:
    known = {text: open_licence(text) for text in dict.fromkeys(values)}
    texts = [
        licence.url or licence.identifier if licence else one_line(text or "licence not recorded")
        for text, licence in known.items()
    ]
    return sorted(set(texts))


def _records(split: str) -> dict[str, Any]:
    table = SPLIT_TABLES[split]
    name = table.removesuffix(".parquet")

    def column(field: str, kind: str, description: str, **more: Any) -> dict[str, Any]:
        source = {"fileObject": {"@id": table}, "extract": {"column": field}}
        return {
            "@type": "cr:Field",
            "@id": f"{name}/{field}",
            "name": field,
            "description": description,
            "dataType": kind,
            "source": {**source, **more.pop("source", {})},
            **more,
        }

    image = {
        "@type": "cr:Field",
        "@id": f"{name}/image",
        "name": "image",
        "description": "the photograph",
        "dataType": "sc:ImageObject",
        "source": {"fileSet": {"@id": "images"}, "extract": {"fileProperty": "content"}},
    }
    joined = {"fileSet": {"@id": "images"}, "extract": {"fileProperty": "filename"}}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"the {name} split",
        "field": [
            column(
                "file_name",
                "sc:Text",
                "the image's file",
                source={"transform": {"regex": _NAME}},
                references=joined,
            ),
            image,
            column("label", "sc:Integer", "position of the class in the class list"),
            *(column(field, "sc:Text", description) for field, description in TEXT_COLUMNS.items()),
        ],
    }
