"""How a network was made, in the words of the configuration: what runs are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.errors import CheckpointError

_HYDRA = Path(".hydra") / "hydra.yaml"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The choices that tell runs apart.

    Attributes:
        model: The option of the group ``model``.
        optimizer: The same of ``optimizer``.
        balance: The same of ``balance``.
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


def read_recipe(folder: Path | None, config: Mapping[str, Any]) -> Recipe:
    """Read what a run folder says of the choices made; without it, what can be seen in the configuration.

    Args:
        folder: The run folder; None for a checkpoint that was moved out of one.
        config: The resolved configuration.

    Raises:
        CheckpointError: The folder's record is damaged.
    """
    choices: Mapping[str, Any] = {}
    words: list[str] = []
    if folder is not None and (folder / _HYDRA).is_file():
        try:
            record = OmegaConf.load(folder / _HYDRA).hydra
            choices = dict(record.runtime.choices)
            words = [str(word) for word in record.overrides.task]
        except (OSError, YAMLError, OmegaConfBaseException, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"unreadable ({error!r})", where=folder / _HYDRA, remedy="restore it or remove the file"
            ) from error
    return Recipe(
        model=str(choices.get("model") or config["model"].get("name") or _last(config["model"])),
        optimizer=str(choices.get("optimizer") or _last(config["optimizer"])),
        balance=str(choices.get("balance") or _balance(config)),
        seed=int(config["seed"]),
        others=tuple(sorted(word for word in words if not word.startswith(_NO_DIFFERENCE))),
    )


# Words that name what the recipe knows already, or that change no figure.
_NO_DIFFERENCE = (
    "model=", "optimizer=", "balance=", "seed=", "data=", "data.root=", "data.num_workers=", "paths",
    "trainer=", "trainer.accelerator=", "trainer.devices=", "callbacks.progress", "logger", "hydra",
    "resume=", "contact_sheet=",
)  # fmt: skip


def _last(node: Mapping[str, Any]) -> str:
    return str(node.get("_target_", "custom")).rpartition(".")[2]


def _balance(config: Mapping[str, Any]) -> str:
    parts = [_last(config["balance"][part]).lower() for part in ("sampling", "weighting")]
    return " ".join(part for part in parts if part not in ("natural", "none")) or "none"
