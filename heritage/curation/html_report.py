"""``report.html``: one static page in which a curator sees the data set and decides.

Pictures are embedded, so the page can be sent by mail. Clicking one writes a line of ``overrides.csv``
in the page; the next build replays the file.
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

import jinja2
import numpy as np
import numpy.typing as npt

from heritage.core.image_io import decode, encode_jpeg
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.overrides import COLUMNS
from heritage.core.resizing import Resizing
from heritage.curation.drop_reasons import REASONS
from heritage.curation.output import CurationResult
from heritage.curation.raw_sources import RawImages
from heritage.errors import ImageError

_SHEET = 24  # pictures of a class or reason
_CLUSTERS, _MEMBERS = 24, 8
_SIDE = 112  # pixels of a small picture
_SHOWN = ("raw_file", "file", "class", "raw_sha256", "reason", "split")
_SMALL = Resizing(_SIDE, "pad", 72)


@dataclass(frozen=True, slots=True)
class ReportImage:
    """A picture on the page and what is said of it."""

    source: str
    file: str
    sha256: str
    label: str
    title: str
    note: str
    kept: bool


class _Pictures:
    """Small pictures of the source's rows, each made once."""

    def __init__(self, curated: CurationResult, raw: RawImages, out: Path) -> None:
        table = curated.table
        self._raw, self._out = raw.root, out
        self._columns = {name: table[name].to_pylist() for name in _SHOWN}
        known = table.column_names
        self._titles = table["title"].to_pylist() if "title" in known else [None] * table.num_rows
        self._cache: dict[int, str] = {}

    def figure(self, row: int) -> ReportImage:
        """Return a row's figure."""
        about = {name: values[row] for name, values in self._columns.items()}
        kept = about["file"] is not None
        return ReportImage(
            source=self._source(row),
            file=about["raw_file"],
            sha256=(about["raw_sha256"] or "")[:12],
            label=about["class"] or "",
            title=self._titles[row] or "",
            note=about["split"] if kept else _detail(about["reason"]),
            kept=kept,
        )

    def figures(self, rows: Sequence[int]) -> list[ReportImage]:
        """Return several rows' figures."""
        return [self.figure(row) for row in rows]

    def _source(self, row: int) -> str:
        if row not in self._cache:
            file = self._columns["file"][row]
            path = self._out / file if file else self._raw / self._columns["raw_file"][row]
            self._cache[row] = _embedded(path)
        return self._cache[row]


def report(curated: CurationResult, raw: RawImages, out: Path, name: str) -> str:
    """Return the page as HTML.

    Args:
        curated: What came out.
        raw: What it was made from.
        out: The data set's folder.
        name: What to call it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    pictures = _Pictures(curated, raw, out)
    codes = sorted(set(curated.kept.column("museum")))
    page: str = environment.get_template("html_report.html.j2").render(
        name=name or out.name,
        fingerprint=curated.kept.fingerprint,
        classes=curated.kept.classes,
        museums={code: name for code in codes if (name := curated.kept.museum(code).name) != code},
        splits=SPLITS,
        columns=COLUMNS,
        audit=curated.audit,
        remarks=[*_remarks(curated)],
        tiles=_tiles(curated),
        by_split=_crossed(curated, "split", SPLITS),
        by_museum={"codes": codes, "rows": _crossed(curated, "museum", codes)},
        periods=by_period(curated.kept),
        histograms=_histograms(curated),
        sheets=_sheets(curated, pictures),
        dropped=_dropped(curated, pictures),
        conflicts=_clusters(curated, pictures, curated.photographs.conflicts),
        twins=_clusters(curated, pictures, _near_clusters(curated)),
        groups=_groups(curated, pictures),
        decisions=_decisions(curated),
    )
    return page


def _tiles(curated: CurationResult) -> list[tuple[str, str]]:
    kept = curated.kept
    crossing = curated.audit.groups + curated.audit.objects + curated.audit.near_duplicates
    return [
        (f"{curated.table.num_rows:,}", "photographs came in"),
        (f"{len(kept):,}", "are kept"),
        (f"{curated.table.num_rows - len(kept):,}", "are dropped"),
        (f"{len(set(kept.column('group_id'))):,}", "groups"),
        (f"{crossing:,}", "cross a split"),
    ]


def _remarks(curated: CurationResult) -> list[str]:
    said = list(curated.remarks)
    said += [f"A decision no longer applies: {file}: {why}." for file, why in curated.stale.items()]
    if curated.photographs.conflicts:
        said.append(f"Photographs with several classes: {len(curated.photographs.conflicts):,}, see below.")
    if curated.photographs.placeholders:
        said.append(f"“No photograph” cards: {len(curated.photographs.placeholders):,}, see Dropped.")
    if not curated.audit.clean:
        said += [f"The audit found a leak. {example}." for example in curated.audit.examples]
    largest = Counter(curated.kept.column("group_id")).most_common(1)[0]
    part = largest[1] / len(curated.kept)
    if part > 0.05:
        said.append(f"The largest group, {largest[0]}, holds {part:.0%} of all images.")
    if grey := sum(map(bool, curated.kept.column("greyscale"))):
        said.append(f"Photographs without colours, kept: {grey:,}.")
    return said


def _crossed(curated: CurationResult, column: str, values: Sequence[str]) -> dict[str, list[int]]:
    """Count classes (rows) by a column's values."""
    found = Counter(zip(curated.kept.column("class"), curated.kept.column(column), strict=True))
    return {name: [found[name, value] for value in values] for name in curated.kept.classes}


def _histograms(curated: CurationResult) -> list[Histogram]:
    kept = curated.kept
    sides = np.minimum(kept.column("raw_width"), kept.column("raw_height"))
    return [
        histogram("Shorter side of the raw photograph", "pixels", sides),
        histogram("Brightness", "mean luma, 0 to 255", np.array(kept.column("brightness")), (0, 256)),
        histogram(
            "Contrast", "range of the middle 98 %, 0 to 255", np.array(kept.column("contrast")), (0, 256)
        ),
    ]


def _sheets(curated: CurationResult, pictures: _Pictures) -> dict[str, list[ReportImage]]:
    """A sample of each class, the same for the same content."""
    rows: dict[str, list[int]] = defaultdict(list)
    status, labels = curated.table["status"].to_pylist(), curated.table["class"].to_pylist()
    for row, (state, label) in enumerate(zip(status, labels, strict=True)):
        if state == "kept":
            rows[label].append(row)
    return {name: pictures.figures(_sample(curated, rows[name])) for name in curated.kept.classes}


def _dropped(curated: CurationResult, pictures: _Pictures) -> list[dict[str, Any]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, reason in enumerate(curated.table["reason"].to_pylist()):
        if reason:
            rows[reason.partition(": ")[0]].append(row)
    return [
        {"reason": reason, "why": REASONS[reason], "count": count,
         "figures": pictures.figures(_sample(curated, rows[reason]))}
        for reason, count in curated.reasons.items()
    ]  # fmt: skip


def _near_clusters(curated: CurationResult) -> list[int]:
    """Clusters of near-duplicates of one class, the largest first."""
    photographs = curated.photographs
    inside = {int(photographs.cluster[row]) for row in photographs.pairs[:, 0]}
    inside -= {*photographs.conflicts, *photographs.placeholders}
    sizes = Counter(photographs.cluster.tolist())
    return sorted(inside, key=lambda cluster: (-sizes[cluster], cluster))


def _clusters(curated: CurationResult, pictures: _Pictures, names: Sequence[int]) -> dict[str, Any]:
    members = curated.photographs.members()
    shown = [
        {"count": len(members[name]), "figures": pictures.figures(members[name][:_MEMBERS])}
        for name in names[:_CLUSTERS]
    ]
    return {"count": len(names), "shown": shown}


def _groups(curated: CurationResult, pictures: _Pictures) -> list[dict[str, Any]]:
    """The largest groups: a wrong link shows here first."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, (group, state) in enumerate(
        zip(curated.table["group_id"].to_pylist(), curated.table["status"].to_pylist(), strict=True)
    ):
        if state == "kept":
            rows[group].append(row)
    largest = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))[:6]
    return [
        {"name": name, "count": len(found), "figures": pictures.figures(_sample(curated, found, _MEMBERS))}
        for name, found in largest
        if len(found) > 1
    ]


def _decisions(curated: CurationResult) -> list[dict[str, str]]:
    return [
        {
            "file": file,
            "decision": one.decision,
            "class": one.label or "",
            "sha256": one.sha256,
            "note": one.note,
            "stale": curated.stale.get(file, ""),
        }
        for file, one in curated.overrides.items()
    ]


def _detail(reason: str) -> str:
    return reason.partition(": ")[2] or reason


def _sample(curated: CurationResult, rows: Sequence[int], most: int = _SHEET) -> list[int]:
    files = curated.table["raw_file"]

    def rank(row: int) -> bytes:
        return hashlib.blake2b(str(files[row]).encode("utf-8", "surrogateescape"), digest_size=8).digest()

    return sorted(rows, key=rank)[:most]


def _embedded(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        pixels = decode(path.read_bytes(), name=path, at_least=_SIDE)
    except (OSError, ImageError):
        return ""  # the page says why instead
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(_SMALL(pixels), quality=72)).decode()


_BINS = 32
_ERAS = (-2000, -1000, -500, 0, 300, 600, 900, 1200, 1500, 1800)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its height as a part of the highest, and what it stands for."""

    part: float
    text: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram: what it shows, its bars from left to right, and its ends."""

    title: str
    unit: str
    bars: tuple[Bar, ...]
    low: str
    high: str
    median: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A count in a table, and how dark to draw it."""

    count: int
    part: float


def histogram(
    title: str, unit: str, values: npt.NDArray[Any], limits: tuple[float, float] | None = None
) -> Histogram:
    """Count values in equal bins; without limits up to the 99th percentile, what is above in the last bin."""
    low, high = limits or (float(values.min()), float(np.percentile(values, 99)))
    high = max(high, low + 1)
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high))
    top = max(1, int(counts.max()))
    bars = tuple(
        Bar(count / top, f"{start:,.0f} to {end:,.0f}: {count:,} images")
        for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    )
    above = "+" if values.max() > high else ""
    ends = (f"{low:,.0f}", f"{high:,.0f}{above}", f"{np.median(values):,.0f}")
    return Histogram(title, unit, bars, *ends)


def by_period(kept: Manifest) -> dict[str, Any]:
    """Count classes by era; nothing where no year is known."""
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
