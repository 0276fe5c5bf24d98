"""The same photograph more than once: as the same file, saved otherwise, or on several objects or classes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from heritage.curation.drop_reasons import RowDecisions
from heritage.curation.groups import components, links
from heritage.curation.phash import WIDEST_RADIUS, near_pairs, similarity
from heritage.curation.scan import Inspections

Radius = Annotated[int, Field(ge=0, le=WIDEST_RADIUS, strict=True)]
Correlation = Annotated[float, Field(ge=0, le=1)]
AtLeastTwo = Annotated[int, Field(ge=2, strict=True)]
Pairs = npt.NDArray[np.int64]

_CROWD = 256  # more files than this of one hash are not compared each with each


@dataclass(frozen=True, slots=True)
class DuplicateClusters:
    """Which rows show the same photograph.

    Attributes:
        cluster: The cluster of each row, shape (N,); -1 for rows that were not compared.
        pairs: Rows of near-duplicates, shape (M, 2).
        conflicts: Clusters with several classes.
        placeholders: Clusters that are "no photograph" cards.
    """

    cluster: npt.NDArray[np.int64]
    pairs: Pairs
    conflicts: tuple[int, ...]
    placeholders: tuple[int, ...]

    def members(self) -> dict[int, list[int]]:
        """Return the rows of each cluster of more than one."""
        found: dict[int, list[int]] = defaultdict(list)
        for row, cluster in enumerate(self.cluster.tolist()):
            if cluster >= 0:
                found[cluster].append(row)
        return {cluster: rows for cluster, rows in found.items() if len(rows) > 1}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """How to find the same photograph, and what to do about it.

    Attributes:
        radius: Bits in which the perceptual hashes of near-duplicates may differ.
        similarity: What the small grey pictures of near-duplicates must correlate by at least.
        placeholder_objects: A picture on so many objects stands for "no photograph".
        exact: ``drop`` all copies of a file but one, or ``keep`` them in one group.
        near: ``drop`` all near-duplicates but the largest, or keep them in one ``group``.
        conflict: What becomes of a photograph with several classes: ``drop`` all, ``keep`` all, or
            trust the ``majority`` (all are dropped where there is none).
    """

    radius: Radius
    similarity: Correlation
    placeholder_objects: AtLeastTwo
    exact: Literal["drop", "keep"]
    near: Literal["drop", "group"]
    conflict: Literal["drop", "keep", "majority"]

    def find(
        self,
        inspections: Inspections,
        rows: npt.NDArray[np.int64],
        objects: Sequence[str],
        labelled: Sequence[str | None],
    ) -> DuplicateClusters:
        """Find which of these rows show the same photograph.

        Args:
            inspections: What was seen of each row of the source.
            rows: The rows to compare.
            objects: Each row's object, in the order of the source.
            labelled: Each row's class.
        """
        pairs = near_duplicates(inspections, rows, self.radius, self.similarity)
        checksums = inspections.texts("raw_sha256")
        images = inspections.texts("sha256")
        copies = np.concatenate([links([one[row] for row in rows.tolist()]) for one in (checksums, images)])
        cluster = np.full(len(inspections), -1, dtype=np.int64)
        cluster[rows] = components(len(inspections), [pairs, rows[copies]])[rows]
        found = DuplicateClusters(cluster, pairs, (), ())
        placeholders, conflicts = [], []
        for name, members in found.members().items():
            if self._is_placeholder(inspections, members, objects):
                placeholders.append(name)
            elif len({labelled[row] for row in members}) > 1:
                conflicts.append(name)
        return DuplicateClusters(cluster, pairs, tuple(conflicts), tuple(placeholders))

    def apply(
        self,
        decisions: RowDecisions,
        inspections: Inspections,
        found: DuplicateClusters,
        files: Sequence[str],
        objects: Sequence[str],
        labelled: Sequence[str | None],
        known: npt.NDArray[np.bool_],
    ) -> None:
        """Drop what the rules say.

        Args:
            decisions: Where to note it.
            inspections: What was seen of each row.
            found: What `find` returned.
            files: Each row's raw file.
            objects: Each row's object.
            labelled: Each row's class.
            known: Which rows an earlier build kept: of several copies these are kept again.
        """
        checksums = inspections.texts("raw_sha256")
        area = inspections.array("raw_width").astype(np.int64) * inspections.array("raw_height")
        for name, members in found.members().items():
            if name in found.placeholders:
                count = len({objects[row] for row in members})
                decisions.drop_all(members, "placeholder", f"the same picture on {count} objects")
                continue
            if name in found.conflicts:
                self._resolve_conflict(decisions, members, files, labelled)
            best = sorted(
                members,
                key=lambda row: (
                    not decisions.is_protected(row),
                    not known[row],
                    -int(area[row]),
                    files[row],
                ),
            )
            _drop_repeated_rows(decisions, members, files, labelled)
            if self.exact == "drop":
                _drop_copies(decisions, best, files, [checksums[row] for row in best], labelled)
            if self.near == "drop":
                _drop_copies(decisions, best, files, None, labelled)

    def _is_placeholder(self, inspections: Inspections, members: list[int], objects: Sequence[str]) -> bool:
        if len({objects[row] for row in members}) < self.placeholder_objects:
            return False
        # A chain of photographs, each like the next, is no card: all must be like the commonest one.
        checksums = inspections.table["raw_sha256"].take(members).to_pylist()
        commonest = Counter(checksums).most_common(1)[0][0]
        middle = members[checksums.index(commonest)]
        hashes = inspections.array("phash")
        alike = np.bitwise_count(hashes[members] ^ hashes[middle]) <= self.radius
        return len({objects[row] for row, like in zip(members, alike.tolist(), strict=True) if like}) >= max(
            self.placeholder_objects, len(members) // 2
        )

    def _resolve_conflict(
        self,
        decisions: RowDecisions,
        members: list[int],
        files: Sequence[str],
        labelled: Sequence[str | None],
    ) -> None:
        if self.conflict == "keep":
            return
        counted = Counter(labelled[row] for row in members).most_common()
        wins = counted[0][0] if self.conflict == "majority" and counted[0][1] > counted[1][1] else None
        for row in members:
            other = next(one for one in members if labelled[one] != labelled[row])
            if labelled[row] != wins:
                decisions.drop(
                    row, "label conflict", f"{labelled[row]}, but {files[other]} is {labelled[other]}"
                )


def near_duplicates(
    inspections: Inspections, rows: npt.NDArray[np.int64], radius: int, least: float
) -> Pairs:
    """Return pairs of rows with near hashes and small pictures that correlate, shape (M, 2).

    Copies of one file are represented by the first of them. Where very many files share one hash, the
    first of these represents them in comparisons with other hashes.
    """
    checksums = np.array(inspections.table["raw_sha256"].take(rows).to_pylist(), dtype=np.str_)
    rows = rows[np.sort(np.unique(checksums, return_index=True)[1])]
    hashes = inspections.array("phash")[rows]
    _, first, inverse, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    crowded = counts[inverse] > _CROWD
    leaders = first[inverse]
    sparse = np.flatnonzero(~crowded | (leaders == np.arange(len(rows))))
    followers = np.flatnonzero(crowded & (leaders != np.arange(len(rows))))
    pairs = np.concatenate(
        [
            rows[sparse[near_pairs(hashes[sparse], radius)]],
            rows[np.stack([leaders[followers], followers], axis=1)],
        ]
    )
    pictures = inspections.signatures
    close = [similarity(pictures[part[:, 0]], pictures[part[:, 1]]) >= least for part in _blocks(pairs)]
    return np.sort(pairs[np.concatenate([np.zeros(0, dtype=np.bool_), *close])], axis=1)


def _blocks(pairs: Pairs) -> list[Pairs]:
    return [pairs[start : start + 65_536] for start in range(0, len(pairs), 65_536)]


def _drop_repeated_rows(
    decisions: RowDecisions, members: list[int], files: Sequence[str], labelled: Sequence[str | None]
) -> None:
    seen: set[tuple[str, str | None]] = set()
    for row in members:
        if (files[row], labelled[row]) in seen:
            decisions.drop(row, "repeated", "the same file and class stand in an earlier row")
        seen.add((files[row], labelled[row]))


def _drop_copies(
    decisions: RowDecisions,
    members: list[int],
    files: Sequence[str],
    checksums: list[str] | None,
    labelled: Sequence[str | None],
) -> None:
    """Keep the first of each class and checksum (of each class where there are no checksums)."""
    first: dict[tuple[str | None, str], int] = {}
    for position, row in enumerate(members):
        if decisions.reason(row):
            continue
        key = (labelled[row], checksums[position] if checksums else "")
        if key in first:
            decisions.drop(row, "duplicate" if checksums else "near-duplicate", f"of {files[first[key]]}")
        else:
            first[key] = row
