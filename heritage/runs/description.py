"""The description of a run by its choices in the configuration groups, by which runs are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.core.hub import is_hub_address
from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_override
from heritage.runs.files import CONFIG_FILE, HYDRA_FOLDER
from heritage.runs.plain_data import read_yaml
from heritage.runs.record import read_config
from heritage.runs.setting_keys import is_setting, key_of

_HYDRA = Path(HYDRA_FOLDER) / "hydra.yaml"

PLAIN = "none"
"""The option of the group ``balance`` without balancing, the baseline of the others."""


@dataclass(frozen=True, slots=True)
class RunDescription:
    """The choices that distinguish runs.

    Attributes:
        model: The option of the group ``model``.
        optimizer: The option of the group ``optimizer``.
        balance: The option of the group ``balance``, with overrides of its axes.
        seed: The random seed.
        others: Further overrides, sorted, without data, paths and the above.
    """

    model: str
    optimizer: str
    balance: str
    seed: int
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of runs that differ by the seed only."""
        return " ".join((f"{self.model} {self.optimizer} {self.balance}", *self.others))

    @property
    def family(self) -> RunDescription:
        """The description without seed and balance: balancing methods are compared within a family.

        Experiments of one folder (``+experiment=thesis/weights``) differ by these choices only.
        """
        words = tuple(sorted(_experiment_folder(word) for word in self.others))
        return replace(self, balance="", seed=0, others=words)


def read_description(folder: Path | None, config: Mapping[str, Any]) -> RunDescription:
    """Read the choices of a run from Hydra's record in its folder, or derive them from the configuration.

    Classifier retraining (cRT) counts as a balancing method of the run that its features come from, if that
    run's folder still exists.

    Args:
        folder: The run folder; None for a checkpoint that was moved out of one.
        config: The resolved configuration.

    Raises:
        CheckpointError: Hydra's record is damaged.
    """
    own = _own_description(folder, config)
    first = _first_stage(config)
    if first is None:
        return own
    sampling = [] if own.balance == _OF_SECOND_STAGE else [own.balance]
    words = [word for word in own.others if word not in first.others and not word.startswith(_SECOND_STAGE)]
    return replace(first, balance=" ".join([first.balance, "crt", *sampling, *words]), seed=own.seed)


def settings_digest(config: Mapping[str, Any]) -> str:
    """Return a digest of the settings that influence the weights, without seed and fold."""
    folder = config.get("paths", {}).get("run")  # callbacks write into it
    settings = {
        key: value
        for key, value in _leaves(config, "")
        if value is not None  # versions differ in the unset keys they write
        and is_setting(key)
        and not (folder and value == folder)
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping) or not node:
        yield path, node
        return
    for key, value in node.items():
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


def _first_stage(config: Mapping[str, Any]) -> RunDescription | None:
    """Return the description of the run whose features a classifier was retrained on, if readable."""
    if not config.get("finetune", {}).get("fresh_classifier"):
        return None
    weights = str(config["model"].get("weights"))
    folder = Path(weights).parent.parent
    if is_hub_address(weights) or not (folder / CONFIG_FILE).is_file():
        return None
    try:
        return read_description(folder, read_config(folder))
    except (CheckpointError, KeyError, TypeError):
        return None  # the second stage is described alone


_OF_SECOND_STAGE = "sampler"  # conf/experiment/crt.yaml
_SECOND_STAGE = ("+experiment=crt", "finetune=", "model.weights=")


def _own_description(folder: Path | None, config: Mapping[str, Any]) -> RunDescription:
    choices: Mapping[str, Any] = {}
    words: list[str] = []
    if folder is not None and (folder / _HYDRA).is_file():
        try:
            record = read_yaml(folder / _HYDRA)["hydra"]
            choices = dict(record["runtime"]["choices"])
            words = [upgrade_override(str(word)) for word in record["overrides"]["task"]]
        except (OSError, YAMLError, ValueError, LookupError, TypeError) as error:
            raise CheckpointError(
                f"unreadable ({type(error).__name__}: {error})",
                where=folder / _HYDRA,
                remedy="restore it or remove the file",
            ) from error
    return RunDescription(
        model=str(choices.get("model") or _model(config["model"])),
        optimizer=str(choices.get("optimizer") or _optimizer(config["optimizer"])),
        balance=_balancing(choices.get("balance"), [word for word in words if _is_axis(word)], config),
        seed=int(config["seed"]),
        others=other_choices(words),
    )


def other_choices(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return the overrides that a description has no field for, with current names of keys, sorted.

    Data, device, and whatever changes no result are left out.
    """
    words = [upgrade_override(word) for word in overrides]
    return tuple(
        sorted(
            word
            for word in words
            if is_setting(key_of(word)) and key_of(word) not in _DESCRIBED and not _is_axis(word)
        )
    )


_DESCRIBED = ("model", "optimizer", "balance", "seed", "data", "trainer")  # groups, and the seed


def _is_axis(word: str) -> bool:
    """Return whether an override changes an axis of balance; label smoothing is not a balancing method."""
    return word.startswith(_AXES) and not word.startswith(_SMOOTHING)


_AXES = ("balance/", "balance.")
_SMOOTHING = "balance.loss.label_smoothing="


def _balancing(choice: str | None, words: Sequence[str], config: Mapping[str, Any]) -> str:
    """Return the balancing method: the option and the overrides of single axes."""
    if choice is None or not words:
        return choice or _balance(config)
    if _balance(config) == PLAIN:
        return PLAIN
    axes = sorted(word.removeprefix("balance")[1:] for word in words)
    return " ".join(axes if choice == PLAIN else [choice, *axes])


EXPERIMENT = "+experiment="
"""Prefix of an override that selects an experiment."""


def _experiment_folder(word: str) -> str:
    return word.rpartition("/")[0] if word.startswith(EXPERIMENT) and "/" in word else word


def _model(node: Mapping[str, Any]) -> str:
    """Return the model's name without timm's tag of the weights, as in ``resnet50.a1_in1k``."""
    return str(node.get("name") or target_name(node)).partition(".")[0]


def _optimizer(node: Mapping[str, Any]) -> str:
    return target_name(node) + ("w" if node.get("decoupled_weight_decay") else "")


def _balance(config: Mapping[str, Any]) -> str:
    """Return the active axes of balance, by the name of the option if there is one."""
    parts = [target_name(node).lower() for axis in ("sampling", "weighting", "loss", "schedule")
             if (node := config["balance"].get(axis))]  # fmt: skip
    active = [
        part
        for part in parts
        if part not in ("instancebalanced", "no_weighting", "no_schedule", "crossentropy")
    ]
    return "weights" if active == ["inverse"] else " ".join(active) or "none"


@dataclass(frozen=True, slots=True)
class Fold:
    """The test fold of a run in a cross-validation.

    Attributes:
        number: Index of the fold, from 0.
        folds: Number of folds.
        seed: Random seed of the assignment of groups to folds.
    """

    number: int
    folds: int
    seed: int


def read_fold(config: Mapping[str, Any]) -> Fold | None:
    """Return the test fold in a run's configuration; None for other splits."""
    data = config.get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    if not isinstance(split, Mapping) or split.get("_target_") != _BY_FOLD:
        return None
    numbers = [split.get(name) for name in ("fold", "folds", "seed")]
    whole = [number for number in numbers if type(number) is int]
    if len(whole) < len(numbers):
        raise CheckpointError(
            "fold, folds and seed are not whole numbers",
            where="data.split",
            remedy="restore the configuration",
        )
    return Fold(*whole)


_BY_FOLD = "heritage.data.split.by_fold"


def target_name(node: Mapping[str, Any]) -> str:
    """Return the last part of a node's ``_target_``, such as ``AdamW``; ``custom`` if it has none."""
    return str(node.get("_target_", "custom")).rpartition(".")[2]


def split_name(config: Mapping[str, Any]) -> str:
    """Return the name of the function in `heritage.data.split` that split a run's data; else ``unknown``."""
    data = config.get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    return target_name(split) if isinstance(split, Mapping) and "_target_" in split else "unknown"
