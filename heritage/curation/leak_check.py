"""Check that no group, object, file or near-duplicate is in several splits.

The check reads the finished manifest and compares all pairs of images by brute force, independently of the
indexed search that made the groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from heritage.curation.phash import Hashes, similarity

_BLOCK = 64  # rows compared with all others at once: 128 MB for a quarter of a million rows
_NAMED = 5


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """Leaks between splits.

    Attributes:
        groups: Groups with images in several splits.
        objects: Objects with images in several splits.
        raw_files: Raw photographs, by checksum, in several splits.
        images: Curated images, by checksum, in several splits.
        near_duplicates: Pairs of near-duplicates in different splits.
        compared: Number of pairs of images in different splits that were compared.
        examples: Some of the leaks, a line each.
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
        """Whether there are no leaks."""
        return not (self.groups or self.objects or self.raw_files or self.images or self.near_duplicates)

    def record(self) -> dict[str, object]:
        """Return the result as plain data."""
        return asdict(self) | {"clean": self.clean}


def check_leaks(
    splits: Sequence[str],
    keys: dict[str, Sequence[str | None]],
    names: Sequence[str],
    hashes: Hashes,
    signatures: npt.NDArray[np.uint8],
    radius: int,
    min_similarity: float,
) -> LeakCheck:
    """Find leaks between splits.

    Args:
        splits: The split of each image.
        keys: For each kind of leak (``groups``, ``objects``, ``raw_files``, ``images``), the value of each
            image that must not occur in two splits.
        names: The name of each image, for examples.
        hashes: Perceptual hashes, shape (N,).
        signatures: Grey thumbnails, shape (N, 256).
        radius: Maximum Hamming distance of the hashes of near-duplicates.
        min_similarity: Minimum correlation of the signatures of near-duplicates.
    """
    examples: list[str] = []
    counts: dict[str, int] = {}
    for kind, values in keys.items():
        leaks = _in_several_splits(splits, values)
        counts[kind] = len(leaks)
        examples += [
            f"{kind}: {value.replace(chr(31), '/')} is in {where}" for value, where in leaks[:_NAMED]
        ]
    pairs = 0
    compared = 0
    for first, second, all_pairs in _near_across(np.array(splits), hashes, radius):
        compared += all_pairs
        close = np.flatnonzero(similarity(signatures[first], signatures[second]) >= min_similarity)
        pairs += len(close)
        for one in close[: max(0, _NAMED - pairs + len(close))].tolist():
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


def _in_several_splits(splits: Sequence[str], values: Sequence[str | None]) -> list[tuple[str, str]]:
    """Return the values that occur in several splits, each with their names."""
    where: dict[str, set[str]] = defaultdict(set)
    for value, split in zip(values, splits, strict=True):
        if value is not None:
            where[value].add(split)
    return [(value, " and ".join(sorted(names))) for value, names in where.items() if len(names) > 1]


def _near_across(
    splits: npt.NDArray[np.str_], hashes: Hashes, radius: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]]:
    """Yield pairs of images in different splits with near hashes, by block, and the number compared."""
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
