"""Proof that nothing is on both sides of a split: no group, no object, no file, no near-duplicate.

The audit reads the finished manifest and compares all with all, by another way than the one that made
the groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from heritage.curation.phash import Hashes, similarity

_BLOCK = 64  # rows compared with all others at once: 128 MB at a quarter of a million
_NAMED = 5


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """What crosses the borders between splits.

    Attributes:
        groups: Groups with images in several splits.
        objects: Objects with images in several splits.
        raw_files: Raw photographs, by checksum, in several splits.
        images: Curated images, by checksum, in several splits.
        near_duplicates: Pairs of near-duplicates in different splits.
        compared: How many pairs of images in different splits were compared.
        examples: Some of what was found, a line each.
    """

    groups: int
    objects: int
    raw_files: int
    images: int
    near_duplicates: int
    compared: int
    examples: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing crosses."""
        return not (self.groups or self.objects or self.raw_files or self.images or self.near_duplicates)

    def record(self) -> dict[str, object]:
        """Return it as plain data."""
        return asdict(self) | {"clean": self.clean}


def audit(
    splits: Sequence[str],
    keys: dict[str, Sequence[str | None]],
    names: Sequence[str],
    hashes: Hashes,
    pictures: npt.NDArray[np.uint8],
    radius: int,
    least: float,
) -> LeakCheck:
    """Look for what crosses the borders between splits.

    Args:
        splits: The split of each image.
        keys: The values of each image that must not be in two splits: ``groups``, ``objects``,
            ``raw_files``, ``images``.
        names: What to call each image.
        hashes: Perceptual hashes, shape (N,).
        pictures: Small grey pictures, shape (N, 256).
        radius: Bits in which the hashes of near-duplicates may differ.
        least: What the small pictures of near-duplicates correlate by at least.
    """
    examples: list[str] = []
    counts: dict[str, int] = {}
    for kind, values in keys.items():
        found = _crossing(splits, values)
        counts[kind] = len(found)
        examples += [
            f"{kind}: {value.replace(chr(31), '/')} is in {where}" for value, where in found[:_NAMED]
        ]
    pairs = 0
    compared = 0
    for first, second, all_pairs in _near_across(np.array(splits), hashes, radius):
        compared += all_pairs
        alike = np.flatnonzero(similarity(pictures[first], pictures[second]) >= least)
        pairs += len(alike)
        for one in alike[: max(0, _NAMED - pairs + len(alike))].tolist():
            examples.append(f"near_duplicates: {names[first[one]]} and {names[second[one]]}")
    return LeakCheck(
        counts["groups"],
        counts["objects"],
        counts["raw_files"],
        counts["images"],
        pairs,
        compared,
        tuple(examples),
    )


def _crossing(splits: Sequence[str], values: Sequence[str | None]) -> list[tuple[str, str]]:
    where: dict[str, set[str]] = defaultdict(set)
    for value, split in zip(values, splits, strict=True):
        if value is not None:
            where[value].add(split)
    return [(value, " and ".join(sorted(found))) for value, found in where.items() if len(found) > 1]


def _near_across(
    splits: npt.NDArray[np.str_], hashes: Hashes, radius: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]]:
    """Yield near pairs of images in different splits, block by block, and how many pairs were compared."""
    names = sorted(set(splits.tolist()))
    rows = {name: np.flatnonzero(splits == name) for name in names}
    for position, one in enumerate(names):
        others = np.concatenate(
            [np.empty(0, dtype=np.int64), *(rows[name] for name in names[position + 1 :])]
        )
        for start in range(0, len(rows[one]), _BLOCK):
            block = rows[one][start : start + _BLOCK]
            near = np.bitwise_count(hashes[block][:, None] ^ hashes[others][None, :]) <= radius
            first, second = np.nonzero(near)
            yield block[first], others[second], len(block) * len(others)
