"""The images that a trained network is asked about: its own data set's, or another's."""

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

_OF_DATA = "heritage.data."
_WHOLE = {"_target_": "heritage.data.split.whole", "_partial_": True}


@dataclass(frozen=True)
class TestSet:
    """A data set for a trained network.

    Attributes:
        data: The data module; its class list is the network's.
        own: Whether this is the very data set, with the very split, that the network was trained on.
        split: The split that is asked about: train, val or test.
        name: What to call that part.
        notes: What a reader of the result must know.
    """

    data: ArtefactDataModule
    own: bool
    split: str
    name: str
    notes: tuple[str, ...]

    def manifest(self, split: str) -> Manifest:
        """Return the manifest of a split; row n of its loader is row n here."""
        return self.data.manifest.take(self.data.rows(split))


def open_test_set(trained: TrainedClassifier, chosen: Mapping[str, Any], split: str) -> TestSet:
    """Read the data set to ask about.

    Args:
        trained: The network.
        chosen: The command's ``data``: a whole configuration of the group, or no more than changes to the
            network's own (where it lies now, the batch size); nulls change nothing.
        split: ``train``, ``val``, ``test``, or ``all`` for every image.

    Raises:
        CheckpointError: The class sets differ, or the network's own data set is no longer what it was.
        SplitError: The split has no image.
        HeritageError: Whatever keeps the data set from being read.
    """
    if split not in (*SPLITS, ALL):
        near = nearest(split, (*SPLITS, ALL))
        raise ConfigError(
            f"no split '{split}'",
            where="split",
            remedy=f"did you mean {near}?" if near else f"use {', '.join(SPLITS)} or {ALL}",
        )
    named = "_target_" in chosen
    data = _data_module(trained, chosen, named, whole=split == ALL)
    part = "test" if split == ALL else split
    if not len(data.rows(part)):
        raise SplitError(
            f"there is no image in the {part} split", where=data.manifest.root, remedy="choose another split="
        )
    own = split != ALL and data.manifest.fingerprint == trained.fingerprint
    notes = []
    if not own and not named and split != ALL:
        raise CheckpointError(
            f"the data set is not the one that {trained.file.name} was trained on (fingerprint "
            f"{data.manifest.fingerprint[:12]} instead of {trained.fingerprint[:12]})",
            where=data.manifest.root,
            remedy="restore it, or name it with data=… to ask about it all the same",
        )
    if split == ALL and not named:
        notes.append(
            "These are all images, those that the network was trained on among them: the figures are too "
            "good, and it hardly contradicts labels that it has learnt."
        )
    elif not own:
        notes.append(
            "This is not the data set and split that the network was trained on (fingerprint "
            f"{data.manifest.fingerprint[:12]} instead of {trained.fingerprint[:12]}): if it shares images "
            "with the training set, the figures are too good."
        )
    if part == "train":
        notes.append("The network was trained on these images: the figures say nothing about new ones.")
    name = "all images" if split == ALL else f"the {split} split"
    return TestSet(data, own, part, f"{name} of {data.manifest.root.name}", tuple(notes))


def _data_module(
    trained: TrainedClassifier, chosen: Mapping[str, Any], named: bool, *, whole: bool
) -> ArtefactDataModule:
    """Build the data module; every choice that the network made is taken from its configuration."""
    augment, balance = trained.config["augment"], trained.config["balance"]
    config: dict[str, Any] = {
        "data": trained.config["data"],
        "augment": {part: augment[part] for part in ("train", "copies")},
        "balance": {"sampling": balance["sampling"]},
        "seed": trained.config["seed"],
    }
    changes = {key: value for key, value in chosen.items() if named or value is not None}
    # a checkpoint of an earlier version lacks the keys that came after it
    options = dict(changes) if named else _defaults() | dict(config["data"]) | changes
    # the disk that was near in training need not exist here, and a pass or two would not repay the copying
    options["stage"] = changes.get("stage")
    if options["classes"] is not None and set(options["classes"]) != set(trained.classes):
        raise CheckpointError(
            f"it knows {', '.join(trained.classes)}; the data set is to have {', '.join(options['classes'])}",
            where=trained.file,
            remedy=f"set data.classes=[{','.join(trained.classes)}]",
        )
    options |= {"classes": list(trained.classes), "image_size": trained.image_size}
    options["crop_pct"] = trained.crop_pct
    if whole:
        options["split"] = _WHOLE
    config["data"] = options
    for target in _targets(config):
        if not target.startswith(_OF_DATA):
            raise CheckpointError(
                f"its data are read by {target}, which is not this package's",
                where=trained.file,
                remedy="give a checkpoint that `heritage train` wrote",
            )
    cfg = OmegaConf.create(config)
    if not isinstance(cfg, DictConfig):
        raise TypeError("a configuration is a mapping")
    validate(cfg, "train")
    data = build_data(cfg)
    data.set_input(trained.image_size, trained.interpolation)
    return data


def _defaults() -> dict[str, Any]:
    """Return what the group ``data`` says of how images are read, today."""
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


def run_manifest(trained: TrainedClassifier) -> Manifest:
    """Return the manifest, with its splits, of the data set that a network was trained on.

    Raises:
        HeritageError: The data set is not there, or is no longer the same.
    """
    return open_test_set(trained, {}, "test").data.manifest


def run_manifest_if_there(trained: TrainedClassifier) -> Manifest | None:
    """Return the same, or None where there is none."""
    try:
        return run_manifest(trained)
    except HeritageError:
        return None
