"""What travels between the main process and the workers: a plan there, a batch back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch


class BatchPlan(NamedTuple):
    """What one batch is made of; sent to a worker instead of a list of indices.

    A batch depends on its plan alone, so it is the same whichever worker makes it.
    """

    rows: npt.NDArray[np.int64]
    """Positions in the dataset, shape (B,)."""
    copies: npt.NDArray[np.bool_]
    """Whether a row is a repeated one, to be augmented more strongly, shape (B,)."""
    seed: int
    """Seed of the batch's augmentation."""


class Batch(NamedTuple):
    """Images as the device gets them.

    Images that could not be read are left out, not replaced: B is the number of readable ones.
    """

    images: torch.Tensor
    """RGB, uint8, shape (B, H, W, 3)."""
    targets: torch.Tensor
    """Class positions, int64, shape (B,)."""
    rows: torch.Tensor
    """Positions in the dataset, int64, shape (B,)."""
    unreadable: tuple[int, ...] = ()
    """Positions of images left out of this batch; no tensor, so that Lightning infers B from the others."""
