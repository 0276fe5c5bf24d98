"""One rule for the names of devices: where training, evaluation and prediction compute."""

from __future__ import annotations

import torch

from heritage.errors import ArgumentError, ConfigError


def choose_device(name: str | torch.device, *, key: str = "device") -> torch.device:
    """Return a device of this machine.

    Args:
        name: ``auto`` (a GPU if there is one, else the CPU), ``cpu``, ``gpu``, or torch's own name
            (``cuda``, ``cuda:1``, ``mps``).
        key: The option, for messages.

    Raises:
        ConfigError: There is no such device; the message names those that exist.
        ArgumentError: It is not a name.
    """
    if not isinstance(name, str | torch.device):
        raise ArgumentError(
            f"a device is named by a string, not by a {type(name).__name__}", where=key, remedy=_existing()
        )
    text = str(name)
    gpus = _gpus()
    if text == "auto":
        return torch.device(gpus[0] if gpus else "cpu")
    if text == "gpu":
        if not gpus:
            raise ConfigError("there is no GPU", where=f"{key}={text}", remedy=_existing())
        return torch.device(gpus[0])
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise ConfigError("there is no such device", where=f"{key}={text}", remedy=_existing()) from error
    if device.type != "cpu" and text not in gpus:
        raise ConfigError("there is no such device", where=f"{key}={text}", remedy=_existing())
    return device


def device_type(accelerator: str) -> str:
    """Return torch's type of the device that an accelerator of Lightning stands for on this machine.

    Raises:
        ConfigError: There is none.
    """
    return choose_device(accelerator, key="trainer.accelerator").type


def _gpus() -> list[str]:
    """Return the names of this machine's GPUs, the preferred one first."""
    gpus = []
    if torch.cuda.is_available():
        gpus += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        gpus += ["mps", "mps:0"]
    return gpus


def _existing() -> str:
    gpus = _gpus()
    return f"use one of {', '.join(['auto', 'cpu', *(['gpu'] if gpus else []), *gpus])}"
