"""``report.html``: a static page for reviewing a data set.

Images are embedded, so that the page is one file. Clicking them makes an ``overrides.csv``, which the next
build applies.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import decode, encode_jpeg
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.numbers import percent
from heritage.core.overrides import COLUMNS
from heritage.core.resizing import Resizing
from heritage.curation.drop_reasons import REASONS
from heritage.curation.output import CurationResult
from heritage.curation.raw_sources import RawImages
from heritage.errors import ImageError
from heritage.reports.figures import counts_figure
from heritage.reports.histograms import Histogram, histogram, histograms_figure
from heritage.reports.html import page_environment

COUNTS_FILE, DISTRIBUTIONS_FILE = "counts.png", "distributions.png"
_SHEET = 24  # images per class or reason
_CLUSTERS, _MEMBERS = 24, 8
_SIDE = 112  # pixels per side of a thumbnail
_SHOWN = ("raw_file", "file", "class", "raw_sha256", "reason", "split")
_SMALL = Resizing(_SIDE, "pad", 72)
_ERAS = (-2000, -1000, -500, 0, 300, 600, 900, 1200, 1500, 1800)


@dataclass(frozen=True, slots=True)
class ReportImage:
    """An image on the page, with its captions.

    Attributes:
        source: Data URL of the thumbnail; empty if the image cannot be shown.
        file: The raw file.
        sha256: The beginning of its checksum.
        label: Its class, or empty.
        title: Its title, or empty.
        note: Its split, or the reason for which it was dropped.
        kept: Whether it is kept.
    """

    source: str
    file: str
    sha256: str
    label: str
    title: str
    note: str
    kept: bool


class _Thumbnails:
    """Thumbnails of rows of the source, made on demand and cached."""

    def __init__(self, result: CurationResult, raw: RawImages, out: Path) -> None:
        table = result.table
        self._raw, self._out = raw.root, out
        self._columns = {name: table[name].to_pylist() for name in _SHOWN}
        known = table.column_names
        self._titles = table["title"].to_pylist() if "title" in known else [None] * table.num_rows
        self._cache: dict[int, str] = {}

    def figure(self, row: int) -> ReportImage:
        """Return the image of a row."""
        fields = {name: values[row] for name, values in self._columns.items()}
        kept = fields["file"] is not None
        return ReportImage(
            source=self._source(row),
            file=fields["raw_file"],
            sha256=(fields["raw_sha256"] or "")[:12],
            label=fields["class"] or "",
            title=self._titles[row] or "",
            note=fields["split"] if kept else _detail(fields["reason"]),
            kept=kept,
        )

    def figures(self, rows: Sequence[int]) -> list[ReportImage]:
        """Return the images of rows."""
        return [self.figure(row) for row in rows]

    def _source(self, row: int) -> str:
        if row not in self._cache:
            file = self._columns["file"][row]
            path = self._out / file if file else self._raw / self._columns["raw_file"][row]
            self._cache[row] = _embedded(path)
        return self._cache[row]


@dataclass(frozen=True, slots=True)
class Cell:
    """A count in a table, and its shade from 0 to 1."""

    count: int
    fraction: float


def report(result: CurationResult, raw: RawImages, out: Path, name: str) -> str:
    """Return the page as HTML.

    Args:
        result: The result of the build.
        raw: The source.
        out: The data set's folder.
        name: The title of the page; the folder's name if empty.
    """
    environment = page_environment(Path(__file__).parent)
    thumbnails = _Thumbnails(result, raw, out)
    codes = sorted(set(result.kept.column("museum")))
    page: str = environment.get_template("html_report.html.j2").render(
        name=name or out.name,
        fingerprint=result.kept.fingerprint,
        classes=result.kept.classes,
        museums={code: name for code in codes if (name := result.kept.museum(code).name) != code},
        splits=SPLITS,
        columns=COLUMNS,
        leaks=result.leaks,
        remarks=[*_remarks(result)],
        tiles=_tiles(result),
        by_split=_crossed(result, "split", SPLITS),
        by_museum={"codes": codes, "rows": _crossed(result, "museum", codes)},
        periods=_by_period(result.kept),
        histograms=_histograms(result),
        sheets=_sheets(result, thumbnails),
        dropped=_dropped(result, thumbnails),
        conflicts=_clusters(result, thumbnails, result.duplicates.conflicts),
        near_duplicates=_clusters(result, thumbnails, _near_clusters(result)),
        groups=_groups(result, thumbnails),
        decisions=_decisions(result),
    )
    return page


def write_figures(result: CurationResult, out: Path) -> None:
    """Draw the page's counts and histograms into the data set's folder, as PNG and PDF."""
    counts_figure(_crossed(result, "split", SPLITS), SPLITS, out / COUNTS_FILE)
    histograms_figure(_histograms(result), out / DISTRIBUTIONS_FILE)


def _tiles(result: CurationResult) -> list[tuple[str, str]]:
    kept = result.kept
    crossing = result.leaks.groups + result.leaks.objects + result.leaks.near_duplicates
    return [
        (f"{result.table.num_rows:,}", "photographs"),
        (f"{len(kept):,}", "kept"),
        (f"{result.table.num_rows - len(kept):,}", "dropped"),
        (f"{len(set(kept.column('group_id'))):,}", "groups"),
        (f"{crossing:,}", "in several splits"),
    ]


def _remarks(result: CurationResult) -> list[str]:
    remarks = list(result.remarks)
    remarks += [f"A stale override of {file}: {reason}." for file, reason in result.stale.items()]
    if result.duplicates.conflicts:
        remarks.append(f"Photographs with several classes: {len(result.duplicates.conflicts):,}, see below.")
    if result.duplicates.placeholders:
        remarks.append(f"“No photograph” cards: {len(result.duplicates.placeholders):,}, see Dropped.")
    if not result.leaks.clean:
        remarks += [f"There is a leak. {example}." for example in result.leaks.examples]
    largest = Counter(result.kept.column("group_id")).most_common(1)[0]
    part = largest[1] / len(result.kept)
    if part > 0.05:
        remarks.append(f"The largest group, {largest[0]}, has {percent(part, 0)} of all images.")
    if grey := sum(map(bool, result.kept.column("greyscale"))):
        remarks.append(f"Greyscale photographs that are kept: {grey:,}.")
    return remarks


def _crossed(result: CurationResult, column: str, values: Sequence[str]) -> dict[str, list[int]]:
    """Count images by class (rows) and by the values of a column."""
    counts = Counter(zip(result.kept.column("class"), result.kept.column(column), strict=True))
    return {name: [counts[name, value] for value in values] for name in result.kept.classes}


def _histograms(result: CurationResult) -> list[Histogram]:
    kept = result.kept
    sides = np.minimum(kept.column("raw_width"), kept.column("raw_height"))
    return [
        histogram("Shorter side of the raw photograph", "pixels", sides),
        histogram("Brightness", "mean luma, 0 to 255", np.array(kept.column("brightness")), (0, 256)),
        histogram(
            "Contrast", "range of the middle 98 %, 0 to 255", np.array(kept.column("contrast")), (0, 256)
        ),
    ]


def _sheets(result: CurationResult, thumbnails: _Thumbnails) -> dict[str, list[ReportImage]]:
    """Return a sample of each class, which depends only on the files."""
    rows: dict[str, list[int]] = defaultdict(list)
    status, labels = result.table["status"].to_pylist(), result.table["class"].to_pylist()
    for row, (state, label) in enumerate(zip(status, labels, strict=True)):
        if state == "kept":
            rows[label].append(row)
    return {name: thumbnails.figures(_sample(result, rows[name])) for name in result.kept.classes}


def _dropped(result: CurationResult, thumbnails: _Thumbnails) -> list[dict[str, Any]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, reason in enumerate(result.table["reason"].to_pylist()):
        if reason:
            rows[reason.partition(": ")[0]].append(row)
    return [
        {"reason": reason, "why": REASONS[reason], "count": count,
         "figures": thumbnails.figures(_sample(result, rows[reason]))}
        for reason, count in result.dropped.items()
    ]  # fmt: skip


def _near_clusters(result: CurationResult) -> list[int]:
    """Return the clusters of near-duplicates of one class, the largest first."""
    photographs = result.duplicates
    inside = {int(photographs.cluster[row]) for row in photographs.pairs[:, 0]}
    inside -= {*photographs.conflicts, *photographs.placeholders}
    sizes = Counter(photographs.cluster.tolist())
    return sorted(inside, key=lambda cluster: (-sizes[cluster], cluster))


def _clusters(result: CurationResult, thumbnails: _Thumbnails, names: Sequence[int]) -> dict[str, Any]:
    members = result.duplicates.members()
    shown = [
        {"count": len(members[name]), "figures": thumbnails.figures(members[name][:_MEMBERS])}
        for name in names[:_CLUSTERS]
    ]
    return {"count": len(names), "shown": shown}


def _groups(result: CurationResult, thumbnails: _Thumbnails) -> list[dict[str, Any]]:
    """Return samples of the largest groups, in which a wrong link shows first."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, (group, state) in enumerate(
        zip(result.table["group_id"].to_pylist(), result.table["status"].to_pylist(), strict=True)
    ):
        if state == "kept":
            rows[group].append(row)
    largest = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))[:6]
    return [
        {
            "name": name,
            "count": len(members),
            "figures": thumbnails.figures(_sample(result, members, _MEMBERS)),
        }
        for name, members in largest
        if len(members) > 1
    ]


def _decisions(result: CurationResult) -> list[dict[str, str]]:
    return [
        {
            "file": file,
            "decision": one.decision,
            "class": one.label or "",
            "sha256": one.sha256,
            "note": one.note,
            "stale": result.stale.get(file, ""),
        }
        for file, one in result.overrides.items()
    ]


def _detail(reason: str) -> str:
    return reason.partition(": ")[2] or reason


def _sample(result: CurationResult, rows: Sequence[int], most: int = _SHEET) -> list[int]:
    files = result.table["raw_file"]

    def rank(row: int) -> bytes:
        return hashlib.blake2b(str(files[row]).encode("utf-8", "surrogateescape"), digest_size=8).digest()

    return sorted(rows, key=rank)[:most]


def _embedded(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        pixels = decode(read_bounded(path), name=path, at_least=_SIDE)
    except (OSError, ImageError):
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(_SMALL(pixels), quality=72)).decode()


def _by_period(kept: Manifest) -> dict[str, Any]:
    """Count images by class and period; return an empty dictionary if no year is known."""
    years = kept.column("begin_year")
    if not any(year is not None for year in years):
        return {}
    counts = np.zeros((len(kept.classes), len(_ERAS) + 2), dtype=np.int64)
    for target, year in zip(kept.targets.tolist(), years, strict=True):
        counts[target, -1 if year is None else np.searchsorted(_ERAS, year, side="right")] += 1
    top = np.maximum(counts.max(axis=1, keepdims=True), 1)
    starts = [_year(era) for era in _ERAS]
    heads = [f"before {starts[0]}", *(f"{a} – {b}" for a, b in itertools.pairwise(starts)),
             f"from {starts[-1]}", "unknown"]  # fmt: skip
    rows = {
        name: [Cell(int(count), float(count / top[row, 0])) for count in counts[row]]
        for row, name in enumerate(kept.classes)
    }
    return {"heads": heads, "rows": rows}


def _year(year: int) -> str:
    return f"{-year} BCE" if year < 0 else f"{year or 1} CE"
