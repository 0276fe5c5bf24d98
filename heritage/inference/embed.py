"""`heritage embed`: fill the feature store of a network and a data set."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from heritage.config.network_parts import builder_node
from heritage.core.console import Console
from heritage.core.numbers import counted
from heritage.core.option_types import choice
from heritage.core.types import Precision
from heritage.data import ArtefactDataModule
from heritage.data import split as split_functions
from heritage.data.augment import NO_AUGMENTATION
from heritage.data.sampling import InstanceBalanced
from heritage.errors import ConfigError
from heritage.features.compute import ImageFeatures, feature_places, image_features, summary
from heritage.features.key import Dtype
from heritage.features.shards import Shard, parse_shard
from heritage.features.store import FeatureStore
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.inference.test_set import ALL, open_test_set
from heritage.models.network import input_spec
from heritage.models.normalize import NormalizedModel
from heritage.models.precision import choose_precision
from heritage.models.views import Views, require_views
from heritage.runs.record import resolved
from heritage.training.devices import choose_device


@dataclass(frozen=True)
class EmbedResult:
    """The result of `embed`.

    Attributes:
        folder: The store's folder.
        store: The store.
        computed: Number of images that this command computed.
        seconds: Time that it took.
    """

    folder: Path
    store: FeatureStore = field(repr=False)
    computed: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Images that were computed per second; 0 if none was."""
        return self.computed / self.seconds if self.computed else 0.0


def embed(cfg: DictConfig, console: Console) -> EmbedResult:
    """Compute the features that are missing, and print where they are.

    Raises:
        HeritageError: The configuration, the network or the data set is faulty, the store has other features,
            or another process computes the same ones. An image that cannot be read is no error.
    """
    shard = parse_shard(cfg.shard)
    features = _opened(cfg)
    store = features.store
    if store.folder is None:
        raise ConfigError(
            "cannot be written",
            where=cfg.out or cfg.paths.outputs,
            remedy="choose a folder of your own: out=…",
        )
    size = len(store) * store.width * store.dtype.itemsize / 1e6
    _line(console, f"features: {store.folder}")
    _line(console, f"{len(store):,} × {store.width:,} {store.key.dtype}: {size:,.1f} MB when it is complete")
    start = time.perf_counter()
    computed = features.compute(shard=shard, retry=True, wait=False)
    result = EmbedResult(store.folder, store, computed, time.perf_counter() - start)
    _print(result, shard, features.missing, console)
    return result


def _opened(cfg: DictConfig) -> ImageFeatures:
    device = choose_device(cfg.device)
    tta: Views = choice("tta", cfg.tta, Views)
    dtype: Dtype = choice("dtype", cfg.dtype, Dtype)
    precision: Precision | None = None
    if cfg.precision is not None:
        precision = choice("precision", cfg.precision, Precision)
    if cfg.ckpt is not None:
        classifier = load_checkpoint(cfg.ckpt, cfg.trusted)
        data, model = _data_of_run(classifier, resolved(cfg.data)), classifier.model
        run, default = classifier.folder, classifier.config["trainer"]["precision"]
    else:
        data = _data(resolved(cfg.data))
        model = _backbone(cfg, data)
        run, default = None, "auto"
    require_views(model, tta, data.input_size)
    return image_features(
        model,
        data,
        device=device,
        precision=choose_precision(precision or default, model.net, device.type),
        places=feature_places(run, cfg.paths.outputs),
        tta=tta,
        dtype=dtype,
        folder=None if cfg.out is None else Path(cfg.out),
    )


def _data_of_run(classifier: TrainedClassifier, chosen: Mapping[str, Any]) -> ArtefactDataModule:
    """Return all images of the run's own data set, or of another one, whose classes do not matter."""
    if "_target_" not in chosen:
        return open_test_set(classifier, chosen, ALL).data
    data = _data(chosen, image_size=classifier.image_size, crop_pct=classifier.crop_pct)
    data.set_input(classifier.image_size, classifier.interpolation)
    return data


def _data(chosen: Mapping[str, Any], **supplied: Any) -> ArtefactDataModule:
    make = instantiate(dict(chosen), _partial_=True, _convert_="all")
    data: ArtefactDataModule = make(
        **supplied,
        split=split_functions.whole,
        train=NO_AUGMENTATION,
        copies=NO_AUGMENTATION,
        sampling=InstanceBalanced(),
        seed=0,
    )
    return data


def _backbone(cfg: DictConfig, data: ArtefactDataModule) -> NormalizedModel:
    node = OmegaConf.create(builder_node(cfg.model))
    with _without_messages("heritage.models.weights", "timm.models._builder"):  # on the classifier
        net: torch.nn.Module = instantiate(
            node, _convert_="all", num_classes=len(data.classes), image_size=cfg.data.image_size
        )
    spec = input_spec(net)
    data.set_input(spec.image_size, spec.interpolation)
    return NormalizedModel(net.to(memory_format=torch.channels_last)).eval()


@contextlib.contextmanager
def _without_messages(*loggers: str) -> Iterator[None]:
    """Let loggers log warnings and errors alone."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name in levels:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _print(result: EmbedResult, shard: Shard, missing: int, console: Console) -> None:
    store = result.store
    speed = (
        f" in {result.seconds:,.1f} s ({result.images_per_second:,.1f} images/s)" if result.computed else ""
    )
    of = f"{shard}: " if shard.count > 1 else ""
    state = f"complete, {store.bytes / 1e6:,.1f} MB"
    if not store.complete:
        state = f"{counted(len(store) - store.count, 'image')} of {len(store):,} are still missing"
        if not missing:
            state += ", all of them of a larger data set (out=<folder> makes a store of these images alone)"
    _line(console, f"{of}{counted(result.computed, 'image')} computed{speed}; {state}")
    for note in summary(store):
        _line(console, f"Note: {note}")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
