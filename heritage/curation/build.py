"""Build a data set from raw photographs: the stages in order."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.core.files import write_text
from heritage.core.group_split import UNASSIGNED
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.numbers import counted
from heritage.core.overrides import count_unconfirmed, count_undecided, read_overrides, stale_overrides
from heritage.core.verdicts import VERDICTS_FILE
from heritage.curation.drop_reasons import RowDecisions, vanished_classes
from heritage.curation.duplicates import DuplicateClusters
from heritage.curation.given_split import given_split, with_given_split
from heritage.curation.groups import all_links, components, find_bridges
from heritage.curation.html_report import report, write_figures
from heritage.curation.image_ids import image_ids, museum_of
from heritage.curation.labels import class_list, labels
from heritage.curation.leak_check import LeakCheck, check_leaks
from heritage.curation.options import CurationOptions
from heritage.curation.output import (
    STATE,
    CurationResult,
    invalidate,
    kept_manifest,
    lock_output,
    log_comparison,
    manifest_table,
    publish,
)
from heritage.curation.packing import log_required_space, pack, warn_if_stale
from heritage.curation.raw_sources import RawImages
from heritage.curation.scan import Inspections, Scanner
from heritage.curation.splits import (
    SplitAssignment,
    SplitHistory,
    assign,
    missing_classes,
    overlapping_museums,
    require_museums,
)
from heritage.curation.verdicts import replay_verdicts
from heritage.errors import DataError, SplitError

log = logging.getLogger(__name__)

Codes = npt.NDArray[np.int64]

_INSPECTED = (
    "sha256", "phash", "bytes", "raw_sha256", "raw_width", "raw_height", "raw_bytes",
    "brightness", "contrast", "greyscale",
)  # fmt: skip

_NO_OBJECT = "\x1f"  # begins the name of an object that stands for one file

# Photographs dropped for these reasons still link others: they show which objects belong together.
_LINKING = ("", "duplicate", "near-duplicate", "label conflict", "repeated")


def curate(raw: RawImages, options: CurationOptions) -> CurationResult:
    """Build the data set ``options.out``.

    Args:
        raw: The source.
        options: The options of the build.

    Raises:
        HeritageError: The source, the overrides or the options are invalid; no photograph is kept; there is a
            leak; or the disk is full.
    """
    options.split.check()
    build = _Build(raw, options)
    with lock_output(options.out, raw.root):
        if options.pack:
            log_required_space(options.out, len(build.files), options.resize.size)
        result = build.run()
        page = report(result, raw, options.out, str(options.configuration.get("name", "")))
        write_text(options.out / "report.html", page)
        write_figures(result, options.out)
        publish(result, options, raw, build.overrides_file, build.verdicts_file)
        if raw.rebuilt_from is not None:
            log_comparison(raw.rebuilt_from, result, options)
        if options.pack:
            pack(result.kept, options.out, options.resize.size, options.workers)
        else:
            warn_if_stale(result.kept, options.out)
    return result


def summary(result: CurationResult, out: Path) -> str:
    """Return a summary of a build in some lines of text."""
    kept = result.kept
    splits = kept.column("split")
    lines = [
        f"{counted(result.table.num_rows, 'photograph')} in, {len(kept):,} kept in "
        f"{counted(len(set(kept.column('group_id'))), 'group')}: "
        + ", ".join(f"{splits.count(name):,} {name}" for name in SPLITS)
    ]
    lines += [f"  dropped: {count:,} {reason}" for reason, count in result.dropped.items()]
    lines += [f"  note: {remark}" for remark in result.remarks]
    lines += [f"  stale override of {file}: {reason}" for file, reason in result.stale.items()]
    leaks = result.leaks
    found = f"no leak; {counted(leaks.compared, 'pair')} of images compared" if leaks.clean else (
        f"{counted(leaks.groups, 'group')}, {counted(leaks.objects, 'object')}, "
        f"{counted(leaks.raw_files, 'file')} and {counted(leaks.near_duplicates, 'pair')} of "
        "near-duplicates are in several splits"
    )  # fmt: skip
    lines += [f"leak check: {found}", f"fingerprint: {kept.fingerprint}", f"report: {out / 'report.html'}"]
    return "\n".join(lines)


class _Build:
    """One build: the rows of the source and the results of the stages so far.

    Args:
        raw: The source.
        options: The options of the build.
    """

    def __init__(self, raw: RawImages, options: CurationOptions) -> None:
        self.raw, self.options = raw, options
        self.classes = class_list(raw, options.classes)
        self.files: list[str] = raw.table["raw_file"].to_pylist()
        self.raw_labels = labels(raw, self.classes)
        self.overrides_file = _decisions_file(options.overrides, options.out / "overrides.csv", raw.overrides)
        self.verdicts_file = _decisions_file(options.verdicts, options.out / VERDICTS_FILE, raw.verdicts)
        source_labels = dict(zip(self.files, self.raw_labels, strict=True))
        self.verdicts = replay_verdicts(
            self.verdicts_file, raw.root, source_labels, self.classes, options.out
        )
        # explicit decisions take precedence over verdicts
        self.overrides = self.verdicts.overrides | read_overrides(self.overrides_file, self.classes)
        self.labels = [
            self.overrides[file].label or label if file in self.overrides else label
            for file, label in zip(self.files, self.raw_labels, strict=True)
        ]
        self.image_ids = image_ids(raw, self.labels, self.classes)
        self.museums = [museum_of(image_id) for image_id in self.image_ids]
        self.objects = self._objects()
        require_museums(options.split, self.museums)
        self.decisions = RowDecisions(len(self.files))
        self.keys = options.groups.keys(raw.table, self.museums)
        self.stale: dict[str, str] = {}

    def run(self) -> CurationResult:
        """Run the stages."""
        options = self.options
        scanner = Scanner(self.raw.root, options.out, options.resize, options.workers)
        invalidate(options.out)
        scanner.prepare()
        inspections = scanner.scan(self.files, self.image_ids)
        history = SplitHistory(options.out / STATE / "split.parquet", options.split, self.raw.previous_split)
        previous = history.lookup(inspections.texts("raw_sha256"))
        given = given_split(self.raw.table, options.split)
        previous = with_given_split(previous, given)
        self._apply_overrides(inspections)
        self._clean(inspections)
        duplicates = self._deduplicate(inspections, previous)
        self._drop_bridges(duplicates, previous)
        groups = self._groups(duplicates)
        self.decisions.drop_all(overlapping_museums(options.split, groups, self.museums), "museum overlap")
        rows = np.flatnonzero(self.decisions.kept)
        if not len(rows):
            counts = ", ".join(f"{count:,} {reason}" for reason, count in self.decisions.counts().items())
            raise DataError(
                f"all photographs were dropped: {counts}",
                where=self.raw.root,
                remedy="loosen cleaning, duplicates or overrides, or correct the source",
            )
        assignment, remarks = self._split(inspections, groups, previous, rows)
        remarks += [*given.remarks, *vanished_classes(self.decisions, self.labels, self.classes)]
        scanner.write_missing(rows.tolist(), self.files, self.image_ids, inspections)
        table = self._table(inspections, groups, assignment)
        kept = replace(kept_manifest(table, options.out, self.classes), museums=self.raw.museums)
        leaks = self._check_leaks(inspections, kept, rows)
        history.write(
            kept.column("raw_sha256"), SplitAssignment(assignment.split[rows], assignment.fold[rows])
        )
        return CurationResult(
            table, kept, leaks, duplicates, self.decisions.counts(), self.overrides, self.stale,
            (*self.raw.notes, *self._undecided(), *self.verdicts.remarks, *remarks),
        )  # fmt: skip

    def _undecided(self) -> list[str]:
        """Return remarks about rows of the file of overrides that nobody has decided."""
        file = self.overrides_file
        if file is None:
            return []
        remarks = []
        if count := count_undecided(file):
            rows = "row without a decision changes" if count == 1 else "rows without a decision change"
            remarks.append(f"{count:,} {rows} nothing ({file.name}).")
        if count := count_unconfirmed(file):
            rows = "row is a suggestion" if count == 1 else "rows are suggestions"
            remarks.append(
                f"{count:,} {rows} of an earlier `heritage evaluate` and not applied ({file.name}): "
                "to relabel a photograph, empty the note of its row."
            )
        return remarks

    def _objects(self) -> list[str]:
        """Return the object of each row; a row without one is its own object."""
        columns = self.raw.table.column_names
        ids = self.raw.table["object_id"].to_pylist() if "object_id" in columns else [None] * len(self.files)
        return [
            f"{museum}\x1f{object_id}" if object_id else f"{_NO_OBJECT}{file}"
            for museum, object_id, file in zip(self.museums, ids, self.files, strict=True)
        ]

    def _apply_overrides(self, inspections: Inspections) -> None:
        """Apply the curator's decisions that are not stale."""
        checksums = dict(zip(self.files, inspections.texts("raw_sha256"), strict=True))
        raw_labels = dict(zip(self.files, self.raw_labels, strict=True))
        self.stale = stale_overrides(self.overrides, checksums, raw_labels)
        for file, reason in self.stale.items():
            log.warning("stale override of %s: %s", file, reason)
        self._revert_stale_labels()
        for row, file in enumerate(self.files):
            override = self.overrides.get(file)
            if override is None:
                continue
            # A relabelling is also stale if the source has the new class by now; it still protects the row.
            confirmed = override.label is not None and override.label == self.labels[row]
            if file in self.stale and not confirmed:
                continue
            if override.decision == "drop":
                self.decisions.drop(row, "override", override.note)
            else:
                self.decisions.protect(row)

    def _revert_stale_labels(self) -> None:
        """Undo stale relabelling. Image ids, which contain the class, are needed before files are read."""
        stale_rows = [
            row
            for row, file in enumerate(self.files)
            if file in self.stale and self.labels[row] != self.raw_labels[row]
        ]
        for row in stale_rows:
            self.labels[row] = self.raw_labels[row]
        if stale_rows:
            self.image_ids = image_ids(self.raw, self.labels, self.classes)

    def _clean(self, inspections: Inspections) -> None:
        """Drop rows that the source marks as dropped or unreadable, or that the quality filters reject."""
        columns = self.raw.table.column_names
        if "raw_status" in columns:
            statuses = self.raw.table["raw_status"].to_pylist()
            reasons = self.raw.table["raw_reason"].to_pylist()
            for row, (status, reason) in enumerate(zip(statuses, reasons, strict=True)):
                if status == "dropped":
                    self.decisions.drop(row, "collector", reason or "")
        if "raw_problem" in columns:
            for row, problem in enumerate(self.raw.table["raw_problem"].to_pylist()):
                if problem:
                    self.decisions.drop(row, "unreadable", problem)
        expected = (
            self.raw.table["expected_sha256"].to_pylist()
            if "expected_sha256" in columns
            else [None] * len(self.files)
        )
        self.options.cleaning.apply(self.decisions, inspections, self.labels, expected)

    def _deduplicate(self, inspections: Inspections, previous: SplitAssignment) -> DuplicateClusters:
        rules = self.options.duplicates
        known = [None if name.startswith(_NO_OBJECT) else name for name in self.objects]
        clusters = rules.find(inspections, np.flatnonzero(self.decisions.kept), known, self.labels)
        kept_before = (previous.split != UNASSIGNED) | (previous.fold != UNASSIGNED)
        rules.apply(self.decisions, inspections, clusters, self.files, known, self.labels, kept_before)
        return clusters

    def _linking(self) -> npt.NDArray[np.bool_]:
        """Return the mask of the rows that link others, shape (N,)."""
        return np.array(
            [self.decisions.reason(row) in _LINKING for row in range(len(self.files))], dtype=np.bool_
        )

    def _link_keys(self, duplicates: DuplicateClusters) -> list[list[str | None]]:
        clusters = [str(cluster) if cluster >= 0 else None for cluster in duplicates.cluster.tolist()]
        return [*self.keys, clusters]

    def _drop_bridges(self, duplicates: DuplicateClusters, previous: SplitAssignment) -> None:
        if self.options.split.by != "group":
            return
        subsets = previous.split if self.options.split.folds is None else previous.fold
        bridges = find_bridges(self._link_keys(duplicates), self._linking(), duplicates.pairs, subsets)
        self.decisions.drop_all(bridges, "bridge", "it links groups of different splits")

    def _groups(self, duplicates: DuplicateClusters) -> Codes:
        links = all_links(self._link_keys(duplicates), self._linking(), duplicates.pairs)
        return components(len(self.files), links)

    def _split(
        self, inspections: Inspections, groups: Codes, previous: SplitAssignment, rows: Codes
    ) -> tuple[SplitAssignment, list[str]]:
        """Split the kept rows; return the split of all rows, and remarks."""
        targets = np.array(
            [self.classes.index(str(self.labels[row])) for row in rows.tolist()], dtype=np.int64
        )
        checksums = inspections.texts("raw_sha256")
        kept = assign(
            self.options.split,
            targets,
            groups[rows],
            [self.museums[row] for row in rows.tolist()],
            [checksums[row] for row in rows.tolist()],
            SplitAssignment(previous.split[rows], previous.fold[rows]),
        )
        whole = SplitAssignment(np.full(len(groups), UNASSIGNED), np.full(len(groups), UNASSIGNED))
        whole.split[rows], whole.fold[rows] = kept.split, kept.fold
        both = (previous.split != UNASSIGNED) & (whole.split != UNASSIGNED)
        moved = int((both & (whole.split != previous.split)).sum())
        remarks = missing_classes(kept, targets, self.classes)
        if moved:
            remarks.append(
                f"Moved to another split: {counted(moved, 'image')}, as earlier groups have merged."
            )
        return whole, remarks

    def _table(self, inspections: Inspections, groups: Codes, assignment: SplitAssignment) -> pa.Table:
        kept = self.decisions.kept.tolist()
        linking = self._linking()
        names: dict[int, str] = {}  # a group is named after its smallest image id
        for row in np.flatnonzero(linking).tolist():
            group = int(groups[row])
            names[group] = min(names.get(group, self.image_ids[row]), self.image_ids[row])
        computed: dict[str, Any] = {
            "image_id": self.image_ids,
            "file": [
                f"images/{image_id}.jpg" if keep else None
                for image_id, keep in zip(self.image_ids, kept, strict=True)
            ],
            "class": self.labels,
            "museum": self.museums,
            "group_id": [
                names.get(int(group)) if links else None
                for group, links in zip(groups, linking.tolist(), strict=True)
            ],
            "split": [SPLITS[split] if split != UNASSIGNED else None for split in assignment.split.tolist()],
            "width": [self.options.resize.size if keep else None for keep in kept],
            "height": [self.options.resize.size if keep else None for keep in kept],
            "status": ["kept" if keep else "dropped" for keep in kept],
            "reason": [self.decisions.text(row) for row in range(len(kept))],
            "raw_class": pa.array(self.raw_labels, pa.string()),
        }
        if "group_id" in self.raw.table.column_names:
            computed["raw_group"] = self.raw.table["group_id"].cast(pa.string()).combine_chunks()
        if self.options.split.folds is not None:
            folds = [int(fold) if fold != UNASSIGNED else None for fold in assignment.fold]
            computed["fold"] = pa.array(folds, pa.int32())
        for name in _INSPECTED:
            computed[name] = inspections.table[name].combine_chunks()
        return manifest_table(self.raw, computed)

    def _check_leaks(self, inspections: Inspections, kept: Manifest, rows: Codes) -> LeakCheck:
        """Check for leaks, which are an error if the split is by group.

        Raises:
            SplitError: There is a leak.
        """
        leaks = check_leaks(
            kept.column("split"),
            {
                "groups": kept.column("group_id"),
                "objects": [self.objects[row] for row in rows.tolist()],
                "raw_files": kept.column("raw_sha256"),
                "images": kept.column("sha256"),
            },
            kept.column("image_id"),
            inspections.array("phash")[rows],
            inspections.signatures[rows],
            self.options.duplicates.radius,
            self.options.duplicates.similarity,
        )
        if not leaks.clean and self.options.split.by == "group":
            example = leaks.examples[0]
            remedy = (
                "lower duplicates.similarity, so that they are grouped"
                if example.startswith("near_duplicates")
                else "name the column of objects in groups.columns"
            )
            raise SplitError(
                f"a leak between splits: {example}",
                where=self.options.out,
                remedy=f"{remedy}; the data set was not written",
            )
        return leaks


def _decisions_file(given: Path | None, own: Path, source: Path | None) -> Path | None:
    """Return a file of a curator's decisions: the given one, the data set's, or the source's."""
    return given or (own if own.is_file() else source)
