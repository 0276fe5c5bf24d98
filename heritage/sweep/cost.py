"""Estimate the cost of runs (hours, memory, disk) from a few measured training steps on this machine."""

from __future__ import annotations

import io
import json
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf, open_dict
from rich.console import Console
from rich.table import Table

from heritage.cluster.job import Job
from heritage.cluster.resources import Cluster, InProcess
from heritage.data.batch import Batch
from heritage.models.network import parameter_count
from heritage.runs.job_state import State
from heritage.sweep.checks import unstaged
from heritage.training.build import build
from heritage.training.run import TrainingRun

_GB = 1e9
_IGNORED = ("seed", "paths", "cluster", "callbacks", "logger")
"""Keys that do not change the cost, or are left out of the measurement."""
_EVALUATION = 1 / 3
"""Time of an evaluated image over that of a training image: there is no backward pass."""


@dataclass(frozen=True)
class Cost:
    """The estimated cost of a run.

    Attributes:
        parameters: Parameters of the network.
        speed: The measurement.
        train_images: Training images per epoch, after sampling.
        val_images: Validation images per epoch.
        epochs: The largest number of epochs.
        test_images: Images of the final test.
    """

    parameters: int
    speed: Speed
    train_images: int
    val_images: int
    epochs: float
    test_images: int

    @property
    def hours(self) -> float:
        """Time for all epochs and the test, on one device like the measured one."""
        images = self.epochs * (self.train_images + _EVALUATION * self.val_images)
        images += _EVALUATION * self.test_images
        return images / self.speed.images_per_second / 3600

    @property
    def disk(self) -> int:
        """Bytes of the run folder: the best and the last checkpoint."""
        return 2 * self.speed.checkpoint


def print_plan(jobs: Sequence[Job], cluster: Cluster, console: Console) -> None:
    """Measure and print the cost of jobs on this machine; no job is started.

    Jobs that differ only in their seed are measured once.

    Args:
        jobs: The jobs.
        cluster: Where they would run.
        console: The console to print to.

    Raises:
        HeritageError: A job cannot start: its data or weights are missing.
    """
    measured: dict[str, Cost] = {}
    costs = []
    for job in jobs:
        config = {key: value for key, value in job.run_config.items() if key not in _IGNORED}
        key = json.dumps(config, sort_keys=True)
        if key not in measured:
            console.print(f"measuring {job.name} …", style="dim", highlight=False, soft_wrap=True)
            measured[key] = _cost(job)
        costs.append(measured[key])
    console.print(_table(jobs, costs))
    remaining = [cost for job, cost in zip(jobs, costs, strict=True) if job.state is not State.FINISHED]
    for line in _totals(remaining, jobs, cluster):
        console.print(line, highlight=False, soft_wrap=True)


def _cost(job: Job) -> Cost:
    with tempfile.TemporaryDirectory(prefix="heritage-plan-") as folder:
        config = OmegaConf.create(job.run_config)
        with open_dict(config):
            config.paths.run = folder
            config.data = unstaged(job.run_config["data"])
            config.resume = False
            config.logger = {}
            config.callbacks = {}
            # One device is measured, without the other ranks.
            config.trainer.devices = 1
            config.trainer.num_nodes = 1
            config.trainer.strategy = "auto"
        run = build(config)
        speed = measure(run)
    return Cost(
        parameter_count(run.classifier.net),
        speed,
        sum(run.counts["shown"].values()),
        sum(run.counts["val"].values()),
        _epochs(run),
        sum(run.counts["test"].values()),
    )


def _epochs(run: TrainingRun) -> float:
    """Return the number of epochs of the first epoch's length."""
    batches = (run.classifier.total_steps or 0) * run.trainer.accumulate_grad_batches
    return batches / run.data.plan(1).steps(0)


def _table(jobs: Sequence[Job], costs: Sequence[Cost]) -> Table:
    table = Table(title="Estimated cost on this machine", title_justify="left")
    table.add_column("job", overflow="fold")
    for name in ("params", "images/s", "images/epoch", "epochs", "hours", "memory", "disk"):
        table.add_column(name, justify="right", no_wrap=True)
    for job, cost in zip(jobs, costs, strict=True):
        table.add_row(
            job.name,
            f"{cost.parameters / 1e6:,.1f} M",
            f"{cost.speed.images_per_second:,.0f}",
            f"{cost.train_images:,}",
            f"{cost.epochs:g}",
            _hours(cost.hours),
            _size(cost.speed.memory),
            _size(cost.disk),
        )
    return table


def _totals(costs: Sequence[Cost], jobs: Sequence[Job], cluster: Cluster) -> list[str]:
    if not costs:
        return ["all jobs are finished"]
    total = sum(cost.hours for cost in costs)
    disk = sum(cost.disk for cost in costs)
    folder = next(path for path in (jobs[0].folder, *jobs[0].folder.parents) if path.exists())
    device = costs[0].speed.device
    free = _size(shutil.disk_usage(folder).free)
    lines = [f"{len(costs)} of {len(jobs)} jobs to run: {_hours(total)} h on one {device}"]
    lines.append(f"{_size(disk)} of disk space; {free} are free")
    if not isinstance(cluster, InProcess):
        waves = max(total / cluster.parallel, max(cost.hours for cost in costs))
        lines.append(f"{cluster.parallel} jobs at once: {_hours(waves)} h, on devices as fast as this one")
    lines.append("early stopping may end runs sooner; no job was started")
    return lines


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2f}" if hours >= 0.01 else f"{hours:.4f}"


def _size(size: float) -> str:
    return f"{size / _GB:,.2f} GB" if size >= 0.1 * _GB else f"{size / 1e6:,.1f} MB"


_WARM_UP, _STEPS = 2, 12
_SECONDS = 20.0


@dataclass(frozen=True)
class Speed:
    """Measured speed and memory of training.

    Attributes:
        images_per_second: Training throughput, with loading and augmentation.
        memory: Peak memory in bytes, of the GPU or of this process.
        checkpoint: Bytes of the weights and the optimiser's state.
        device: Name of the device.
    """

    images_per_second: float
    memory: int
    checkpoint: int
    device: str


def measure(run: TrainingRun) -> Speed:
    """Train for a few steps and time those after the warm-up.

    Args:
        run: A run that was built and not started; its weights change.

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


def _batches(run: TrainingRun) -> Iterator[Batch]:
    """Yield training batches of one epoch after the other: small data sets have few."""
    loader = run.data.loader("train")
    for epoch in range(_WARM_UP + _STEPS):
        loader.plan.set_epoch(epoch)
        yield from loader


def _moved(batch: Batch, device: torch.device) -> Batch:
    images, targets, rows = (part.to(device, non_blocking=True) for part in batch[:3])
    return Batch(images, targets, rows, batch.unreadable)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: reset the peak
    except OSError:
        return  # the peak since the start of the process is shown


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:
        match = None
    if match is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(match[1]) * 1024


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads)"
