"""A DataLoader whose order depends only on (seed, epoch) and that can resume within an epoch.

An epoch of n images has ceil(n / (batch_size · ranks)) steps, and the images are spread evenly over steps and
ranks: on any number of ranks every image is used once, none is padded or dropped, and no step has a small
last batch that batch norm could not handle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Sampler

from heritage.core.processes import loader_context
from heritage.core.signals import signals_blocked
from heritage.data.batch import Batch, BatchPlan
from heritage.data.dataset import ArtefactDataset, init_worker
from heritage.data.sampling import EpochSample, Sampling
from heritage.errors import DataError


@dataclass(frozen=True)
class Rank:
    """The position of a process in distributed training."""

    index: int = 0
    count: int = 1


SINGLE_PROCESS = Rank()


class EpochPlan(Sampler[BatchPlan]):
    """A batch sampler that yields the plans of an epoch's batches.

    Lightning calls `set_epoch` on it before each epoch.

    Args:
        targets: The class of each image, shape (N,).
        classes: The class list.
        sampling: Selects the images of an epoch; None takes all in order (evaluation).
        batch_size: Maximum number of images per step and rank.
        seed: The run's seed.
        rank: The rank to plan for.
        repeat: Repeat this many first batches of the first epoch, including their augmentation, in every
            epoch (overfitting test); None plans all batches.
    """

    def __init__(
        self,
        targets: npt.NDArray[np.int64],
        classes: tuple[str, ...],
        sampling: Sampling | None,
        *,
        batch_size: int,
        seed: int,
        rank: Rank = SINGLE_PROCESS,
        repeat: int | None = None,
    ) -> None:
        self.targets = targets
        self.classes = classes
        self.sampling = sampling
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.repeat = repeat
        self.epoch = 0
        self._resumed = (0, 0)
        self._cached: tuple[int, EpochSample] | None = None

    @property
    def sampler(self) -> EpochPlan:
        """Itself: Lightning looks for `set_epoch` in a batch sampler's ``sampler``."""
        return self

    @property
    def start(self) -> int:
        """The first batch to plan; not 0 only in the epoch in which a run resumes."""
        epoch, batches = self._resumed
        return batches if epoch == self.epoch else 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to plan."""
        self.epoch = epoch

    def resume(self, epoch: int, batches: int) -> None:
        """Resume in an epoch after this many batches."""
        self.epoch = epoch
        self._resumed = (epoch, batches)

    def sample(self, epoch: int) -> EpochSample:
        """Return the images of an epoch on all ranks together."""
        if self.sampling is None:
            rows = np.arange(len(self.targets))
            return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))
        epoch = epoch if self.repeat is None else 0
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, self.sampling.sample(self.targets, self.classes, epoch, self.seed))
        return self._cached[1]

    def counts(self, epoch: int = 0) -> npt.NDArray[np.int64]:
        """Return the number of images of each class in an epoch, shape (K,)."""
        return np.bincount(self.targets[self.sample(epoch).rows], minlength=len(self.classes))

    def __len__(self) -> int:
        return self.steps(self.epoch)

    @property
    def constant_length(self) -> bool:
        """Whether all epochs have the same number of steps."""
        return self.sampling is None or self.sampling.constant_length

    @property
    def constant_proportions(self) -> bool:
        """Whether all epochs have the same proportions of classes."""
        return self.sampling is None or self.sampling.constant_proportions

    def steps(self, epoch: int) -> int:
        """Return the number of steps of an epoch on each rank."""
        steps = self._steps_of(len(self.sample(epoch).rows))
        return steps if self.repeat is None else min(steps, self.repeat)

    def steps_by_epoch(self, epochs: int) -> list[int]:
        """Return the number of steps of each of the first epochs."""
        if self.constant_length:
            return [self.steps(0)] * epochs
        return [self.steps(epoch) for epoch in range(epochs)]

    def steps_to_show(self, images: int) -> list[int]:
        """Return the number of steps of each epoch until all ranks together have used this many images.

        The last epoch ends with the step that reaches the number.
        """
        steps: list[int] = []
        while images > 0:
            shown = len(self.sample(0 if self.constant_length else len(steps)).rows)
            whole = self._steps_of(shown)
            steps.append(whole if images >= shown else self._first_steps(shown, images))
            images -= shown
        return steps

    def _steps_of(self, images: int) -> int:
        return max(1, math.ceil(images / (self.batch_size * self.rank.count)))

    def _first_steps(self, shown: int, images: int) -> int:
        """Return the number of steps after which ``images`` of an epoch's ``shown`` images have been used."""
        parts = self._steps_of(shown) * self.rank.count
        size, larger = divmod(shown, parts)  # as `numpy.array_split` cuts
        sizes = np.where(np.arange(parts) < larger, size + 1, size)
        by_step = sizes.reshape(-1, self.rank.count).sum(axis=1).cumsum()
        return int(np.searchsorted(by_step, images)) + 1

    def __iter__(self) -> Iterator[BatchPlan]:
        start, self._resumed = self.start, (0, 0)
        sample = self.sample(self.epoch)
        steps = self._steps_of(len(sample.rows))
        rows = np.array_split(sample.rows, steps * self.rank.count)
        copies = np.array_split(sample.copies, steps * self.rank.count)
        for step in range(start, len(self)):
            part = step * self.rank.count + self.rank.index
            yield BatchPlan(rows[part], copies[part], self._seed(step))

    def _seed(self, step: int) -> int:
        epoch = self.epoch if self.repeat is None else 0
        words = np.random.SeedSequence([self.seed, epoch, step, self.rank.index]).generate_state(1)
        return int(words[0])


_MAX_POSITION = 2**53


class ArtefactLoader(DataLoader[Batch]):
    """Batches of an `ArtefactDataset`, in the order of an `EpochPlan`.

    `state_dict` returns the epoch and the number of batches yielded; `load_state_dict` resumes after them.

    Attributes:
        plan: The batches of the current epoch.
        unreadable: Rows that could not be read so far.
        not_finite: Rows for which a network's output was not finite so far.
    """

    def __init__(
        self,
        dataset: ArtefactDataset,
        plan: EpochPlan,
        *,
        num_workers: int,
        pin_memory: bool = False,
        require_images: bool = True,
    ) -> None:
        super().__init__(
            dataset,
            batch_sampler=plan,  # type: ignore[arg-type]  # plans instead of lists of indices
            num_workers=num_workers,
            collate_fn=_identity,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            worker_init_fn=init_worker,
            prefetch_factor=4 if num_workers else None,
            multiprocessing_context=loader_context() if num_workers else None,
        )
        self.plan = plan
        self.unreadable: set[int] = set()
        self.not_finite: set[int] = set()
        self._require_images = require_images
        self._yielded = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._yielded = self.plan.start
        with signals_blocked():
            batches = super().__iter__()  # starts the workers
        for batch in batches:
            self._yielded += 1
            if batch.unreadable:
                self.unreadable.update(batch.unreadable)
                if self._require_images and not len(batch.rows):
                    raise DataError(
                        "no image of a batch can be read",
                        where=self.dataset.images.path(batch.unreadable[0]).parent,  # type: ignore[attr-defined]
                        remedy="see the warnings above; data.verify=true lists every unreadable image",
                    )
            yield batch
        self._yielded = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch."""
        return {"epoch": self.plan.epoch, "batches": self._yielded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a position that `state_dict` returned.

        Raises:
            ValueError: It is none.
        """
        position = [state["epoch"], state["batches"]]
        if any(type(number) is not int or not 0 <= number < _MAX_POSITION for number in position):
            raise ValueError(f"{position} is no position of a loader")
        self.plan.resume(state["epoch"], state["batches"])


class FixedBatches:
    """The batches of a loader, as an iterable that is no `DataLoader`.

    For prediction, Lightning rebuilds every `DataLoader` with its own batch sampler.

    Args:
        loader: The loader.
    """

    def __init__(self, loader: ArtefactLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)


def _identity(batch: Any) -> Any:
    return batch
