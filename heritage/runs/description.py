"""How a network was made, in the words of the configuration: what runs are compared by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_config
from heritage.runs.files import CONFIG_FILE, HYDRA_FOLDER
from heritage.runs.sweep_names import is_harmless

_HYDRA = Path(HYDRA_FOLDER) / "hydra.yaml"

PLAIN = "none"
"""The option of the group ``balance`` that remedies are held against."""


@dataclass(frozen=True, slots=True)
class RunDescription:
    """The choices that tell runs apart.

    Attributes:
        model: The option of the group ``model``.
        optimizer: The same of ``optimizer``.
        balance: The same of ``balance``, and the words of the command line that change an axis of it.
        seed: The run's seed.
        others: Further words of the command line that are neither data, paths nor one of the above.
    """

    model: str
    optimizer: str
    balance: str
    seed: int
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call networks that differ by no more than the seed."""
        return " ".join((f"{self.model} {self.optimizer} {self.balance}", *self.others))

    @property
    def family(self) -> RunDescription:
        """What this is one of when neither seed nor balance are looked at.

        Experiments of one folder (``+experiment=thesis/weights``) start from the same file and differ by the
        choices that a recipe names already.
        """
        words = tuple(sorted(_folder(word) for word in self.others))
        return replace(self, balance="", seed=0, others=words)


def read_description(folder: Path | None, config: Mapping[str, Any]) -> RunDescription:
    """Read what a run folder says of the choices made; without it, what can be seen in the configuration.

    A classifier that was learnt anew (cRT) is one more way of balancing the network that its features come
    from, where the folder of that one is still there.

    Args:
        folder: The run folder; None for a checkpoint that was moved out of one.
        config: The resolved configuration.

    Raises:
        CheckpointError: The folder's record is damaged.
    """
    own = _own_recipe(folder, config)
    first = _first_stage(config)
    if first is None:
        return own
    sampling = [] if own.balance == _OF_SECOND_STAGE else [own.balance]
    words = [word for word in own.others if word not in first.others and not word.startswith(_SECOND_STAGE)]
    return replace(first, balance=" ".join([first.balance, "crt", *sampling, *words]), seed=own.seed)


def settings_digest(config: Mapping[str, Any]) -> str:
    """Return a digest of all that a configuration says of a network, but for its seed and its fold."""
    folder = config.get("paths", {}).get("run")  # callbacks write into it
    said = {
        key: value
        for key, value in _leaves(config, "")
        if value is not None  # versions differ in which unset keys they write
        and not (is_harmless(key) or key.startswith(_OF_ONE_RUN) or (folder and value == folder))
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


_OF_ONE_RUN = ("seed", "data.split.fold", "trainer.accelerator", "trainer.devices")


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping) or not node:
        yield path, node
        return
    for key, value in node.items():
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


def _first_stage(config: Mapping[str, Any]) -> RunDescription | None:
    """Return the recipe of the run whose features a classifier was learnt anew on."""
    if not config.get("finetune", {}).get("fresh_classifier"):
        return None
    folder = Path(str(config["model"].get("weights"))).parent.parent
    if not (folder / CONFIG_FILE).is_file():
        return None
    try:
        return read_description(
            folder,
            cast(
                "dict[str, Any]", upgrade_config(OmegaConf.to_container(OmegaConf.load(folder / CONFIG_FILE)))
            ),
        )
    except (OSError, YAMLError, OmegaConfBaseException, CheckpointError, KeyError, TypeError):
        return None  # what is left of it says nothing: the second stage stands by itself


_OF_SECOND_STAGE = "sampler"  # conf/experiment/crt.yaml
_SECOND_STAGE = ("+experiment=crt", "finetune=", "model.weights=")


def _own_recipe(folder: Path | None, config: Mapping[str, Any]) -> RunDescription:
    choices: Mapping[str, Any] = {}
    words: list[str] = []
    if folder is not None and (folder / _HYDRA).is_file():
        try:
            record = OmegaConf.load(folder / _HYDRA).hydra
            choices = dict(record.runtime.choices)
            words = [str(word) for word in record.overrides.task]
        except (OSError, YAMLError, OmegaConfBaseException, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"unreadable ({type(error).__name__}: {error})",
                where=folder / _HYDRA,
                remedy="restore it or remove the file",
            ) from error
    return RunDescription(
        model=str(choices.get("model") or _model(config["model"])),
        optimizer=str(choices.get("optimizer") or _optimizer(config["optimizer"])),
        balance=_remedy(choices.get("balance"), [word for word in words if _is_axis(word)], config),
        seed=int(config["seed"]),
        others=tuple(
            sorted(word for word in words if not (word.startswith(_NO_DIFFERENCE) or _is_axis(word)))
        ),
    )


def _is_axis(word: str) -> bool:
    """Return whether a word changes an axis of balance; label smoothing is no remedy for imbalance."""
    return word.startswith(_AXES) and not word.startswith(_SMOOTHING)


_AXES = ("balance/", "balance.")
_SMOOTHING = "balance.loss.label_smoothing="


def _remedy(choice: str | None, words: Sequence[str], config: Mapping[str, Any]) -> str:
    """Name the way of balancing: the option, and what was said of single axes beside it."""
    if choice is None or not words:
        return choice or _balance(config)
    if _balance(config) == PLAIN:
        return PLAIN
    said = sorted(word.removeprefix("balance")[1:] for word in words)
    return " ".join(said if choice == PLAIN else [choice, *said])


# Words that name what the recipe knows already, or that change no figure.
_NO_DIFFERENCE = (
    "model=", "optimizer=", "balance=", "seed=", "data=", "data.root=", "data.num_workers=",
    "data.split.fold=", "paths", "trainer=", "trainer.accelerator=", "trainer.devices=", "callbacks.progress",
    "logger", "hydra", "resume=", "contact_sheet=",
)  # fmt: skip


EXPERIMENT = "+experiment="
"""How a word of the command line begins that names an experiment."""


def _folder(word: str) -> str:
    return word.rpartition("/")[0] if word.startswith(EXPERIMENT) and "/" in word else word


def _last(node: Mapping[str, Any]) -> str:
    return str(node.get("_target_", "custom")).rpartition(".")[2]


def _model(node: Mapping[str, Any]) -> str:
    """Return what the option is called; timm names the weights after a dot, as in ``resnet50.a1_in1k``."""
    return str(node.get("name") or _last(node)).partition(".")[0]


def _optimizer(node: Mapping[str, Any]) -> str:
    return _last(node) + ("w" if node.get("decoupled_weight_decay") else "")


def _balance(config: Mapping[str, Any]) -> str:
    """Return the axes of balance that do something, in the words of the options where there is one."""
    parts = [_last(node).lower() for axis in ("sampling", "weighting", "loss", "schedule")
             if (node := config["balance"].get(axis))]  # fmt: skip
    said = [
        part
        for part in parts
        if part not in ("instancebalanced", "no_weighting", "no_schedule", "crossentropy")
    ]
    return "weights" if said == ["inverse"] else " ".join(said) or "none"


@dataclass(frozen=True, slots=True)
class Fold:
    """Which part of a cross-validation a run was tested on.

    Attributes:
        number: Counted from 0.
        folds: How many there are.
        seed: Of the split: another one deals the groups otherwise.
    """

    number: int
    folds: int
    seed: int


def read_fold(config: Mapping[str, Any]) -> Fold | None:
    """Return the fold that a run's configuration names; None where it was split otherwise."""
    data = config.get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    if not isinstance(split, Mapping) or not str(split.get("_target_")).endswith(".by_fold"):
        return None
    return Fold(int(split["fold"]), int(split["folds"]), int(split["seed"]))
