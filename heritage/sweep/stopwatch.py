"""A few timed training steps: images/s and memory of a network on this device."""

from __future__ import annotations

import io
import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from heritage.data.batch import Batch
from heritage.run import Run

_WARM_UP, _STEPS = 2, 12
_SECONDS = 20.0


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        images_per_second: Of training, loading and augmenting included.
        memory: Bytes at the highest: of the GPU, or of this process.
        checkpoint: Bytes of weights and the optimiser's state.
        device: What it was measured on.
    """

    images_per_second: float
    memory: int
    checkpoint: int
    device: str


def measure(run: Run) -> Speed:
    """Train a few steps, on the path that training takes, and time those after the first two.

    Args:
        run: A run, built and not started; its weights change.

    Raises:
        DataError: The data cannot be read.
    """
    device = run.trainer.strategy.root_device
    module = run.classifier.to(device).train()
    optimizer: torch.optim.Optimizer = module.configure_optimizers()["optimizer"]
    _reset_peak(device)
    images, seconds = 0, 0.0
    began = time.perf_counter()
    for number, batch in enumerate(_batches(run)):
        step = _moved(batch, device)
        with run.trainer.precision_plugin.train_step_context():
            pixels, targets = module.augmented(step)
            loss = module.criterion(module.net(pixels), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        if number >= _WARM_UP:
            images += len(batch.targets)
            seconds += now - began
            if number + 1 >= _WARM_UP + _STEPS or seconds > _SECONDS:
                break
        began = now
    buffer = io.BytesIO()
    torch.save({"weights": module.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    return Speed(images / max(seconds, 1e-9), _peak(device), buffer.tell(), _name(device))


def _batches(run: Run) -> Iterator[Batch]:
    """Yield training batches, epoch after epoch: small data sets have few."""
    loader = run.data.loader("train")
    for epoch in range(_WARM_UP + _STEPS):
        loader.plan.set_epoch(epoch)
        yield from loader


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(*(part.to(device, non_blocking=True) for part in batch))


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: forget the peak
    except OSError:
        return  # the peak since the process began is then what is shown


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:
        found = None
    if found is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(found[1]) * 1024


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads)"
