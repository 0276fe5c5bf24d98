"""Names of sweeps and of their jobs; sweeps that differ only in swept values have one name."""

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

# Keys without influence on the weights.
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
_MAX_LENGTH = 100


def is_harmless(key: str) -> bool:
    """Return whether a key of the configuration has no influence on the weights."""
    return any(key == name or key.startswith(f"{name}.") for name in _HARMLESS)


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
        return f"{self.name}-{_digest(asdict(self))}"

    def job(self, words: Sequence[str]) -> str:
        """Return the name of a job's folder: the values of the swept keys.

        Args:
            words: The overrides of the job.
        """
        values = dict(word.split("=", 1) for word in words if "=" in word)
        leaves = [_leaf(key) for key in self.swept]
        pairs = [
            f"{leaf if leaves.count(leaf) == 1 else _bare(key).replace('/', '.')}={values.get(key, '')}"
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
    fixed = sorted(with_key_name(word, names) for word in experiment["fixed"])
    swept = [with_key_name(word, names) for word in experiment["swept"]]
    return {**experiment, "swept": swept, "fixed": fixed}


def with_key_name(override: str, names: Mapping[str, str]) -> str:
    """Return an override, or a key, with another name of the last part of its key.

    Args:
        override: ``key`` or ``key=value``.
        names: The last part of a key → its other name.
    """
    key, equals, value = override.partition("=")
    leaf = _leaf(key)
    return f"{key.removesuffix(leaf)}{names.get(leaf, leaf)}{equals}{value}"
