"""One rule for devices: names are those of this machine, and an error lists them."""

from __future__ import annotations

import pytest
import torch

from heritage.errors import ArgumentError, ConfigError
from heritage.prediction import load
from heritage.training.devices import choose_device, device_type


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Pretend to have some CUDA devices, or Apple's GPU."""
    cuda, mps = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


CPU, TWO_GPUS, APPLE = (0, False), (2, False), (0, True)


@pytest.mark.parametrize(
    ("machine", "name", "expected"),
    [
        (CPU, "auto", "cpu"), (CPU, "cpu", "cpu"), (CPU, torch.device("cpu"), "cpu"),
        (TWO_GPUS, "auto", "cuda"), (TWO_GPUS, "gpu", "cuda"), (TWO_GPUS, "cuda:1", "cuda:1"),
        (TWO_GPUS, "cpu", "cpu"), (APPLE, "auto", "mps"), (APPLE, "gpu", "mps"), (APPLE, "mps", "mps"),
    ],
    indirect=["machine"],
)  # fmt: skip
@pytest.mark.usefixtures("machine")
def test_a_name_gives_a_device(name: str | torch.device, expected: str) -> None:
    assert choose_device(name) == torch.device(expected)
    if isinstance(name, str):
        assert device_type(name) == torch.device(expected).type


@pytest.mark.parametrize(
    ("machine", "name", "message"),
    [
        (CPU, "gpu", "device=gpu: there is no GPU; use one of auto, cpu"),
        (CPU, "cuda", "device=cuda: there is no such device; use one of auto, cpu"),
        (CPU, "mps", "device=mps: there is no such device; use one of auto, cpu"),
        (CPU, "tpu", "device=tpu: there is no such device; use one of auto, cpu"),
        (TWO_GPUS, "cuda:2", "there is no such device; use one of auto, cpu, gpu, cuda, cuda:0, cuda:1"),
        (APPLE, "cuda", "there is no such device; use one of auto, cpu, gpu, mps, mps:0"),
    ],
    indirect=["machine"],
)
@pytest.mark.usefixtures("machine")
def test_a_device_that_is_not_there_ends_in_a_line_with_those_that_are(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=f"device={name}"):
        load("x", device=name)
    with pytest.raises(ConfigError, match=f"trainer.accelerator={name}"):
        device_type(name)


def test_a_device_is_a_name() -> None:
    with pytest.raises(ArgumentError, match="device: a device is named by a string"):
        choose_device(0)  # type: ignore[arg-type]
