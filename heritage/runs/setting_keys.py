"""Which configuration keys distinguish runs: the others do not influence the weights, or name one run."""

from __future__ import annotations

_HARMLESS = (
    "resume",
    "retry_failed",
    "plan",
    "cluster",
    "contact_sheet",
    "figure_width",
    "objective",
    "paths",
    "logger",
    "callbacks.progress",
    "data.num_workers",
    "data.root",
    "data.stage",
    "data.verify",
)
_OF_ONE_RUN = ("seed", "data.split.fold", "trainer.accelerator", "trainer.devices", "hydra")


def is_harmless(key: str) -> bool:
    """Return whether a key of the configuration has no influence on the weights."""
    return _is_among(key, _HARMLESS)


def is_setting(key: str) -> bool:
    """Return whether a key distinguishes runs that are not repetitions of each other.

    Seed, fold, device and Hydra's own options differ among the repetitions of one setting.
    """
    return not (is_harmless(key) or _is_among(key, _OF_ONE_RUN))


def key_of(override: str) -> str:
    """Return the key of an override without sign, package and value.

    Example:
        >>> key_of("+balance/loss@balance.loss=focal")
        'balance/loss'
    """
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _is_among(key: str, names: tuple[str, ...]) -> bool:
    return any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in names)
