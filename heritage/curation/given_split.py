"""The split that the source itself gives, in folders named train, val and test or in a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.core.group_split import UNASSIGNED
from heritage.core.manifest import SPLITS
from heritage.curation.splits import TRAIN, SplitAssignment, Splitting

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GivenSplit:
    """The split of the source.

    Attributes:
        split: The split of each row, or `UNASSIGNED`; shape (N,).
        remarks: Remarks for the curator, a sentence each.
    """

    split: Codes
    remarks: tuple[str, ...]


def given_split(source: pa.Table, splitting: Splitting) -> GivenSplit:
    """Return the split that the source's column ``split`` gives.

    If the source has no validation or test images, these are taken from its training images, which are
    therefore unassigned.

    Args:
        source: The table of the source.
        splitting: The options of the split; folds and a split by museum ignore the source's split.
    """
    none = np.full(source.num_rows, UNASSIGNED, dtype=np.int64)
    values = source["split"].to_pylist() if "split" in source.column_names else []
    names = {value for value in values if value}
    if not names:
        return GivenSplit(none, ())
    if splitting.folds is not None or splitting.by == "museum":
        return GivenSplit(none, ("The split of the source is ignored: split.folds or split.by replaces it.",))
    if unknown := sorted(names - set(SPLITS)):
        remark = f"The source's column split is ignored: '{unknown[0]}' is none of {', '.join(SPLITS)}."
        return GivenSplit(none, (remark,))
    split = np.array([SPLITS.index(value) if value else UNASSIGNED for value in values], dtype=np.int64)
    counts = ", ".join(f"{values.count(name):,} {name}" for name in SPLITS)
    remarks = [f"The split of the source is kept: {counts}."]
    if missing := [name for name in SPLITS if name not in names]:
        split[split == TRAIN] = UNASSIGNED
        remarks.append(f"The source has no {' and no '.join(missing)} split: train images were split again.")
    return GivenSplit(split, tuple(remarks))


def with_given_split(previous: SplitAssignment, given: GivenSplit) -> SplitAssignment:
    """Return an earlier split, completed by that of the source for photographs that it lacks."""
    return SplitAssignment(np.where(previous.split == UNASSIGNED, given.split, previous.split), previous.fold)
