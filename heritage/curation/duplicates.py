"""Find and handle duplicates: copies of a file, near-duplicates, placeholders and label conflicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
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

_MAX_PAIRWISE = 256  # more files than this with one hash are not compared pairwise


@dataclass(frozen=True, slots=True)
class DuplicateClusters:
    """Clusters of rows with the same photograph.

    Attributes:
        cluster: The cluster of each row, shape (N,); -1 for rows that were not compared.
        pairs: Pairs of rows that are near-duplicates, shape (M, 2).
        conflicts: Clusters with several classes.
        placeholders: Clusters of a "no photograph" card.
    """

    cluster: npt.NDArray[np.int64]
    pairs: Pairs
    conflicts: tuple[int, ...]
    placeholders: tuple[int, ...]

    def members(self) -> dict[int, list[int]]:
        """Return the rows of each cluster that has more than one."""
        members: dict[int, list[int]] = defaultdict(list)
        for row, cluster in enumerate(self.cluster.tolist()):
            if cluster >= 0:
                members[cluster].append(row)
        return {cluster: rows for cluster, rows in members.items() if len(rows) > 1}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """How duplicates are found and handled.

    Attributes:
        radius: Maximum Hamming distance of the perceptual hashes of near-duplicates, in bits.
        similarity: Minimum correlation of the grey thumbnails of near-duplicates.
        placeholder_objects: An image on this many objects is a "no photograph" card. Files whose object is
            unknown count only if they are in several classes: within a class they are copies.
        exact: ``drop`` all copies of a file but one, or ``keep`` them in one group.
        near: ``drop`` all near-duplicates but the largest, or keep them in one ``group``.
        conflict: For a photograph with several classes: ``drop`` all copies, ``keep`` all, or keep the
            ``majority`` class (without a majority, all are dropped).
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
        objects: Sequence[str | None],
        labels: Sequence[str | None],
    ) -> DuplicateClusters:
        """Find clusters of rows with the same photograph.

        Args:
            inspections: The inspection of each row of the source.
            rows: The rows to compare, shape (M,).
            objects: The object of each row of the source; None if it is unknown.
            labels: The class of each row of the source.
        """
        pairs = near_duplicates(inspections, rows, self.radius, self.similarity)
        checksums = inspections.texts("raw_sha256")
        images = inspections.texts("sha256")
        copies = np.concatenate([links([one[row] for row in rows.tolist()]) for one in (checksums, images)])
        cluster = np.full(len(inspections), -1, dtype=np.int64)
        cluster[rows] = components(len(inspections), [pairs, rows[copies]])[rows]
        clusters = DuplicateClusters(cluster, pairs, (), ())
        placeholders, conflicts = [], []
        for name, members in clusters.members().items():
            in_classes = len({labels[row] for row in members}) > 1
            named = [(row, objects[row] or row) for row in members if in_classes or objects[row] is not None]
            if self._is_placeholder(inspections, dict(named)):
                placeholders.append(name)
            elif in_classes:
                conflicts.append(name)
        return DuplicateClusters(cluster, pairs, tuple(conflicts), tuple(placeholders))

    def apply(
        self,
        decisions: RowDecisions,
        inspections: Inspections,
        clusters: DuplicateClusters,
        files: Sequence[str],
        objects: Sequence[str | None],
        labels: Sequence[str | None],
        known: npt.NDArray[np.bool_],
    ) -> None:
        """Drop duplicates by the rules.

        Args:
            decisions: The decisions to add to.
            inspections: The inspection of each row.
            clusters: The result of `find`.
            files: The raw file of each row.
            objects: The object of each row.
            labels: The class of each row.
            known: Mask of the rows that an earlier build kept; of several copies these are preferred.
        """
        checksums = inspections.texts("raw_sha256")
        area = inspections.array("raw_width").astype(np.int64) * inspections.array("raw_height")
        for name, members in clusters.members().items():
            if name in clusters.placeholders:
                count = len({objects[row] or row for row in members})
                decisions.drop_all(members, "placeholder", f"the same image on {count} objects")
                continue
            if name in clusters.conflicts:
                self._resolve_conflict(decisions, members, files, labels)
            best = sorted(
                members,
                key=lambda row: (
                    not decisions.is_protected(row),
                    not known[row],
                    -int(area[row]),
                    files[row],
                ),
            )
            _drop_repeated_rows(decisions, members, files, labels)
            if self.exact == "drop":
                _drop_copies(decisions, best, files, [checksums[row] for row in best], labels)
            if self.near == "drop":
                _drop_copies(decisions, best, files, None, labels)

    def _is_placeholder(self, inspections: Inspections, objects: Mapping[int, str | int]) -> bool:
        members = list(objects)
        if len(set(objects.values())) < self.placeholder_objects:
            return False
        # A chain of photographs, each similar to the next, is no card: all must be similar to the commonest.
        checksums = inspections.table["raw_sha256"].take(members).to_pylist()
        commonest = Counter(checksums).most_common(1)[0][0]
        middle = members[checksums.index(commonest)]
        hashes = inspections.array("phash")
        close = np.bitwise_count(hashes[members] ^ hashes[middle]) <= self.radius
        return len({objects[row] for row, near in zip(members, close.tolist(), strict=True) if near}) >= max(
            self.placeholder_objects, len(members) // 2
        )

    def _resolve_conflict(
        self,
        decisions: RowDecisions,
        members: list[int],
        files: Sequence[str],
        labels: Sequence[str | None],
    ) -> None:
        if self.conflict == "keep":
            return
        counted = Counter(labels[row] for row in members).most_common()
        winner = counted[0][0] if self.conflict == "majority" and counted[0][1] > counted[1][1] else None
        for row in members:
            other = next(one for one in members if labels[one] != labels[row])
            if labels[row] != winner:
                decisions.drop(row, "label conflict", f"{labels[row]}, but {files[other]} is {labels[other]}")


def near_duplicates(
    inspections: Inspections, rows: npt.NDArray[np.int64], radius: int, min_similarity: float
) -> Pairs:
    """Return pairs of rows whose hashes are near and whose signatures correlate, shape (M, 2).

    Copies of a file are represented by the first one. If very many files share a hash, the first one
    represents them in comparisons with other hashes.
    """
    checksums = np.array(inspections.table["raw_sha256"].take(rows).to_pylist(), dtype=np.str_)
    rows = rows[np.sort(np.unique(checksums, return_index=True)[1])]
    hashes = inspections.array("phash")[rows]
    _, first, inverse, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    frequent = counts[inverse] > _MAX_PAIRWISE
    leaders = first[inverse]
    sparse = np.flatnonzero(~frequent | (leaders == np.arange(len(rows))))
    followers = np.flatnonzero(frequent & (leaders != np.arange(len(rows))))
    pairs = np.concatenate(
        [
            rows[sparse[near_pairs(hashes[sparse], radius)]],
            rows[np.stack([leaders[followers], followers], axis=1)],
        ]
    )
    signatures = inspections.signatures
    close = [
        similarity(signatures[part[:, 0]], signatures[part[:, 1]]) >= min_similarity
        for part in _blocks(pairs)
    ]
    return np.sort(pairs[np.concatenate([np.zeros(0, dtype=np.bool_), *close])], axis=1)


def _blocks(pairs: Pairs) -> list[Pairs]:
    return [pairs[start : start + 65_536] for start in range(0, len(pairs), 65_536)]


def _drop_repeated_rows(
    decisions: RowDecisions, members: list[int], files: Sequence[str], labels: Sequence[str | None]
) -> None:
    seen: set[tuple[str, str | None]] = set()
    for row in members:
        if (files[row], labels[row]) in seen:
            decisions.drop(row, "repeated", "the same file and class are in an earlier row")
        seen.add((files[row], labels[row]))


def _drop_copies(
    decisions: RowDecisions,
    members: list[int],
    files: Sequence[str],
    checksums: list[str] | None,
    labels: Sequence[str | None],
) -> None:
    """Keep the first row of each class and checksum; without checksums, of each class."""
    first: dict[tuple[str | None, str], int] = {}
    for position, row in enumerate(members):
        if decisions.reason(row):
            continue
        key = (labels[row], checksums[position] if checksums else "")
        if key in first:
            decisions.drop(row, "duplicate" if checksums else "near-duplicate", f"of {files[first[key]]}")
        else:
            first[key] = row
