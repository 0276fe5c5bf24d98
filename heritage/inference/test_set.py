"""The test set of a trained network: a split of its own data set, or another data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from heritage.config.validate import validate
from heritage.core.files import config_dir
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.taxonomy import nearest
from heritage.data import ArtefactDataModule
from heritage.errors import CheckpointError, ConfigError, HeritageError, SplitError
from heritage.inference.checkpoint import TrainedClassifier
from heritage.training.build import build_data

ALL = "all"
"""The split that means every image of a data set."""

_DATA_PACKAGE = "heritage.data."
_WHOLE = {"_target_": "heritage.data.split.whole", "_partial_": True}


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
        near = nearest(split, (*SPLITS, ALL))
        raise ConfigError(
            f"no split '{split}'",
            where="split",
            remedy=f"did you mean {near}?" if near else f"use {', '.join(SPLITS)} or {ALL}",
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
    """Build the data module, with the settings of the network's own configuration."""
    augment, balance = classifier.config["augment"], classifier.config["balance"]
    config: dict[str, Any] = {
        "data": classifier.config["data"],
        "augment": {part: augment[part] for part in ("train", "copies")},
        "balance": {"sampling": balance["sampling"]},
        "seed": classifier.config["seed"],
    }
    changes = {key: value for key, value in chosen.items() if other or value is not None}
    # checkpoints of earlier versions lack newer keys
    options = dict(changes) if other else _defaults() | dict(config["data"]) | changes
    # the local disk of training may not exist here, and copying does not pay off for a pass or two
    options["stage"] = changes.get("stage")
    if options["classes"] is not None and set(map(str, options["classes"])) != set(classifier.classes):
        raise CheckpointError(
            f"its classes are {', '.join(classifier.classes)}, but data.classes is "
            f"{', '.join(map(str, options['classes']))}",
            where=classifier.file,
            remedy=f"set data.classes=[{','.join(classifier.classes)}]",
        )
    options |= {"classes": list(classifier.classes), "image_size": classifier.image_size}
    options["crop_pct"] = classifier.crop_pct
    if whole:
        options["split"] = _WHOLE
    config["data"] = options
    for target in _targets(config):
        if not target.startswith(_DATA_PACKAGE):
            raise CheckpointError(
                f"its data set is read by {target}, which is not in {_DATA_PACKAGE[:-1]}",
                where=classifier.file,
                remedy="give a checkpoint that `heritage train` wrote",
            )
    cfg = OmegaConf.create(config)
    if not isinstance(cfg, DictConfig):
        raise TypeError("a configuration is a mapping")
    validate(cfg, "train")
    data = build_data(cfg)
    data.set_input(classifier.image_size, classifier.interpolation)
    return data


def _defaults() -> dict[str, Any]:
    """Return the current defaults of the group ``data``."""
    plain = OmegaConf.to_container(OmegaConf.load(config_dir() / "data" / "_common.yaml"))
    if not isinstance(plain, dict):
        raise TypeError("a configuration is a mapping")
    return {str(key): value for key, value in plain.items()}


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _targets(value)


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
