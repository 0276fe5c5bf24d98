"""Names of sweeps and of their jobs; sweeps that differ only in swept values have one name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from heritage.runs.compat import first_name, upgrade_override
from heritage.runs.setting_keys import is_harmless, key_of

_MAX_LENGTH = 100


@dataclass(frozen=True)
class Experiment:
    """A sweep's command without the values of its swept keys.

    A sweep that is started again with one more seed is the same experiment; one on another data set is not.

    Attributes:
        name: The sweep file, or the swept keys.
        swept: The swept keys, in order.
        fixed: The other overrides.
    """

    name: str
    swept: tuple[str, ...]
    fixed: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.name}-{_digest(self.with_first_names(named_after_keys=False).record)}"

    @property
    def record(self) -> dict[str, Any]:
        """The experiment as plain data."""
        return {"name": self.name, "swept": list(self.swept), "fixed": list(self.fixed)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Experiment:
        """Return the experiment of a `record`, also of one that version 0.1 wrote, with the current keys."""
        swept = tuple(str(key) for key in record["swept"])
        fixed = tuple(str(word) for word in record["fixed"])
        return _renamed(cls(str(record["name"]), swept, fixed), upgrade_override, named_after_keys=True)

    def with_first_names(self, *, named_after_keys: bool = True) -> Experiment:
        """Return the experiment as version 0.1 named it, before keys were renamed.

        Args:
            named_after_keys: Also rename the experiment, if it is named after its swept keys.
        """
        return _renamed(self, first_name, named_after_keys=named_after_keys)

    def job(self, words: Sequence[str]) -> str:
        """Return the name of a job's folder: the values of the swept keys.

        Args:
            words: The overrides of the job.
        """
        values = dict(word.split("=", 1) for word in words if "=" in word)
        leaves = [_leaf(key) for key in self.swept]
        pairs = [
            f"{leaf if leaves.count(leaf) == 1 else key_of(key).replace('/', '.')}={values.get(key, '')}"
            for key, leaf in zip(self.swept, leaves, strict=True)
        ]
        text = ",".join(pairs).replace("/", "-")
        name = re.sub(r"[^\w.,=+-]", "_", text)[:_MAX_LENGTH]
        # values with characters that are not allowed in file names must not collide
        return (name if name == text else f"{name}-{_digest(text)}") or "job"


def experiment_of(hydra: DictConfig) -> Experiment:
    """Return the experiment of a command.

    Args:
        hydra: The ``hydra`` node of the configuration of a multirun.
    """
    params = OmegaConf.select(hydra, "sweeper.params") or {}
    words = [f"{key}={value}" for key, value in params.items()]
    words += list(OmegaConf.select(hydra, "overrides.task") or [])
    parsed = OverridesParser.create().parse_overrides(words)
    # the command line overrides the sweep file
    last: dict[str, Override] = {word.get_key_element(): word for word in parsed}
    swept = tuple(key for key, word in last.items() if word.is_sweep_override())
    fixed = sorted(
        word.input_line or ""
        for key, word in last.items()
        if key not in swept and not is_harmless(key_of(key))
    )
    chosen = OmegaConf.select(hydra, "runtime.choices.sweep")
    name = str(chosen).replace("/", "-") if chosen else _name_of(swept)
    return Experiment(name, swept, tuple(fixed))


def existing_name(above: Path, name: str, first_name: str) -> str:
    """Return the name of a folder: the one it got from version 0.1, if it exists under that, else its own.

    Args:
        above: The folder that it is in.
        name: Its name in this version.
        first_name: Its name in version 0.1.
    """
    return first_name if (above / first_name).is_dir() else name


def _renamed(experiment: Experiment, rename: Callable[[str], str], *, named_after_keys: bool) -> Experiment:
    swept = tuple(map(rename, experiment.swept))
    fixed = tuple(sorted(map(rename, experiment.fixed)))
    of_keys = named_after_keys and experiment.name == _name_of(experiment.swept)
    return Experiment(_name_of(swept) if of_keys else experiment.name, swept, fixed)


def _name_of(swept: Sequence[str]) -> str:
    return "_".join(map(_leaf, swept)) or "sweep"


def _leaf(key: str) -> str:
    return re.split(r"[./]", key_of(key))[-1]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:6]
