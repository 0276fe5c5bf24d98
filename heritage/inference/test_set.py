"""The test set of a trained network: a split of its own data set, or another data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from heritage.config.saved_parts import saved_part
from heritage.config.validate import validate
from heritage.core.files import config_dir
from heritage.core.image_folders import split_of
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.taxonomy import suggestion
from heritage.data import ArtefactDataModule
from heritage.data import split as split_functions
from heritage.data.allowed_targets import DATA_MODULES, PARTS, TAKEN, demo_folder
from heritage.data.augment import NO_AUGMENTATION
from heritage.data.module import available_cores
from heritage.data.sampling import InstanceBalanced
from heritage.errors import CheckpointError, ConfigError, HeritageError, SplitError, UnknownClassError
from heritage.inference.checkpoint import TrainedClassifier

ALL = "all"
"""The split that means every image of a data set."""

_LARGEST_BATCH = 1024  # of a saved configuration, whose machine may have had more memory


@dataclass(frozen=True)
class TestSet:
    """A data set to run a trained network on.

    Attributes:
        data: The data module; its class list is the network's.
        own: Whether data set and splits are those that the network was trained with.
        split: The split to predict: ``train``, ``val`` or ``test``.
        name: Name of that split in reports.
        notes: Warnings for the reader of a report.
    """

    data: ArtefactDataModule
    own: bool
    split: str
    name: str
    notes: tuple[str, ...]

    def manifest(self, split: str) -> Manifest:
        """Return the manifest of a split, in the order of its loader."""
        return self.data.manifest.take(self.data.rows(split))

    def left_out(self) -> list[str]:
        """Return notes of the images of the split that have no prediction, after it was predicted."""
        notes = []
        for files, reason in (
            (self.data.unreadable(self.split), "unreadable images were left out"),
            (
                self.data.without_prediction(self.split),
                "images have no prediction, as the network's output is not finite",
            ),
        ):
            if files:
                listed = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
                notes.append(f"{len(files)} {reason}: {listed}")
        return notes


def open_test_set(classifier: TrainedClassifier, chosen: Mapping[str, Any], split: str) -> TestSet:
    """Open the data set to run a network on.

    Args:
        classifier: The trained network.
        chosen: The command's ``data``: a complete configuration of the group, or changes to the network's own
            (its folder, the batch size), in which nulls change nothing.
        split: ``train``, ``val``, ``test``, or ``all`` for every image.

    Raises:
        CheckpointError: The class sets differ, or the network's own data set has changed.
        SplitError: The split has no images.
        HeritageError: The data set cannot be read.
    """
    if split not in (*SPLITS, ALL):
        raise ConfigError(
            f"no split '{split}'",
            where="split",
            remedy=suggestion(split_of(split) or split, (*SPLITS, ALL), f"use {', '.join(SPLITS)} or {ALL}"),
        )
    other = "_target_" in chosen
    data = _data_module(classifier, chosen, other, whole=split == ALL)
    part = "test" if split == ALL else split
    if not len(data.rows(part)):
        raise SplitError(
            f"the {part} split has no images", where=data.manifest.root, remedy="choose another split="
        )
    own = split != ALL and data.manifest.fingerprint == classifier.fingerprint
    notes = []
    if not own and not other and split != ALL:
        raise CheckpointError(
            f"not the data set that {classifier.file.name} was trained on (fingerprint "
            f"{data.manifest.fingerprint[:12]} instead of {classifier.fingerprint[:12]})",
            where=data.manifest.root,
            remedy="restore it, or give data=… to use it as another data set",
        )
    if split == ALL and not other:
        notes.append(
            "All images include those that the network was trained on: metrics are too optimistic, and "
            "hardly any label errors are found."
        )
    elif not own:
        notes.append(
            "This is not the data set and split that the network was trained on (fingerprint "
            f"{data.manifest.fingerprint[:12]} instead of {classifier.fingerprint[:12]}): if it shares "
            "images with the training set, metrics are too optimistic."
        )
    if part == "train":
        notes.append("The network was trained on these images: metrics do not estimate those of new images.")
    name = "all images" if split == ALL else f"the {split} split"
    return TestSet(data, own, part, f"{name} of {data.manifest.root.name}", tuple(notes))


def _data_module(
    classifier: TrainedClassifier, chosen: Mapping[str, Any], other: bool, *, whole: bool
) -> ArtefactDataModule:
    """Build the data module: the user's, or the network's own with the user's changes."""
    classes = [str(name) for name in chosen.get("classes") or ()]
    if classes and set(classes) != set(classifier.classes):
        raise CheckpointError(
            f"its classes are {', '.join(classifier.classes)}, but data.classes is {', '.join(classes)}",
            where=classifier.file,
            remedy=f"set data.classes=[{','.join(classifier.classes)}]",
        )
    supplied: dict[str, Any] = {
        "classes": list(classifier.classes),
        "image_size": classifier.image_size,
        "crop_pct": classifier.crop_pct,
        # the local disk of training may not exist here, and copying does not pay off for a pass or two
        "stage": chosen.get("stage"),
        # of training alone
        "train": NO_AUGMENTATION,
        "copies": NO_AUGMENTATION,
        "sampling": InstanceBalanced(),
        "seed": classifier.config["seed"],
    }
    if whole:
        supplied["split"] = split_functions.whole
    if other:
        validate(OmegaConf.create({"data": dict(chosen)}), "train")
        make = instantiate(dict(chosen), _partial_=True, _convert_="all")
    else:
        make = _own_data(classifier, chosen, supplied)
    try:
        data: ArtefactDataModule = make(**supplied)
    except UnknownClassError as error:
        raise UnknownClassError(
            error.what.replace("data.classes lists", "the network knows"),
            where=error.where,
            remedy="rename the class, or evaluate images of the network's classes",
        ) from error
    data.set_input(classifier.image_size, classifier.interpolation)
    return data


def _own_data(
    classifier: TrainedClassifier, chosen: Mapping[str, Any], supplied: dict[str, Any]
) -> Callable[..., Any]:
    """Return the data module of a saved configuration; reader and split are added to what is supplied."""
    saved, file = classifier.config["data"], classifier.file
    changes = {key: value for key, value in chosen.items() if value is not None}
    # checkpoints of earlier versions lack newer keys
    options = _defaults() | saved | changes
    for limited, most in (("num_workers", available_cores()), ("batch_size", _LARGEST_BATCH)):
        if limited not in changes and isinstance(options[limited], int):
            options[limited] = min(options[limited], most)
    for part, table in PARTS.items():
        if part not in supplied:
            supplied[part] = saved_part(
                options.get(part), table, part=part, key=f"data.{part}", where=file, supplied=TAKEN[part]
            )
    if "root" not in changes and (drawn := demo_folder(supplied["reader"], options.get("root"))):
        raise CheckpointError(
            f"its demo data set is not at {drawn}",
            where=file,
            remedy="data.root=data/demo draws it there",
        )
    module = {key: value for key, value in options.items() if key not in supplied}
    return saved_part(module, DATA_MODULES, part="data set", key="data", where=file, supplied=supplied.keys())


def _defaults() -> dict[str, Any]:
    """Return the current defaults of the group ``data``."""
    plain = OmegaConf.to_container(OmegaConf.load(config_dir() / "data" / "_common.yaml"))
    if not isinstance(plain, dict):
        raise TypeError("a configuration is a mapping")
    return {str(key): value for key, value in plain.items()}


def run_manifest(classifier: TrainedClassifier) -> Manifest:
    """Return the manifest, with splits, of the data set that a network was trained on.

    Raises:
        HeritageError: The data set is missing or has changed.
    """
    return open_test_set(classifier, {}, "test").data.manifest


def try_run_manifest(classifier: TrainedClassifier) -> Manifest | None:
    """Return the manifest of `run_manifest`, or None if it raises."""
    try:
        return run_manifest(classifier)
    except HeritageError:
        return None
