"""Splits that are kept while photographs are added.

The split of each photograph, identified by its checksum, is stored with the data set. In a later build with
the same settings photographs keep their split, and new groups are assigned to the splits with too few
images.
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
from heritage.core.json_files import parsed_json
from heritage.core.manifest import SPLITS
from heritage.core.parquet_files import read_parquet
from heritage.core.types import Fraction, NonNegativeInt, Seed
from heritage.errors import ConfigError, ManifestError, SplitError

log = logging.getLogger(__name__)

Codes = npt.NDArray[np.int64]
Folds = Annotated[int, Field(ge=2, strict=True)]

TRAIN, VAL, TEST = range(3)
_SETTINGS = b"heritage.split"


@dataclass(frozen=True, slots=True)
class Splitting:
    """How photographs are split.

    Attributes:
        by: ``group`` keeps groups whole; ``image`` ignores groups, as the thesis does, and leaks; ``museum``
            tests on `museums` and trains on all others.
        test: Test fraction of all images (by group or image, without folds).
        val: Validation fraction of the remaining images.
        folds: Number of folds for cross-validation by group, written to the column `fold`; None for no folds.
        fold: The fold that is the test split, counted from 0.
        museums: The museums to test on, for ``by=museum``.
        seed: Random seed of the split.
    """

    by: Literal["group", "image", "museum"]
    test: Fraction
    val: Fraction
    folds: Folds | None
    fold: NonNegativeInt
    museums: list[str]
    seed: Seed

    def check(self) -> None:
        """Raise an error for invalid combinations of options.

        Raises:
            ConfigError: Folds without a split by group, a fold that does not exist, or no museum.
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
    """The split and fold of each row.

    Attributes:
        split: `TRAIN`, `VAL`, `TEST` or `UNASSIGNED`; shape (N,).
        fold: The fold, or `UNASSIGNED` without folds; shape (N,).
    """

    split: Codes
    fold: Codes


@dataclass(frozen=True)
class PreviousSplit:
    """The split of an earlier build or of the source.

    Attributes:
        settings: The attributes of its `Splitting`, by name.
        assigned: Split and fold by checksum of the raw photograph.
    """

    settings: Mapping[str, Any]
    assigned: Mapping[str, tuple[int, int]]


class SplitHistory:
    """The splits of earlier builds, by checksum of the raw photograph.

    Args:
        path: The file they are stored in.
        splitting: The current options; splits made with others are discarded.
        source: The split of the source, used if there is no file.
    """

    def __init__(self, path: Path, splitting: Splitting, source: PreviousSplit | None = None) -> None:
        self._path = path
        self._settings = dataclasses.asdict(splitting)
        known = self._read() if path.is_file() else source
        self._assigned = {} if known is None else self._usable(known)

    def _read(self) -> PreviousSplit:
        try:
            table = read_parquet(self._path)
            settings = parsed_json((table.schema.metadata or {})[_SETTINGS], dict[str, Any])
            split, fold = (
                table[name].cast(pa.int64()).fill_null(UNASSIGNED).to_pylist() for name in ("split", "fold")
            )
            checksums = table["raw_sha256"].cast(pa.string()).to_pylist()
        except (pa.ArrowException, OSError, LookupError, ValueError) as error:
            raise ManifestError(
                f"unreadable: {error}", where=self._path, remedy="remove it to split all photographs again"
            ) from error
        return PreviousSplit(settings, dict(zip(checksums, zip(split, fold, strict=True), strict=True)))

    def _usable(self, known: PreviousSplit) -> dict[str, tuple[int, int]]:
        """Return the splits to keep; if only the test fold has changed, keep the folds."""
        stored = {name: known.settings.get(name) for name in self._settings}
        if stored | {"fold": None} != self._settings | {"fold": None}:
            log.warning("the options of the split have changed: splitting all photographs again")
            return {}
        if stored["fold"] == self._settings["fold"]:
            return dict(known.assigned)
        return {name: (UNASSIGNED, fold) for name, (_, fold) in known.assigned.items()}

    def lookup(self, checksums: Sequence[str]) -> SplitAssignment:
        """Return the earlier split and fold of photographs, given their checksums."""
        pairs = [self._assigned.get(one, (UNASSIGNED, UNASSIGNED)) for one in checksums]
        both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return SplitAssignment(both[:, 0], both[:, 1])

    def write(self, checksums: Sequence[str], assignment: SplitAssignment) -> None:
        """Store the splits of these photographs, and keep those of photographs that are not in this build."""
        assigned = self._assigned | {
            one: (split, fold)
            for one, split, fold in zip(
                checksums, assignment.split.tolist(), assignment.fold.tolist(), strict=True
            )
        }
        names = sorted(assigned)
        table = pa.table(
            {
                "raw_sha256": names,
                "split": pa.array([assigned[name][0] for name in names], pa.int64()),
                "fold": pa.array([assigned[name][1] for name in names], pa.int64()),
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
    previous: SplitAssignment,
) -> SplitAssignment:
    """Split photographs.

    Args:
        splitting: The options.
        targets: The class of each photograph, shape (N,).
        groups: The group of each photograph, shape (N,).
        museums: The museum of each photograph.
        checksums: The SHA-256 of each raw photograph.
        previous: The splits of an earlier build.

    Raises:
        SplitError: There is no photograph of a test museum.
    """
    unassigned = np.full(len(targets), UNASSIGNED, dtype=np.int64)
    fractions = split_fractions(splitting.test, splitting.val)
    if splitting.by == "image":
        # Copies of a file are one image and must not be separated.
        images = np.unique(np.array(checksums, dtype=np.str_), return_inverse=True)[1]
        return SplitAssignment(
            assign_groups(targets, images, checksums, fractions, splitting.seed, previous=previous.split),
            unassigned,
        )
    if splitting.by == "group" and splitting.folds is None:
        return SplitAssignment(
            assign_groups(targets, groups, checksums, fractions, splitting.seed, previous=previous.split),
            unassigned,
        )
    fold = unassigned
    if splitting.by == "group":
        fold_fractions = (1 / (splitting.folds or 1),) * (splitting.folds or 1)
        fold = assign_groups(
            targets, groups, checksums, fold_fractions, splitting.seed, previous=previous.fold
        )
        tested = fold == splitting.fold
    else:
        tested = np.isin(np.array(museums), splitting.museums)
        require_museums(splitting, museums)
    split = np.full(len(targets), TEST, dtype=np.int64)
    rest = np.flatnonzero(~tested)
    kept = np.where(previous.split[rest] == VAL, 1, np.where(previous.split[rest] == TRAIN, 0, UNASSIGNED))
    inner = assign_groups(
        targets[rest],
        groups[rest],
        [checksums[row] for row in rest.tolist()],
        (1 - splitting.val, splitting.val),
        splitting.seed,
        previous=kept,
    )
    split[rest] = np.where(inner == 1, VAL, TRAIN)
    return SplitAssignment(split, fold)


def require_museums(splitting: Splitting, museums: Sequence[str]) -> None:
    """Raise an error if a test museum has no photographs.

    Raises:
        SplitError: There is no photograph of a test museum.
    """
    absent = sorted(set(splitting.museums) - set(museums))
    if splitting.by == "museum" and absent:
        raise SplitError(
            f"no photograph is from {', '.join(absent)}",
            where="split.museums",
            remedy=f"there are {', '.join(sorted(set(museums)))}",
        )


def overlapping_museums(splitting: Splitting, groups: Codes, museums: Sequence[str]) -> Codes:
    """Return the rows of training museums whose group also has rows of a test museum."""
    if splitting.by != "museum":
        return np.empty(0, dtype=np.int64)
    tested = np.isin(np.array(museums), splitting.museums)
    return np.flatnonzero(~tested & np.isin(groups, groups[tested]))


def missing_classes(assignment: SplitAssignment, targets: Codes, classes: Sequence[str]) -> list[str]:
    """Return remarks on classes without images, and on splits without images of a class."""
    present = [set(targets[assignment.split == part].tolist()) for part in range(len(SPLITS))]
    anywhere = set().union(*present)
    absent = [name for target, name in enumerate(classes) if target not in anywhere]
    remarks = []
    if absent:
        remarks.append(f"There is no image of {', '.join(absent)}; training leaves them out.")
    for classes_of_split, split in zip(present, SPLITS, strict=True):
        lacking = [classes[target] for target in sorted(anywhere - classes_of_split)]
        if lacking:
            remarks.append(f"No image of {', '.join(lacking)} is in the {split} split.")
    return remarks
