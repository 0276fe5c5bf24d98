"""Replay verdicts of `heritage serve` as a curator's decisions.

A verdict names a photograph by its SHA-256: that of a raw file, or of an image of the data set's earlier
build. It confirms the photograph's class (keep) or gives another (relabel).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heritage.core.manifest import MANIFEST_FILE
from heritage.core.overrides import Override
from heritage.core.parquet_files import read_parquet
from heritage.core.verdicts import Verdict, read_verdicts

_NAMED = 5  # photographs that a remark names


@dataclass(frozen=True)
class ReplayedVerdicts:
    """The decisions that follow from verdicts.

    Attributes:
        overrides: The decisions by raw file.
        remarks: How many verdicts had which effect, and which had none.
    """

    overrides: dict[str, Override]
    remarks: tuple[str, ...] = ()


def replay_verdicts(
    path: Path | None, root: Path, labels: Mapping[str, str | None], classes: Sequence[str], out: Path
) -> ReplayedVerdicts:
    """Return the decisions that follow from a file of verdicts.

    Of one reviewer's verdicts on a photograph, the last one counts. Photographs on whose class reviewers
    disagree, and verdicts without a class, change nothing.

    Args:
        path: The file; None returns no decisions.
        root: The folder of the raw files.
        labels: The class of each raw file before any decision.
        classes: The class list.
        out: The data set's folder, whose earlier build may have images that were judged.

    Raises:
        HeritageError: The file cannot be read, or a line of it is invalid.
    """
    verdicts = read_verdicts(path, classes)
    if not verdicts:
        return ReplayedVerdicts({})
    latest = {(one.sha256, one.reviewer): one for one in sorted(verdicts, key=lambda one: one.time)}
    by_image: dict[str, list[Verdict]] = defaultdict(list)
    undecided: dict[str, str] = {}
    for one in latest.values():
        if one.label is None:
            undecided[one.sha256] = one.file
        else:
            by_image[one.sha256].append(one)
    disputed = [sha256 for sha256, given in by_image.items() if len({one.label for one in given}) > 1]
    contradictory = [by_image.pop(sha256)[0].file for sha256 in disputed]
    files = _files_of([given[-1] for given in by_image.values()], root, labels, out)
    overrides, unmatched = {}, []
    for sha256, given in by_image.items():
        for file in files.get(sha256, ()):
            overrides[file] = _override(given, file, labels[file])
        if sha256 not in files:
            unmatched.append(given[-1].file)
    undecided_names = [
        name for sha256, name in undecided.items() if sha256 not in by_image and sha256 not in disputed
    ]
    remarks = (
        f"Verdicts decide on {_photographs(len(overrides))}.",
        *_remark(unmatched, "judged, but not in this source (no file has the checksum)"),
        *_remark(contradictory, "left as they are, because reviewers disagree"),
        *_remark(undecided_names, "left as they are, because no class was given"),
    )
    return ReplayedVerdicts(overrides, remarks)


def _override(given: Sequence[Verdict], file: str, label: str | None) -> Override:
    last = given[-1]
    reviewers = ", ".join(sorted({one.reviewer for one in given if one.reviewer}))
    note = f"verdict{f' of {reviewers}' if reviewers else ''}{f', {last.time[:10]}' if last.time else ''}"
    if last.label == label:
        return Override(file, "keep", None, "", note)
    return Override(file, "relabel", last.label, "", note)


def _files_of(
    verdicts: Iterable[Verdict], root: Path, labels: Mapping[str, str | None], out: Path
) -> dict[str, list[str]]:
    """Return the raw files of judged photographs by checksum; only files of a judged size are read."""
    wanted = {one.sha256: one.size for one in verdicts}
    sizes = set(wanted.values())
    found: dict[str, list[str]] = defaultdict(list)
    for file in labels:
        try:
            if None not in sizes and (root / file).stat().st_size not in sizes:
                continue
            with (root / file).open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError:
            continue  # the scan reports it
        if sha256 in wanted:
            found[sha256].append(file)
    manifest = out / MANIFEST_FILE
    if len(found) < len(wanted) and manifest.is_file():
        table = read_parquet(manifest)
        if {"sha256", "raw_file"} <= set(table.column_names):
            for sha256, file in zip(table["sha256"].to_pylist(), table["raw_file"].to_pylist(), strict=True):
                if sha256 in wanted and file in labels and file not in found[sha256]:
                    found[sha256].append(file)
    return {sha256: files for sha256, files in found.items() if files}


def _remark(names: Sequence[str], reason: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    reason = reason.replace("they are", "it is") if len(names) == 1 else reason
    return [f"{_photographs(len(names))} {verb} {reason}: {', '.join(names[:_NAMED])}{more}."]


def _photographs(count: int) -> str:
    return f"{count:,} photograph{'' if count == 1 else 's'}"
