"""The LightningDataModule: a manifest, its split, and the data loaders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from pydantic import Field

from heritage.core import processes
from heritage.core.image_io import Pixels
from heritage.core.labels import clean_label
from heritage.core.manifest import SPLITS, Manifest, count_by_class
from heritage.core.notebook import html_table, shortened
from heritage.core.numbers import counted
from heritage.core.option_types import FilePath
from heritage.core.taxonomy import class_list_fault
from heritage.core.types import CropPct, ImageSize, NonNegativeInt, PositiveInt
from heritage.data.augment import LIGHT, STRONG, Augmentation, Interpolation
from heritage.data.batch import BatchPlan
from heritage.data.dataset import ArtefactDataset, ImageFiles
from heritage.data.loader import SINGLE_PROCESS, ArtefactLoader, EpochPlan, FixedBatches, Rank
from heritage.data.packed_rows import Packed, open_packed
from heritage.data.readers import folder, missing_files
from heritage.data.sampling import InstanceBalanced, Sampling
from heritage.data.split import OWN_SPLIT
from heritage.errors import ConfigError, ImageError
from heritage.runs.training_images import TrainingImages

log = logging.getLogger(__name__)

ClassList = Annotated[list[str | int], Field(min_length=1)]

_MAX_WORKERS = 16
_NAMED = 5
_IMAGE_SIZE = 224  # of most networks


class Reader(Protocol):
    """Reads a folder into a manifest."""

    def __call__(self, root: Path, classes: Sequence[str] | None) -> Manifest:
        """Read ``root``; ``classes`` is the class list, None takes the classes of the data set."""
        ...


class ArtefactDataModule(pl.LightningDataModule):
    """Reads a data set, splits it, and serves batches of uint8 images to any LightningModule.

    The defaults are those of ``conf/data/_common.yaml`` and of ``heritage train``.

    Args:
        root: The data set's folder.
        reader: Reads it into a manifest; by default a data-set folder, or a folder for each class.
        classes: The class list; a target is a position in it. Classes may be named by numbers. None takes
            the classes of the data set.
        split: Sets the manifest's `split` column; by default the source's own, or else by group.
        image_size: Pixels per side of the network's input; None takes the network's own (`set_input`), or
            224 if nothing sets it.
        crop_pct: The fraction of each side kept in evaluation.
        batch_size: Maximum number of images per step and device.
        num_workers: Processes that decode and augment; None is one per core, 16 at most.
        verify: Read every image first, and raise an error if one cannot be read.
        packed: Whether to read pre-decoded images; ``auto`` reads them if they belong to this data set.
        stage: A folder on a local disk to copy packed images to and read them from.
        train: Augmentation of training images.
        copies: Augmentation of copies made by oversampling.
        sampling: Selects the images of an epoch; None takes each image once.
        seed: The run's seed.

    Raises:
        DataError: From the reader and the split; and what `verify` finds.

    Example:
        >>> data = heritage.ArtefactDataModule(class_folders, batch_size=8, num_workers=0)
        >>> batch = next(iter(data.train_dataloader()))  # a named tuple
        >>> batch.images.shape, batch.images.dtype, batch.targets.shape
        (torch.Size([8, 224, 224, 3]), torch.uint8, torch.Size([8]))
    """

    def __init__(
        self,
        root: FilePath | Path,
        reader: Reader = folder,
        classes: ClassList | None = None,
        split: Callable[[Manifest], Manifest] = OWN_SPLIT,
        image_size: ImageSize | None = None,
        crop_pct: CropPct = 1.0,
        batch_size: PositiveInt = 64,
        num_workers: NonNegativeInt | None = None,
        verify: bool = False,
        packed: Packed = "auto",
        stage: FilePath | None = None,
        *,
        train: Augmentation = LIGHT,
        copies: Augmentation = STRONG,
        sampling: Sampling | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        names = None if classes is None else [clean_label(str(name)) for name in classes]
        if names is not None and (fault := class_list_fault(names)):
            raise ConfigError(fault, where="data.classes", remedy="list each class once, by its name")
        source = reader(Path(root), names)
        self.source_has_split = set(source.column("split")) != {None}
        self.manifest = split(source)
        if fault := class_list_fault(self.manifest.classes):
            raise ConfigError(fault, where=root, remedy="rename the class")
        self.classes = self.manifest.classes
        self.image_size = image_size
        self.batch_size = batch_size
        self.num_workers = available_cores() if num_workers is None else num_workers
        self._crop_pct = crop_pct
        self._interpolation: Interpolation = "bilinear"
        self._train, self._copies = train, copies
        self._sampling = InstanceBalanced() if sampling is None else sampling
        self._repeat: int | None = None
        self._seed = seed
        parts = np.array(self.manifest.column("split"))
        self._rows: dict[str, npt.NDArray[np.int64]] = {
            split: np.flatnonzero(parts == split) for split in SPLITS
        }
        self._loaders: dict[str, ArtefactLoader] = {}
        self._packed = open_packed(self.manifest, packed, stage)
        if verify:
            self._verify()

    def __repr__(self) -> str:
        parts = ", ".join(f"{len(self.rows(split)):,} {split}" for split in SPLITS)
        root = shortened(self.manifest.root)
        return f"ArtefactDataModule('{root}', {counted(len(self.classes), 'class')}, {parts} images)"

    __str__ = __repr__  # Lightning's makes loaders

    def _repr_html_(self) -> str:
        counts = [self.counts(split) for split in SPLITS]
        rows = {
            name: ", ".join(f"{one[name]:,} {split}" for one, split in zip(counts, SPLITS, strict=True))
            for name in self.classes
        }
        return html_table(f"{self.manifest.root}: images", rows)

    def set_input(self, image_size: int, interpolation: str) -> None:
        """Set the network's input size and the interpolation of its training images."""
        self.image_size = image_size
        self._interpolation = "bicubic" if interpolation == "bicubic" else "bilinear"

    @property
    def input_size(self) -> int:
        """Pixels per side of the images that it serves."""
        return self.image_size or _IMAGE_SIZE

    @property
    def crop_pct(self) -> float:
        """The fraction of each side kept in evaluation."""
        return self._crop_pct

    @property
    def interpolation(self) -> Interpolation:
        """Interpolation with which images are enlarged."""
        return self._interpolation

    @property
    def pixel_source(self) -> str:
        """Where images are read from: ``files``, or ``packed`` and the side of the packed images."""
        return "files" if self._packed is None else f"packed {self._packed.side}"

    def overfit_batches(self, batches: int) -> None:
        """Repeat the same first batches in every epoch, as Lightning's option of this name."""
        self._repeat = batches

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Return the manifest rows of a split; the `rows` of a batch are positions in this array."""
        return self._rows[split]

    @property
    def training_images(self) -> TrainingImages:
        """How many images of the training split there are, and how many of them are drawings."""
        return TrainingImages.of(self.manifest.take(self._rows["train"]))

    def targets(self, split: str) -> npt.NDArray[np.int64]:
        """Return the class of each image of a split."""
        return self.manifest.targets[self._rows[split]]

    def counts(self, split: str) -> dict[str, int]:
        """Return the number of images of each class in a split."""
        return count_by_class(self.targets(split), self.classes)

    def sampled_counts(self) -> dict[str, int]:
        """Return the number of images of each class in the first epoch, after sampling."""
        plan = self._plan("train", SINGLE_PROCESS)
        return dict(zip(self.classes, plan.counts().tolist(), strict=True))

    def plan(self, ranks: int, split: str = "train") -> EpochPlan:
        """Return the plan of a split's epochs for the first of several ranks."""
        return self._plan(split, Rank(0, ranks))

    def unreadable(self, split: str) -> list[str]:
        """Return the files of a split that could not be read so far."""
        loader = self._loaders.get(split)
        return [] if loader is None else self._files(split, loader.unreadable)

    def without_prediction(self, split: str) -> list[str]:
        """Return the files of a split for which a network's output was not finite so far."""
        loader = self._loaders.get(split)
        return [] if loader is None else self._files(split, loader.not_finite)

    def _files(self, split: str, rows: set[int]) -> list[str]:
        files = self.manifest.table["file"]
        return [files[int(self._rows[split][row])].as_py() for row in sorted(rows)]

    def train_dataloader(self) -> ArtefactLoader:
        """Return the training batches of this rank, starting at the trainer's epoch."""
        loader = self.loader("train", self._rank())
        # Lightning reads the length of a new loader before it sets the epoch.
        loader.plan.set_epoch(0 if self.trainer is None else self.trainer.current_epoch)
        return loader

    def val_dataloader(self) -> ArtefactLoader:
        """Return the validation batches of this rank: every image once, without padding."""
        return self.loader("val", self._rank())

    def test_dataloader(self) -> ArtefactLoader:
        """Return the test batches of this rank: every image once, without padding."""
        return self.loader("test", self._rank())

    def predict_dataloader(self) -> FixedBatches:
        """Return the test batches of this rank, for `Trainer.predict`."""
        return FixedBatches(self.test_dataloader())

    def loader(self, split: str, rank: Rank = SINGLE_PROCESS) -> ArtefactLoader:
        """Return a loader of a split: augmented and sampled for ``train``, in order otherwise."""
        dataset = self._dataset(split, augmented=split == "train")
        loader = ArtefactLoader(
            dataset,
            self._plan(split, rank),
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )
        if split in self._loaders:  # epochs of different lengths have different loaders
            loader.unreadable = self._loaders[split].unreadable
        self._loaders[split] = loader
        return loader

    def eval_loader(self, split: str) -> ArtefactLoader:
        """Return a loader of a split for evaluation: in order, each image once, not augmented."""
        loader = ArtefactLoader(
            self._dataset(split, augmented=False),
            EpochPlan(self.targets(split), self.classes, None, batch_size=self.batch_size, seed=self._seed),
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )
        if split in self._loaders:
            loader.not_finite = self._loaders[split].not_finite
        self._loaders[split] = loader
        return loader

    def rows_loader(self, rows: npt.NDArray[np.int64]) -> ArtefactLoader:
        """Return a loader of any rows of the manifest: in order, each image once, not augmented.

        The `rows` of a batch are positions in ``rows``. Batches without a readable image have no images.
        """
        targets = self.manifest.targets[rows]
        return ArtefactLoader(
            self._dataset_of(rows, augmented=False),
            EpochPlan(targets, self.classes, None, batch_size=self.batch_size, seed=self._seed),
            num_workers=min(self.num_workers, len(rows) // self.batch_size),
            pin_memory=torch.cuda.is_available(),
            require_images=False,
        )

    def eval_images(self, split: str, rows: npt.NDArray[np.int64]) -> list[Pixels]:
        """Return images of a split, resized for evaluation and not augmented."""
        dataset = self._dataset(split, augmented=False)
        batch = dataset.__getitems__(BatchPlan(rows, np.zeros(len(rows), dtype=np.bool_), 0))
        return list(batch.images.numpy())

    def _dataset(self, split: str, *, augmented: bool) -> ArtefactDataset:
        return self._dataset_of(self._rows[split], augmented=augmented)

    def _dataset_of(self, rows: npt.NDArray[np.int64], *, augmented: bool) -> ArtefactDataset:
        size = self.input_size
        return ArtefactDataset(
            self._packed.take(rows) if self._packed else ImageFiles(self.manifest.take(rows), at_least=size),
            self.manifest.targets[rows],
            size=size,
            interpolation=self._interpolation,
            crop_pct=self._crop_pct,
            transform=self._train if augmented else None,
            copies=self._copies if augmented else None,
        )

    def _plan(self, split: str, rank: Rank) -> EpochPlan:
        return EpochPlan(
            self.targets(split),
            self.classes,
            self._sampling if split == "train" else None,
            batch_size=self.batch_size,
            seed=self._seed,
            rank=rank,
            repeat=self._repeat if split == "train" else None,
        )

    def _rank(self) -> Rank:
        trainer: Any = self.trainer
        return SINGLE_PROCESS if trainer is None else Rank(trainer.global_rank, trainer.world_size)

    def _verify(self) -> None:
        """Read every image and raise an error that names the unreadable ones."""
        if self._packed:
            self._packed.verify()
            return
        files = self.manifest.column("file")
        faults = [f"{name} is missing" for name in missing_files(self.manifest)]
        if not faults:
            images = ImageFiles(self.manifest, at_least=1)
            with ThreadPoolExecutor(available_cores()) as pool:
                results = pool.map(lambda row: _fault(images, row), range(len(files)))
                faults = [fault for fault in results if fault]
        if faults:
            more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
            raise ImageError(
                f"{len(faults)} of {counted(len(files), 'image')} cannot be read: "
                f"{'; '.join(faults[:_NAMED])}{more}",
                where=self.manifest.root,
                remedy="restore them or remove their rows",
            )


def available_cores() -> int:
    """Return the number of CPU cores that this process may use, 16 at most."""
    return min(processes.available_cores(), _MAX_WORKERS)


def _fault(images: ImageFiles, row: int) -> str | None:
    try:
        images.read(row)
    except ImageError as error:
        return f"{images.path(row).name} ({error.what})"
    return None
