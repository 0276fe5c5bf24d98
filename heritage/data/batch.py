"""The messages between the main process and its data workers: batch plans and batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch


class BatchPlan(NamedTuple):
    """The contents of a batch, sent to a worker in place of a list of indices.

    A batch depends on its plan alone and not on the worker that makes it.
    """

    rows: npt.NDArray[np.int64]
    """Positions in the dataset, int64, shape (B,)."""
    copies: npt.NDArray[np.bool_]
    """Whether a row is a copy made by oversampling, which is augmented more strongly; shape (B,)."""
    seed: int
    """Random seed of the augmentation."""


class Batch(NamedTuple):
    """Images and targets as they are moved to the device.

    B is the number of readable images: unreadable ones are left out and not replaced.
    """

    images: torch.Tensor
    """RGB, uint8, shape (B, H, W, 3)."""
    targets: torch.Tensor
    """Positions in the class list, int64, shape (B,)."""
    rows: torch.Tensor
    """Positions in the dataset, int64, shape (B,)."""
    unreadable: tuple[int, ...] = ()
    """Positions of images left out; not a tensor, so that Lightning infers B from the others."""
