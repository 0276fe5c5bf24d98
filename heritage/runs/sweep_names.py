"""What makes two sweeps the same experiment, and what each of their jobs is called."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from heritage.runs.compat import RENAMED_KEYS

# What may differ without changing a single weight.
_HARMLESS = (
    "resume",
    "retry_failed",
    "plan",
    "cluster",
    "contact_sheet",
    "objective",
    "paths",
    "logger",
    "callbacks.progress",
    "data.num_workers",
    "data.root",
    "data.stage",
    "data.verify",
)
_LONGEST = 100


def is_harmless(key: str) -> bool:
    """Return whether a key of the configuration changes no weight."""
    return any(key == name or key.startswith(f"{name}.") for name in _HARMLESS)


@dataclass(frozen=True)
class Experiment:
    """What a sweep's command asks, but for the values of what it varies.

    So a sweep that is started again with one more seed is the same experiment, and one on another data
    set is not.

    Attributes:
        name: The sweep file, or what is varied.
        swept: The keys that vary, in order.
        fixed: The other words of the command line.
    """

    name: str
    swept: tuple[str, ...]
    fixed: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.name}-{_digest(asdict(self))}"

    def job(self, words: Sequence[str]) -> str:
        """Return the name of a job's folder: the values of what varies.

        Args:
            words: The job's overrides.
        """
        values = dict(word.split("=", 1) for word in words if "=" in word)
        leaves = [_leaf(key) for key in self.swept]
        pairs = [
            f"{leaf if leaves.count(leaf) == 1 else _bare(key).replace('/', '.')}={values.get(key, '')}"
            for key, leaf in zip(self.swept, leaves, strict=True)
        ]
        text = ",".join(pairs).replace("/", "-")
        name = re.sub(r"[^\w.,=+-]", "_", text)[:_LONGEST]
        # What a file name cannot say must still tell two jobs apart.
        return (name if name == text else f"{name}-{_digest(text)}") or "job"


def experiment_of(hydra: DictConfig) -> Experiment:
    """Return the experiment that a command means.

    Args:
        hydra: Hydra's node of the configuration of a multirun.
    """
    params = OmegaConf.select(hydra, "sweeper.params") or {}
    words = [f"{key}={value}" for key, value in params.items()]
    words += list(OmegaConf.select(hydra, "overrides.task") or [])
    parsed = OverridesParser.create().parse_overrides(words)
    # A word of the command line takes the place of a sweep file's.
    last: dict[str, Override] = {word.get_key_element(): word for word in parsed}
    swept = tuple(key for key, word in last.items() if word.is_sweep_override())
    fixed = sorted(
        word.input_line or ""
        for key, word in last.items()
        if key not in swept and not is_harmless(_bare(key))
    )
    chosen = OmegaConf.select(hydra, "runtime.choices.sweep")
    name = str(chosen).replace("/", "-") if chosen else "_".join(map(_leaf, swept)) or "sweep"
    return Experiment(name, swept, tuple(fixed))


def _bare(key: str) -> str:
    return key.lstrip("+~").partition("@")[0]


def _leaf(key: str) -> str:
    return re.split(r"[./]", _bare(key))[-1]


def _digest(value: Any) -> str:
    """Return a digest of text or of an experiment, whose renamed keys count under their first names."""
    if isinstance(value, dict):
        value = with_key_names(value, {new: old for old, new in RENAMED_KEYS.items()})
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:6]


def with_key_names(experiment: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return an experiment, as a dictionary, with other names of configuration keys.

    Args:
        experiment: The fields of an `Experiment`.
        names: The last part of a key → its other name.

    Example:
        >>> with_key_names({"name": "a", "swept": [], "fixed": ["a.old=1"]}, {"old": "new"})
        {'name': 'a', 'swept': [], 'fixed': ['a.new=1']}
    """

    def renamed(word: str) -> str:
        key, equals, value = word.partition("=")
        leaf = _leaf(key)
        return f"{key.removesuffix(leaf)}{names.get(leaf, leaf)}{equals}{value}"

    fixed = sorted(map(renamed, experiment["fixed"]))
    return {**experiment, "swept": list(map(renamed, experiment["swept"])), "fixed": fixed}
