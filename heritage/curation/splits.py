"""Who trains, who chooses, who is asked at the end, and how that stays so when photographs are added.

The part of each photograph, known by its checksum, is kept beside the data set. At the next build with
the same settings it stays where it is, and new groups fill up what is missing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from heritage.core.files import atomic_path
from heritage.core.group_split import UNASSIGNED, assign_groups, split_fractions
from heritage.core.manifest import SPLITS
from heritage.core.types import Fraction, NonNegativeInt
from heritage.errors import ConfigError, ManifestError, SplitError

log = logging.getLogger(__name__)

Codes = npt.NDArray[np.int64]
Folds = Annotated[int, Field(ge=2, strict=True)]

TRAIN, VAL, TEST = range(3)
_SETTINGS = b"heritage.split"


@dataclass(frozen=True, slots=True)
class Splitting:
    """How photographs are dealt to the splits.

    Attributes:
        by: ``group`` keeps groups whole; ``image`` deals image by image, the thesis's way, which leaks;
            ``museum`` tests on `museums` and trains on all others.
        test: The part of all images to test on (by group and by image, without folds).
        val: The part of the remaining images to validate on.
        folds: Deal into so many folds for cross-validation, by group; the column `fold` tells which.
        fold: The fold that is the test split, counted from 0.
        museums: The museums to test on, for ``by=museum``.
        seed: Another seed deals otherwise.
    """

    by: Literal["group", "image", "museum"]
    test: Fraction
    val: Fraction
    folds: Folds | None
    fold: NonNegativeInt
    museums: list[str]
    seed: NonNegativeInt

    def check(self) -> None:
        """Refuse combinations that make no sense.

        Raises:
            ConfigError: Folds with another split than by group, a fold that is not there, no museum.
        """
        if self.folds is not None and self.by != "group":
            raise ConfigError(f"folds with by={self.by}", where="split.folds", remedy="use split.by=group")
        if self.folds is not None and self.fold >= self.folds:
            raise ConfigError(
                f"fold {self.fold} of {self.folds}",
                where="split.fold",
                remedy=f"choose 0 to {self.folds - 1}",
            )
        if self.by == "museum" and not self.museums:
            raise ConfigError(
                "no museum to test on", where="split.museums", remedy="name some: 'split.museums=[MET]'"
            )


@dataclass(frozen=True)
class SplitAssignment:
    """Splits and folds by row.

    Attributes:
        split: `TRAIN`, `VAL` or `TEST`, shape (N,).
        fold: The fold, or `UNASSIGNED` where there are none; shape (N,).
    """

    split: Codes
    fold: Codes


@dataclass(frozen=True)
class PreviousSplit:
    """What was dealt, and how.

    Attributes:
        settings: Those of `Splitting`, by name.
        parts: Split and fold by checksum of the raw photograph.
    """

    settings: Mapping[str, Any]
    parts: Mapping[str, tuple[int, int]]


class SplitHistory:
    """The parts that an earlier build gave, by checksum of the raw photograph.

    Args:
        path: Where they are kept.
        splitting: What they must have been made with to be used.
        came: A deal that came with the source; used where none is kept.
    """

    def __init__(self, path: Path, splitting: Splitting, came: PreviousSplit | None = None) -> None:
        self._path = path
        self._settings = dataclasses.asdict(splitting)
        known = self._read() if path.is_file() else came
        self._parts = {} if known is None else self._usable(known)

    def _read(self) -> PreviousSplit:
        try:
            table = pq.read_table(self._path)
            settings = json.loads((table.schema.metadata or {})[_SETTINGS])
        except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
            raise ManifestError(
                f"unreadable: {error}", where=self._path, remedy="remove it to deal all photographs anew"
            ) from error
        facts = zip(table["split"].to_pylist(), table["fold"].to_pylist(), strict=True)
        return PreviousSplit(settings, dict(zip(table["raw_sha256"].to_pylist(), facts, strict=True)))

    def _usable(self, known: PreviousSplit) -> dict[str, tuple[int, int]]:
        """Return what still holds: folds stay when another of them becomes the test split."""
        theirs = {name: known.settings.get(name) for name in self._settings}
        if theirs | {"fold": None} != self._settings | {"fold": None}:
            log.warning("the settings of the split have changed: all photographs are dealt anew")
            return {}
        if theirs["fold"] == self._settings["fold"]:
            return dict(known.parts)
        return {name: (UNASSIGNED, fold) for name, (_, fold) in known.parts.items()}

    def of(self, checksums: Sequence[str]) -> SplitAssignment:
        """Return the earlier parts of these photographs, `UNASSIGNED` where there are none."""
        found = [self._parts.get(one, (UNASSIGNED, UNASSIGNED)) for one in checksums]
        both = np.array(found, dtype=np.int64).reshape(-1, 2)
        return SplitAssignment(both[:, 0], both[:, 1])

    def write(self, checksums: Sequence[str], dealt: SplitAssignment) -> None:
        """Keep these parts, and those of photographs that are not here today."""
        parts = self._parts | {
            one: (split, fold)
            for one, split, fold in zip(checksums, dealt.split.tolist(), dealt.fold.tolist(), strict=True)
        }
        names = sorted(parts)
        table = pa.table(
            {
                "raw_sha256": names,
                "split": pa.array([parts[name][0] for name in names], pa.int64()),
                "fold": pa.array([parts[name][1] for name in names], pa.int64()),
            }
        ).replace_schema_metadata({_SETTINGS: json.dumps(self._settings, sort_keys=True).encode()})
        with atomic_path(self._path) as temporary:
            pq.write_table(table, temporary, compression="zstd")


def assign(
    splitting: Splitting,
    targets: Codes,
    groups: Codes,
    museums: Sequence[str],
    checksums: Sequence[str],
    before: SplitAssignment,
) -> SplitAssignment:
    """Deal kept photographs to the splits.

    Args:
        splitting: How.
        targets: The class of each, shape (N,).
        groups: The group of each, shape (N,).
        museums: The museum of each.
        checksums: The sha256 of each raw photograph.
        before: What an earlier build dealt.

    Raises:
        SplitError: No photograph comes from a museum to test on.
    """
    none = np.full(len(targets), UNASSIGNED, dtype=np.int64)
    shares = split_fractions(splitting.test, splitting.val)
    if splitting.by == "image":
        # Copies of one file go together even here: they are one image.
        images = np.unique(np.array(checksums, dtype=np.str_), return_inverse=True)[1]
        return SplitAssignment(
            assign_groups(targets, images, checksums, shares, splitting.seed, previous=before.split), none
        )
    if splitting.by == "group" and splitting.folds is None:
        return SplitAssignment(
            assign_groups(targets, groups, checksums, shares, splitting.seed, previous=before.split), none
        )
    fold = none
    if splitting.by == "group":
        each = (1 / (splitting.folds or 1),) * (splitting.folds or 1)
        fold = assign_groups(targets, groups, checksums, each, splitting.seed, previous=before.fold)
        tested = fold == splitting.fold
    else:
        tested = np.isin(np.array(museums), splitting.museums)
        require_museums(splitting, museums)
    split = np.full(len(targets), TEST, dtype=np.int64)
    rest = np.flatnonzero(~tested)
    earlier = np.where(before.split[rest] == VAL, 1, np.where(before.split[rest] == TRAIN, 0, UNASSIGNED))
    inner = assign_groups(
        targets[rest],
        groups[rest],
        [checksums[row] for row in rest.tolist()],
        (1 - splitting.val, splitting.val),
        splitting.seed,
        previous=earlier,
    )
    split[rest] = np.where(inner == 1, VAL, TRAIN)
    return SplitAssignment(split, fold)


def require_museums(splitting: Splitting, museums: Sequence[str]) -> None:
    """Refuse to test on museums that there are no photographs of.

    Raises:
        SplitError: No photograph comes from a museum to test on.
    """
    absent = sorted(set(splitting.museums) - set(museums))
    if splitting.by == "museum" and absent:
        raise SplitError(
            f"no photograph is from {', '.join(absent)}",
            where="split.museums",
            remedy=f"there are {', '.join(sorted(set(museums)))}",
        )


def overlapping_museums(splitting: Splitting, groups: Codes, museums: Sequence[str]) -> Codes:
    """Return the rows outside the museums tested on whose group reaches into them."""
    if splitting.by != "museum":
        return np.empty(0, dtype=np.int64)
    tested = np.isin(np.array(museums), splitting.museums)
    return np.flatnonzero(~tested & np.isin(groups, groups[tested]))


def missing_classes(dealt: SplitAssignment, targets: Codes, classes: Sequence[str]) -> list[str]:
    """Return a sentence for the classes that are missing, and for those that a split lacks."""
    present = [set(targets[dealt.split == part].tolist()) for part in range(len(SPLITS))]
    anywhere = set().union(*present)
    absent = [name for target, name in enumerate(classes) if target not in anywhere]
    said = []
    if absent:
        there = ",".join(name for name in classes if name not in absent)
        said.append(f"There is no image of {', '.join(absent)}: train with 'data.classes=[{there}]'.")
    for found, split in zip(present, SPLITS, strict=True):
        lacking = [classes[target] for target in sorted(anywhere - found)]
        if lacking:
            said.append(f"No image of {', '.join(lacking)} is in the {split} split.")
    return said
