"""Several networks as one: their probabilities are averaged, whatever their architectures and input sizes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heritage.core.taxonomy import suggestion
from heritage.errors import CheckpointError, ConfigError
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet, open_test_set
from heritage.metrics.calibration import pooled_logits
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER

Members = tuple[TrainedClassifier, ...]


def load_members(ckpt: str | Path | Sequence[str | Path], trusted: Iterable[str] = ()) -> Members:
    """Load one network, or several whose class lists have the same names.

    Args:
        ckpt: A run folder or checkpoint, or a list of them.
        trusted: As for `heritage.inference.checkpoint.load_checkpoint`.

    Returns:
        The networks; all have the class list of the first, to whose order their outputs are brought.

    Raises:
        CheckpointError: One cannot be loaded, or has other classes.
        ConfigError: The list is empty, or names a checkpoint twice.
    """
    if isinstance(ckpt, str | Path):
        return (load_checkpoint(ckpt, trusted),)
    if not ckpt:
        raise ConfigError("an empty list", where="ckpt=[]", remedy="name run folders: ckpt=[<run>,<run>]")
    trusted = list(trusted)
    members = [load_checkpoint(one, trusted) for one in ckpt]
    seen: dict[Path, TrainedClassifier] = {}
    for member in members:
        file = member.file.resolve()
        if file in seen:
            raise ConfigError(
                "the same checkpoint twice", where=f"ckpt={member.file}", remedy="name each run once"
            )
        seen[file] = member
    first = members[0]
    return (first, *(_in_order(member, first) for member in members[1:]))


def _in_order(member: TrainedClassifier, first: TrainedClassifier) -> TrainedClassifier:
    """Return a network with its outputs in the order of the first network's classes."""
    if member.classes == first.classes:
        return member
    if other := sorted(set(member.classes) ^ set(first.classes)):
        raise CheckpointError(
            f"its classes are not those of {first.file}: {', '.join(other[:5])} only in one of them",
            where=member.file,
            remedy=suggestion(other[0], first.classes, "average networks of the same classes"),
        )
    order = torch.tensor([member.classes.index(name) for name in first.classes])
    return dataclasses.replace(member, model=member.model.replaced(order=order), classes=first.classes)


def members_digest(members: Sequence[TrainedClassifier]) -> str:
    """Return a digest of the checkpoints, which does not depend on their order; empty for one network."""
    if len(members) == 1:
        return ""
    digests = []
    for member in members:
        with member.file.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def calibration_variant(members: Sequence[TrainedClassifier]) -> str:
    """Return the name of the calibration of networks with their views; empty for one network and one view."""
    views = members[0].model.views
    parts = [f"average-{digest[:12]}"] if (digest := members_digest(members)) else []
    return "_".join([*parts, *([] if views == "none" else [views])])


def folders(members: Sequence[TrainedClassifier]) -> list[Path]:
    """Return the run folders whose calibration may be that of the networks.

    A run folder's calibration is that of its best checkpoint: those of other checkpoints are left out.
    """
    return [
        member.folder
        for member in members
        if member.folder is not None
        and (member.file.name == BEST_CHECKPOINT or member.file.parent.name != CHECKPOINTS_FOLDER)
    ]


@dataclass(frozen=True)
class Averaged:
    """Networks and the test set of each, prepared for its input size.

    Attributes:
        members: The networks.
        test_sets: The same images for each of them; the first is that of the report.
    """

    members: Members
    test_sets: tuple[TestSet, ...]

    @classmethod
    def open(cls, members: Members, chosen: Mapping[str, Any], split: str) -> Averaged:
        """Open the data set of the first network for all of them.

        Args:
            members: The networks.
            chosen: As for `heritage.inference.test_set.open_test_set`.
            split: As for `heritage.inference.test_set.open_test_set`.

        Raises:
            CheckpointError: The networks were trained on other splits than the first, so that they have
                seen images of its test split.
        """
        first = members[0]
        test_set = open_test_set(first, chosen, split)
        _require_one_split(members, test_set)
        test_sets = [test_set]
        for member in members[1:]:
            if _input(member) == _input(first):
                test_sets.append(test_set)
                continue
            data = first.config["data"] | {"crop_pct": member.crop_pct}
            as_first = dataclasses.replace(
                member, config=member.config | {"data": data}, fingerprint=first.fingerprint
            )
            test_sets.append(open_test_set(as_first, chosen, split))
        return cls(members, tuple(test_sets))

    def predict(self, split: str, device: torch.device) -> ModelOutputs:
        """Return the predictions for a split: logarithms of the mean probabilities.

        Images without a prediction of one network are left out.
        """
        outputs = [
            predict_split(member, test_set, split, device)
            for member, test_set in zip(self.members, self.test_sets, strict=True)
        ]
        first, *others = outputs
        if not others:
            return first
        common = first.rows
        for one in others:
            common = np.intersect1d(common, one.rows)
        logits = pooled_logits([one.logits[np.isin(one.rows, common)] for one in outputs])
        return ModelOutputs(common, first.targets[np.isin(first.rows, common)], logits)


def _input(member: TrainedClassifier) -> tuple[object, ...]:
    return member.image_size, member.crop_pct, member.interpolation


def _require_one_split(members: Members, test_set: TestSet) -> None:
    """Refuse the test split of one network if others were trained on another split."""
    manifest = test_set.data.manifest
    own = [
        dataclasses.replace(manifest, classes=_own_order(member)).fingerprint == member.fingerprint
        for member in members
    ]
    if any(own) and not all(own):
        other = members[own.index(False)]
        raise CheckpointError(
            "trained on another data set or split than the other networks, so test images of one may be "
            "training images of another",
            where=other.file,
            remedy="evaluate each run and compare them (folds are pooled), or give data=… with new images",
        )


def _own_order(member: TrainedClassifier) -> tuple[str, ...]:
    """Return the class list in the order of a network's own outputs."""
    order = member.model.order
    if order is None:
        return member.classes
    own = dict(zip(order.tolist(), member.classes, strict=True))
    return tuple(own[k] for k in range(len(own)))
