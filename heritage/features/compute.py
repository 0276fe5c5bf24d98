"""The features of images by a network: what is stored is read, and only what is missing is computed.

`image_features` is the one way to features: probes, audits, maps, nearest objects and out-of-distribution
scores all use it, so none of them computes the features of an image a second time.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from heritage.core.locks import FileLock
from heritage.core.numbers import counted
from heritage.core.progress import Progress
from heritage.core.safe_names import safe_name
from heritage.core.signals import work_begins
from heritage.core.terminal import print_line
from heritage.data.module import ArtefactDataModule
from heritage.errors import BusyError, ConfigError
from heritage.features.extractor import FeatureExtractor, architecture, backbone_digest, feature_width
from heritage.features.key import Dtype, FeatureKey, identities, image_digest, image_root, store_rows
from heritage.features.parts import MISSING, NOT_FINITE, PRESENT, UNREADABLE, DamagedPartError
from heritage.features.predict_loop import autocast
from heritage.features.shards import WHOLE, Shard
from heritage.features.store import FeatureStore, create_store, read_store
from heritage.features.store_record import STORE_FILE, stores_in
from heritage.metrics.finite import finite_rows
from heritage.models.network import input_spec
from heritage.models.normalize import NormalizedModel
from heritage.models.views import Views

log = logging.getLogger(__name__)

FEATURES_FOLDER = "features"
"""Of stores: in a run folder, or in ``paths.outputs``."""

PART_SECONDS = 10.0
"""A process that is killed loses at most this much work."""
_PART_BYTES = 64 << 20
_ATTEMPTS = 3

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Stopped(Exception):  # noqa: N818  no error
    """The features are not needed any more; finished parts are kept."""


class ImageFeatures:
    """The features of a data module's images by a network.

    Args:
        extractor: The network up to its classifier.
        data: The images.
        store: Their store.
        device: Where to compute.
        precision: Lightning's name of the precision.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        data: ArtefactDataModule,
        store: FeatureStore,
        device: torch.device,
        precision: str,
    ) -> None:
        self.store = store
        self.data = data
        self._extractor = extractor
        self._device = device
        self._precision = precision
        positions = pc.index_in(identities(data.manifest.table), value_set=identities(store.table))
        self._positions = np.asarray(positions.to_numpy(zero_copy_only=False), dtype=np.int64)
        order = np.full(len(store), -1, dtype=np.int64)
        order[self._positions] = np.arange(len(self._positions))
        self._manifest_rows = order

    @property
    def missing(self) -> int:
        """Number of the data set's images that are not computed; the store may lack others, too."""
        return int((self.store.states[self._positions] == MISSING).sum())

    def of(
        self,
        rows: str | Rows,
        *,
        description: str | None = None,
        retry: bool = False,
        stopped: Callable[[], bool] | None = None,
    ) -> tuple[Rows, Floats]:
        """Return features; those that are not stored are computed first.

        Args:
            rows: ``train``, ``val`` or ``test``, or rows of the manifest.
            description: Text beside the progress bar.
            retry: Whether to try images again that could not be read.
            stopped: Returns whether to stop.

        Returns:
            Positions in the split, or in ``rows``, of the images with finite features, (N,), ascending; and
            their features, float32, (N, D). Images that cannot be read are left out.

        Raises:
            Stopped: ``stopped`` returned true.
            ConfigError: Parts of the store are damaged whenever they are read.
            OSError: The disk is full.
        """
        name = f"features of {rows}" if isinstance(rows, str) else "computing features"
        chosen = self.data.rows(rows) if isinstance(rows, str) else rows
        places = self._positions[chosen]
        for _ in range(_ATTEMPTS):
            self.compute(places, description=description or name, retry=retry, stopped=stopped)
            try:
                values = self.store.read(places)
            except DamagedPartError:
                continue  # it was removed: its rows are computed again
            kept = np.flatnonzero(self.store.states[places] == PRESENT)
            return kept, values[kept]
        raise ConfigError(
            "its parts are damaged again and again", where=str(self.store.folder), remedy="check the disk"
        )

    def compute(
        self,
        rows: Rows | None = None,
        *,
        shard: Shard = WHOLE,
        description: str = "computing features",
        retry: bool = False,
        wait: bool = True,
        stopped: Callable[[], bool] | None = None,
    ) -> int:
        """Compute the missing rows of the store, and complete it if no row is missing.

        Args:
            rows: Rows of the store; None takes those of the shard.
            shard: Which part of the store to compute.
            description: Text beside the progress bar.
            retry: Whether to try images again that could not be read.
            wait: Whether to wait for another process that computes the same rows.
            stopped: Returns whether to stop.

        Returns:
            The number of images that were computed.

        Raises:
            BusyError: Another process computes the same rows, and ``wait`` is false.
            Stopped: ``stopped`` returned true.
            OSError: The disk is full.
        """
        rows = shard.rows(len(self.store)) if rows is None else rows
        rows = rows[self._manifest_rows[rows] >= 0]
        if not len(self._missing(rows, retry=retry)):
            self._finish()
            return 0
        if self.store.folder is None:
            return self._run(self._missing(rows, retry), description, stopped)
        lock = _locked(self.store.folder / shard.lock, wait=wait)
        work_begins()
        try:
            self.store.refresh()
            done = self._run(self._missing(rows, retry), description, stopped)
        finally:
            lock.release(remove=True)
        self.store.refresh()  # other shards may have finished meanwhile
        self._finish()
        return done

    def _missing(self, rows: Rows, retry: bool) -> Rows:
        states = self.store.states[rows]
        wanted = (states == MISSING) | (retry & (states == UNREADABLE))
        return np.unique(rows[wanted])

    def _finish(self) -> None:
        if self.store.folder is None or not self.store.complete:
            return
        if not self.store.has_parts:
            return
        lock = FileLock(self.store.folder / ".finish.lock", patience=math.inf)
        try:
            self.store.refresh()
            self.store.finish()
        finally:
            lock.release(remove=True)

    def _run(self, rows: Rows, description: str, stopped: Callable[[], bool] | None) -> int:
        if not len(rows):
            return 0
        loader = self.data.rows_loader(self._manifest_rows[rows])
        model, was_training = self._extractor.model, self._extractor.model.training
        self._extractor.to(self._device).eval()
        block = _Block(self.store, rows)
        try:
            with (
                torch.inference_mode(),
                autocast(self._device, self._precision),
                Progress(description, len(rows)) as progress,
            ):
                for batch in loader:
                    if stopped is not None and stopped():
                        raise Stopped
                    features = None
                    if len(batch.rows):
                        features = self._extractor(batch.images.to(self._device, non_blocking=True)).float()
                    block.add(batch.rows.numpy(), batch.unreadable, features)
                    progress.advance(len(batch.rows) + len(batch.unreadable))
        finally:
            block.write()
            model.train(was_training)
        return len(rows)


class _Block:
    """Finished images that are not in a part yet."""

    def __init__(self, store: FeatureStore, rows: Rows) -> None:
        self._store = store
        self._rows = rows
        self._features: list[torch.Tensor] = []
        self._read: list[Rows] = []
        self._unreadable: list[int] = []
        self._begun = time.monotonic()

    def add(self, read: Rows, unreadable: Sequence[int], features: torch.Tensor | None) -> None:
        if features is not None:
            self._features.append(features)
            self._read.append(read)
        self._unreadable += unreadable
        size = sum(len(rows) for rows in self._read) * self._store.width * 4
        if size >= _PART_BYTES or time.monotonic() - self._begun >= PART_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the images since the last part."""
        store = self._store
        count = sum(len(rows) for rows in self._read)
        values = np.full((count + len(self._unreadable), store.width), np.nan, dtype=store.dtype)
        states = np.full(len(values), UNREADABLE, dtype=np.uint8)
        if self._features:
            with np.errstate(over="ignore"):  # too large for float16: not finite, and reported
                values[:count] = torch.cat(self._features).cpu().numpy().astype(store.dtype)
            states[:count] = np.where(finite_rows(values[:count]), PRESENT, NOT_FINITE)
            values[states != PRESENT] = np.nan
        order = np.concatenate([*self._read, np.array(self._unreadable, dtype=np.int64)]).astype(np.int64)
        if len(order):
            store.add(self._rows[order], states, values)
        self._features, self._read, self._unreadable = [], [], []
        self._begun = time.monotonic()


def image_features(
    model: NormalizedModel,
    data: ArtefactDataModule,
    *,
    device: torch.device,
    precision: str,
    places: Sequence[Path] = (),
    tta: Views = "none",
    dtype: Dtype = "float32",
    folder: Path | None = None,
) -> ImageFeatures:
    """Open the features of a data module's images by a network; nothing is computed yet.

    A store of the same key is used wherever it is, one of more images included: a store serves every split
    and every selection of classes. Otherwise a new one is made.

    Args:
        model: The network. Its classifier does not matter: all heads of a backbone share a store.
        data: The images, with the input size of the network.
        device: Where to compute.
        precision: Lightning's name of the precision (`heritage.models.precision.choose_precision`).
        places: Folders of stores, such as ``<run>/features`` and ``<paths.outputs>/features``: all are
            searched, and a new store is made in the first. Without any, or if it cannot be written, the
            features are kept in memory.
        tta: The views of an image; their mean is stored.
        dtype: The stored numbers.
        folder: The store's own folder, instead of one in ``places``.

    Raises:
        ConfigError: The network has no features before its classifier, or ``folder`` cannot be written.
        DataError: A store is damaged, or ``folder`` has another one or other files.

    Example:
        >>> trained = heritage.load(run_folder).trained
        >>> data = heritage.ArtefactDataModule(class_folders, num_workers=0)
        >>> data.set_input(trained.image_size, trained.interpolation)
        >>> cpu = torch.device("cpu")
        >>> features = image_features(trained.model, data, device=cpu, precision="32-true")
        >>> rows, values = features.of("val")
        >>> len(rows) == len(values) == len(data.rows("val"))
        True
    """
    extractor = FeatureExtractor(model, tta).eval()
    table = store_rows(data.manifest)
    spec = input_spec(model.net)
    key = FeatureKey(
        image_digest(table), image_root(data.manifest), backbone_digest(model.net), architecture(model.net),
        data.input_size, data.crop_pct, data.interpolation, tuple(map(float, spec.mean)),
        tuple(map(float, spec.std)), data.pixel_source, precision, tta, dtype,
    )  # fmt: skip
    if folder is not None:
        if not (folder / STORE_FILE).is_file() and not _writable(folder):
            raise ConfigError("cannot be written", where=folder, remedy="choose another folder")
        store = create_store(folder, key, table, feature_width(extractor, data.input_size))
    else:
        store = _find(places, key, table) or _create(places, key, table, extractor, data)
    if store.folder is not None and not store.complete and not _writable(store.folder):
        store.keep_in_memory()
    return ImageFeatures(extractor, data, store, device, precision)


def _find(places: Sequence[Path], key: FeatureKey, table: pa.Table) -> FeatureStore | None:
    """Return a store of the same images, or of more."""
    own = [(folder, other) for folder, other in stores_in(places) if other.method == key.method]
    for folder, other in own:
        if other.images == key.images:
            return read_store(folder)
    needed = identities(table)
    for folder, _ in own:
        store = read_store(folder)
        if pc.all(pc.is_in(needed, value_set=identities(store.table))).as_py():
            return store
    return None


def _create(
    places: Sequence[Path],
    key: FeatureKey,
    table: pa.Table,
    extractor: FeatureExtractor,
    data: ArtefactDataModule,
) -> FeatureStore:
    width = feature_width(extractor, data.input_size)
    if places and _writable(places[0]):
        name = f"{data.manifest.root.name}_{key.architecture}_{key.image_size}_{key.digest[:8]}"
        return create_store(places[0] / safe_name(name), key, table, width)
    return FeatureStore(None, key, table, width)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.info("%s: %s; features are not kept", folder, error.strerror)
        return False
    return os.access(folder, os.W_OK)


def _locked(file: Path, *, wait: bool) -> FileLock:
    try:
        return FileLock(file)
    except BusyError:
        if not wait:
            raise
    print_line(f"{file.parent}: waiting for the process that computes these features")
    return FileLock(file, patience=math.inf)


def feature_places(run: Path | None, outputs: str | Path) -> list[Path]:
    """Return the folders of stores: of a run, and of all networks that no run has trained.

    Args:
        run: The run folder; None for a network without one.
        outputs: ``paths.outputs``.
    """
    shared = Path(outputs) / FEATURES_FOLDER
    return [shared] if run is None else [run / FEATURES_FOLDER, shared]


def summary(store: FeatureStore) -> list[str]:
    """Return what readers need to know of a store: images without features, by name."""
    lines = []
    for files, reason in (
        (store.unreadable, "cannot be read"),
        (store.not_finite, "have features that are not finite"),
    ):
        if files:
            more = f" and {len(files) - 5} more" if len(files) > 5 else ""
            lines.append(f"{counted(len(files), 'image')} {reason}: {', '.join(files[:5])}{more}")
    return lines
