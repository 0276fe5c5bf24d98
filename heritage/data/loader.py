"""A DataLoader whose order depends on (seed, epoch) alone and that can go on in mid-epoch.

An epoch of n images has ceil(n / (batch_size · ranks)) steps, and the images are spread evenly over
steps and ranks: every image counts once on any number of ranks, nothing is padded or dropped, and no
step is left with a runt that batch norm cannot take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Sampler

from heritage.data.batch import Batch, BatchPlan
from heritage.data.dataset import ArtefactDataset, init_worker
from heritage.data.sampling import EpochSample, Sampling
from heritage.errors import DataError


@dataclass(frozen=True)
class Rank:
    """Which of the processes that train together this is."""

    index: int = 0
    count: int = 1


SINGLE_PROCESS = Rank()


class EpochPlan(Sampler[BatchPlan]):
    """The batches of an epoch, as plans.

    Lightning calls `set_epoch` on it before each epoch.

    Args:
        targets: The class of each image, shape (N,).
        classes: The class list.
        sampling: Which images an epoch shows; None shows all in their order (evaluation).
        batch_size: Images a step on each rank, at most.
        seed: The run's seed.
        rank: Which rank's batches to plan.
        repeat: Show so many batches, and in every epoch those of the first, to their augmentation; None
            shows each epoch's own.
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
        self._sample: tuple[int, EpochSample] | None = None

    @property
    def sampler(self) -> EpochPlan:
        """Itself: where Lightning looks for `set_epoch` in a batch sampler."""
        return self

    @property
    def start(self) -> int:
        """The first batch to plan: not 0 only in the epoch that a resumed run goes on with."""
        epoch, batches = self._resumed
        return batches if epoch == self.epoch else 0

    def set_epoch(self, epoch: int) -> None:
        """Plan this epoch from now on."""
        self.epoch = epoch

    def resume(self, epoch: int, batches: int) -> None:
        """Go on in this epoch after so many batches."""
        self.epoch = epoch
        self._resumed = (epoch, batches)

    def sample(self, epoch: int) -> EpochSample:
        """Return the images of an epoch, of all ranks together."""
        if self.sampling is None:
            rows = np.arange(len(self.targets))
            return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))
        epoch = epoch if self.repeat is None else 0
        if self._sample is None or self._sample[0] != epoch:
            self._sample = (epoch, self.sampling.sample(self.targets, self.classes, epoch, self.seed))
        return self._sample[1]

    def counts(self, epoch: int = 0) -> npt.NDArray[np.int64]:
        """Return how often each class is shown in an epoch, shape (K,)."""
        return np.bincount(self.targets[self.sample(epoch).rows], minlength=len(self.classes))

    def __len__(self) -> int:
        return self.steps(self.epoch)

    @property
    def constant_length(self) -> bool:
        """Whether all epochs have as many steps as the first."""
        return self.sampling is None or self.sampling.constant_length

    @property
    def constant_proportions(self) -> bool:
        """Whether all epochs show the classes in the first one's proportions."""
        return self.sampling is None or self.sampling.constant_proportions

    def steps(self, epoch: int) -> int:
        """Return how many steps an epoch has on each rank."""
        steps = self._steps_of(len(self.sample(epoch).rows))
        return steps if self.repeat is None else min(steps, self.repeat)

    def steps_by_epoch(self, epochs: int) -> list[int]:
        """Return the steps of each of the first epochs."""
        if self.constant_length:
            return [self.steps(0)] * epochs
        return [self.steps(epoch) for epoch in range(epochs)]

    def steps_to_show(self, images: int) -> list[int]:
        """Return the steps of each epoch until all ranks together have shown so many images.

        The last epoch ends with the step in which the number is reached.
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
        """Return after how many steps of an epoch that shows ``shown`` images ``images`` have been shown."""
        parts = self._steps_of(shown) * self.rank.count
        size, larger = divmod(shown, parts)  # as `numpy.array_split` cuts
        sizes = np.where(np.arange(parts) < larger, size + 1, size)
        by_step = sizes.reshape(-1, self.rank.count).sum(axis=1).cumsum()
        return int(np.searchsorted(by_step, images)) + 1

    def __iter__(self) -> Iterator[BatchPlan]:
        start, self._resumed = self.start, (0, 0)
        draw = self.sample(self.epoch)
        steps = self._steps_of(len(draw.rows))
        rows = np.array_split(draw.rows, steps * self.rank.count)
        copies = np.array_split(draw.copies, steps * self.rank.count)
        for step in range(start, len(self)):
            part = step * self.rank.count + self.rank.index
            yield BatchPlan(rows[part], copies[part], self._seed(step))

    def _seed(self, step: int) -> int:
        epoch = self.epoch if self.repeat is None else 0
        words = np.random.SeedSequence([self.seed, epoch, step, self.rank.index]).generate_state(1)
        return int(words[0])


class ArtefactLoader(DataLoader[Batch]):
    """Batches of an `ArtefactDataset`, in the order of an `EpochPlan`.

    `state_dict` tells the epoch and how many batches were handed out; a loader that is given it goes
    on with the next one.

    Attributes:
        plan: The order.
        unreadable: Rows that could not be read, as they were found.
    """

    def __init__(
        self, dataset: ArtefactDataset, plan: EpochPlan, *, num_workers: int, pin_memory: bool = False
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
        )
        self.plan = plan
        self.unreadable: set[int] = set()
        self._yielded = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._yielded = self.plan.start
        for batch in super().__iter__():
            self._yielded += 1
            if batch.unreadable:
                self.unreadable.update(batch.unreadable)
                if not len(batch.rows):
                    raise DataError(
                        f"not one of {len(batch.unreadable)} images of a batch can be read",
                        where=self.dataset.images.path(batch.unreadable[0]).parent,  # type: ignore[attr-defined]
                        remedy="look at the warnings above; data.verify=true names every unreadable image",
                    )
            yield batch
        self._yielded = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch."""
        return {"epoch": self.plan.epoch, "batches": self._yielded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position that `state_dict` returned."""
        self.plan.resume(state["epoch"], state["batches"])


class FixedBatches:
    """The batches of a loader, as an iterable that is no `DataLoader`.

    For prediction, Lightning rebuilds every `DataLoader` around a batch sampler of its own.

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
