"""From raw photographs to a data set: the stages in order."""

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
from heritage.core.overrides import read_overrides, stale_overrides
from heritage.curation import dataset_folder as dataset
from heritage.curation.drop_reasons import RowDecisions
from heritage.curation.duplicates import DuplicateClusters
from heritage.curation.groups import all_links, components, find_bridges
from heritage.curation.html_report import report
from heritage.curation.leak_check import LeakCheck, audit
from heritage.curation.naming import class_list, image_ids, labels, museum_of
from heritage.curation.options import CurationOptions
from heritage.curation.output import CurationResult, compare, publish
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
from heritage.errors import DataError, SplitError

log = logging.getLogger(__name__)

Codes = npt.NDArray[np.int64]

_SEEN = (
    "sha256", "phash", "bytes", "raw_sha256", "raw_width", "raw_height", "raw_bytes",
    "brightness", "contrast", "greyscale",
)  # fmt: skip

# What is dropped for these reasons still shows which objects belong together.
_LINKING = ("", "duplicate", "near-duplicate", "label conflict", "repeated")


def curate(raw: RawImages, plan: CurationOptions) -> CurationResult:
    """Curate photographs into ``plan.out``.

    Raises:
        HeritageError: The source, the decisions or the settings make no sense; nothing is kept; a leak
            was found; the disk is full.
    """
    plan.split.check()
    build = _Build(raw, plan)
    with dataset.lock_output(plan.out, raw.root):
        if plan.pack:
            log_required_space(plan.out, len(build.files), plan.resize.size)
        curated = build.run()
        page = report(curated, raw, plan.out, str(plan.configuration.get("name", "")))
        write_text(plan.out / "report.html", page)
        publish(curated, plan, raw, build.overrides_file)
        if raw.rebuilt_from is not None:
            compare(raw.rebuilt_from, curated, plan)
        if plan.pack:
            pack(curated.kept, plan.out, plan.resize.size, plan.workers)
        else:
            warn_if_stale(curated.kept, plan.out)
    return curated


def _overrides_file(raw: RawImages, plan: CurationOptions) -> Path | None:
    """Return the file of decisions: the one given, the one in the data set's folder, or the source's."""
    left = plan.out / "overrides.csv"
    return plan.overrides or (left if left.is_file() else raw.overrides)


class _Build:
    """One build: the rows of the source, and what is known of each so far."""

    def __init__(self, raw: RawImages, plan: CurationOptions) -> None:
        self.raw, self.plan = raw, plan
        self.classes = class_list(raw, plan.classes)
        self.files: list[str] = raw.table["raw_file"].to_pylist()
        self.raw_labels = labels(raw, self.classes)
        self.overrides_file = _overrides_file(raw, plan)
        self.overrides = read_overrides(self.overrides_file, self.classes)
        self.labels = [
            self.overrides[file].label or label if file in self.overrides else label
            for file, label in zip(self.files, self.raw_labels, strict=True)
        ]
        self.image_ids = image_ids(raw, self.labels, self.classes)
        self.museums = [museum_of(name) for name in self.image_ids]
        self.objects = self._objects()
        require_museums(plan.split, self.museums)
        self.decisions = RowDecisions(len(self.files))
        self.keys = plan.groups.keys(raw.table, self.museums)
        self.stale: dict[str, str] = {}

    def run(self) -> CurationResult:
        """Go through the stages."""
        plan = self.plan
        scanner = Scanner(self.raw.root, plan.out, plan.resize, plan.workers)
        dataset.invalidate(plan.out)
        scanner.begin()
        inspections = scanner.scan(self.files, self.image_ids)
        earlier = SplitHistory(
            plan.out / dataset.STATE / "split.parquet", plan.split, self.raw.previous_split
        )
        before = earlier.of(inspections.texts("raw_sha256"))
        self._replay(inspections)
        self._clean(inspections)
        photographs = self._deduplicate(inspections, before)
        self._refuse_bridges(photographs, before)
        groups = self._groups(photographs)
        self.decisions.drop_all(overlapping_museums(plan.split, groups, self.museums), "torn")
        rows = np.flatnonzero(self.decisions.kept)
        if not len(rows):
            dropped = ", ".join(f"{count:,} {reason}" for reason, count in self.decisions.counts().items())
            raise DataError(
                f"no photograph is left: {dropped}",
                where=self.raw.root,
                remedy="loosen cleaning, duplicates or overrides, or add photographs",
            )
        dealt, remarks = self._split(inspections, groups, before, rows)
        scanner.restore(rows.tolist(), self.files, self.image_ids, inspections)
        table = self._table(inspections, groups, dealt)
        kept = replace(dataset.kept_manifest(table, plan.out, self.classes), museums=self.raw.museums)
        audited = self._audit(inspections, kept, rows)
        earlier.write(
            kept.column("raw_sha256"),
            SplitAssignment(dealt.split[rows], dealt.fold[rows]),
        )
        return CurationResult(
            table, kept, audited, photographs, self.decisions.counts(), self.overrides, self.stale,
            (*self.raw.notes, *remarks),
        )  # fmt: skip

    def _objects(self) -> list[str]:
        known = self.raw.table.column_names
        ids = self.raw.table["object_id"].to_pylist() if "object_id" in known else [None] * len(self.files)
        return [
            f"{museum}\x1f{one}" if one else f"\x1f{file}"
            for museum, one, file in zip(self.museums, ids, self.files, strict=True)
        ]

    def _replay(self, inspections: Inspections) -> None:
        """Apply the curator's decisions, as far as they still fit."""
        checksums = dict(zip(self.files, inspections.texts("raw_sha256"), strict=True))
        self.stale = stale_overrides(
            self.overrides, checksums, dict(zip(self.files, self.raw_labels, strict=True))
        )
        for file, why in self.stale.items():
            log.warning("stale override of %s: %s", file, why)
        self._take_back_labels()
        for row, file in enumerate(self.files):
            override = self.overrides.get(file)
            # A label that the source has by now is still the curator's: it protects the photograph.
            confirmed = (
                override is not None and override.label is not None and override.label == self.labels[row]
            )
            if override is None or (file in self.stale and not confirmed):
                continue
            if override.decision == "drop":
                self.decisions.drop(row, "override", override.note)
            else:
                self.decisions.protect(row)

    def _take_back_labels(self) -> None:
        """Undo relabelling that turned out stale: files are named by class before they are read."""
        undone = [
            row
            for row, file in enumerate(self.files)
            if file in self.stale and self.labels[row] != self.raw_labels[row]
        ]
        for row in undone:
            self.labels[row] = self.raw_labels[row]
        if undone:
            self.image_ids = image_ids(self.raw, self.labels, self.classes)

    def _clean(self, inspections: Inspections) -> None:
        known = self.raw.table.column_names
        expected = self.raw.table["expected_sha256"].to_pylist() if "expected_sha256" in known else None
        if "raw_status" in known:
            said = zip(
                self.raw.table["raw_status"].to_pylist(),
                self.raw.table["raw_reason"].to_pylist(),
                strict=True,
            )
            for row, (status, reason) in enumerate(said):
                if status == "dropped":
                    self.decisions.drop(row, "collector", reason or "")
        if "raw_problem" in known:
            for row, problem in enumerate(self.raw.table["raw_problem"].to_pylist()):
                if problem:
                    self.decisions.drop(row, "unreadable", problem)
        self.plan.cleaning.apply(
            self.decisions, inspections, self.labels, expected or [None] * len(self.files)
        )

    def _deduplicate(self, inspections: Inspections, before: SplitAssignment) -> DuplicateClusters:
        rows = np.flatnonzero(self.decisions.kept)
        found = self.plan.duplicates.find(inspections, rows, self.objects, self.labels)
        self.plan.duplicates.apply(
            self.decisions,
            inspections,
            found,
            self.files,
            self.objects,
            self.labels,
            (before.split != UNASSIGNED) | (before.fold != UNASSIGNED),
        )
        return found

    def _linking(self) -> npt.NDArray[np.bool_]:
        return np.array(
            [self.decisions.reason(row) in _LINKING for row in range(len(self.files))], dtype=np.bool_
        )

    def _links(self, photographs: DuplicateClusters) -> list[list[str | None]]:
        same = [str(cluster) if cluster >= 0 else None for cluster in photographs.cluster.tolist()]
        return [*self.keys, same]

    def _refuse_bridges(self, photographs: DuplicateClusters, before: SplitAssignment) -> None:
        if self.plan.split.by != "group":
            return
        parts = before.split if self.plan.split.folds is None else before.fold
        found = find_bridges(self._links(photographs), self._linking(), photographs.pairs, parts)
        self.decisions.drop_all(found, "bridge", "it touches groups of different splits")

    def _groups(self, photographs: DuplicateClusters) -> Codes:
        linked = all_links(self._links(photographs), self._linking(), photographs.pairs)
        return components(len(self.files), linked)

    def _split(
        self, inspections: Inspections, groups: Codes, before: SplitAssignment, rows: Codes
    ) -> tuple[SplitAssignment, list[str]]:
        targets = np.array(
            [self.classes.index(str(self.labels[row])) for row in rows.tolist()], dtype=np.int64
        )
        checksums = inspections.texts("raw_sha256")
        dealt = assign(
            self.plan.split,
            targets,
            groups[rows],
            [self.museums[row] for row in rows.tolist()],
            [checksums[row] for row in rows.tolist()],
            SplitAssignment(before.split[rows], before.fold[rows]),
        )
        whole = SplitAssignment(np.full(len(groups), UNASSIGNED), np.full(len(groups), UNASSIGNED))
        whole.split[rows], whole.fold[rows] = dealt.split, dealt.fold
        moved = int(
            ((whole.split != before.split) & (before.split != UNASSIGNED) & (whole.split != UNASSIGNED)).sum()
        )
        remarks = missing_classes(dealt, targets, self.classes)
        if moved:
            remarks.append(
                f"{moved:,} images changed their split: groups of an earlier build have grown together."
            )
        return whole, remarks

    def _table(self, inspections: Inspections, groups: Codes, dealt: SplitAssignment) -> pa.Table:
        kept = self.decisions.kept.tolist()
        linking = self._linking()
        first: dict[int, str] = {}
        for row in np.flatnonzero(linking).tolist():
            group = int(groups[row])
            first[group] = min(first.get(group, self.image_ids[row]), self.image_ids[row])
        known = self.raw.table.column_names
        found: dict[str, Any] = {
            "image_id": self.image_ids,
            "file": [
                f"images/{name}.jpg" if keep else None
                for name, keep in zip(self.image_ids, kept, strict=True)
            ],
            "class": self.labels,
            "museum": self.museums,
            "group_id": [
                first.get(int(g)) if on else None for g, on in zip(groups, linking.tolist(), strict=True)
            ],
            "split": [SPLITS[part] if part != UNASSIGNED else None for part in dealt.split.tolist()],
            "width": [self.plan.resize.size if keep else None for keep in kept],
            "height": [self.plan.resize.size if keep else None for keep in kept],
            "status": ["kept" if keep else "dropped" for keep in kept],
            "reason": [self.decisions.text(row) for row in range(len(kept))],
            "raw_class": pa.array(self.raw_labels, pa.string()),
        }
        if "group_id" in known:
            found["raw_group"] = self.raw.table["group_id"].cast(pa.string()).combine_chunks()
        if self.plan.split.folds is not None:
            found["fold"] = pa.array([int(f) if f != UNASSIGNED else None for f in dealt.fold], pa.int32())
        for name in _SEEN:
            found[name] = inspections.table[name].combine_chunks()
        return dataset.manifest_table(self.raw, found)

    def _audit(self, inspections: Inspections, kept: Manifest, rows: Codes) -> LeakCheck:
        found = audit(
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
            self.plan.duplicates.radius,
            self.plan.duplicates.similarity,
        )
        if not found.clean and self.plan.split.by == "group":
            raise SplitError(
                f"the audit found a leak: {found.examples[0]}",
                where=self.plan.out,
                remedy=(
                    "lower duplicates.similarity, so that they come into one group"
                    if found.examples[0].startswith("near_duplicates")
                    else "name the column of objects in groups.columns"
                )
                + "; the data set was not written",
            )
        return found


def summary(curated: CurationResult, out: Path) -> str:
    """Return some lines: what came in, what is kept, what was dropped, and where to look."""
    kept = curated.kept
    splits = kept.column("split")
    lines = [
        f"{curated.table.num_rows:,} photographs in, {len(kept):,} kept in "
        f"{len(set(kept.column('group_id'))):,} groups: "
        + ", ".join(f"{splits.count(name):,} {name}" for name in SPLITS)
    ]
    lines += [f"  dropped: {count:,} {reason}" for reason, count in curated.reasons.items()]
    lines += [f"  note: {remark}" for remark in curated.remarks]
    lines += [f"  stale override of {file}: {why}" for file, why in curated.stale.items()]
    audit = curated.audit
    if audit.clean:
        lines.append(f"audit: no leak; {audit.compared:,} pairs of images compared")
    else:
        lines.append(
            f"audit: in several splits are {audit.groups:,} groups, {audit.objects:,} objects, "
            f"{audit.raw_files:,} files, {audit.near_duplicates:,} pairs of near-duplicates"
        )
    lines += [f"fingerprint: {kept.fingerprint}", f"report: {out / 'report.html'}"]
    return "\n".join(lines)
