"""Estimate the cost of runs (hours, memory, disk) from a few measured training steps on this machine."""

from __future__ import annotations

import io
import json
import math
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf, open_dict
from rich import box
from rich.table import Table
from rich.text import Text

from heritage.cluster.job import Job
from heritage.cluster.resources import Cluster, InProcess
from heritage.core.console import Console
from heritage.data.batch import Batch
from heritage.features.compute import feature_places
from heritage.features.predict_loop import autocast
from heritage.models.checkpoint import checkpoint_step
from heritage.models.network import parameter_count
from heritage.runs.files import CHECKPOINTS_FOLDER, LAST_CHECKPOINT
from heritage.runs.job_state import State
from heritage.sweep.checks import unstaged
from heritage.training.build import build
from heritage.training.devices import device_type
from heritage.training.length import limited, steps_by_epoch
from heritage.training.probe_run import ProbeRun
from heritage.training.run import TrainingRun

_GB = 1e9
_IGNORED = ("seed", "paths", "cluster", "callbacks", "logger")
"""Keys that do not change the cost, or are left out of the measurement."""
_EVALUATION = 1 / 3
"""Time of an evaluated image over that of a training image: there is no backward pass."""


@dataclass(frozen=True)
class Cost:
    """The estimated cost of a job.

    Attributes:
        parameters: Parameters of the network.
        speed: The measurement.
        epochs: The epochs that will run: all, or those that an interrupted run has left.
        early_stopping: Whether early stopping may end the run sooner.
        test_images: Images of the final test.
        features: Images whose features a probe computes, at the measured speed without a backward pass.
        store: The store that it adds them to; other probes of the plan find them there.
    """

    parameters: int
    speed: Speed
    epochs: tuple[PlannedEpoch, ...]
    early_stopping: bool
    test_images: int
    features: int = 0
    store: str | None = None

    @property
    def hours(self) -> float:
        """Time for all epochs and the test, on one device like the measured one."""
        images = sum(epoch.images + _EVALUATION * epoch.val_images for epoch in self.epochs)
        images += _EVALUATION * self.test_images + self.features
        return images / self.speed.images_per_second / 3600

    @property
    def disk(self) -> int:
        """Bytes of the run folder: the best and the last checkpoint."""
        return 2 * self.speed.checkpoint


@dataclass(frozen=True)
class PlannedEpoch:
    """One epoch of a run.

    Attributes:
        steps: Its optimizer steps.
        images: Training images on all ranks, after sampling and within the limits of the trainer.
        val_images: Validation images; 0 without a validation.
    """

    steps: int
    images: float
    val_images: int


def remaining_epochs(epochs: Sequence[PlannedEpoch], done: int) -> tuple[PlannedEpoch, ...]:
    """Return the epochs that run after ``done`` optimizer steps; of one that was begun, what is left."""
    left = []
    for epoch in epochs:
        if done < epoch.steps:
            part = (epoch.steps - done) / epoch.steps
            left.append(PlannedEpoch(epoch.steps - done, epoch.images * part, epoch.val_images))
        done = max(0, done - epoch.steps)
    return tuple(left)


def print_plan(
    jobs: Sequence[Job], cluster: Cluster, console: Console, *, to_run: Sequence[Job] | None = None
) -> None:
    """Measure and print the cost of jobs on this machine; no job is started.

    Jobs that differ only in their seed are measured once.

    Args:
        jobs: The jobs.
        cluster: Where they would run.
        console: The console to print to.
        to_run: Those that would be run; None: those that are not finished.

    Raises:
        HeritageError: A job cannot start: its data or weights are missing.
    """
    if to_run is None:
        to_run = [job for job in jobs if job.state is not State.FINISHED]
    names = {job.name for job in to_run}
    measured: dict[str, Cost] = {}
    costs = []
    stores: set[str] = set()
    for job in jobs:
        config = {key: value for key, value in job.run_config.items() if key not in _IGNORED}
        key = json.dumps(config, sort_keys=True)
        if key not in measured:
            console.print(f"measuring {job.name} …", style="dim", highlight=False, soft_wrap=True)
            measured[key] = _cost(job)
        left = remaining_epochs(measured[key].epochs, _steps_done(job)) if job.name in names else ()
        store = measured[key].store
        pending = measured[key].features if job.name in names and store not in stores else 0
        stores |= {store} if store is not None and pending else set()
        costs.append(
            replace(
                measured[key], epochs=left, features=pending, early_stopping=bool(left) and _stops_early(job)
            )
        )
    console.print(_table(jobs, costs, names))
    remaining = [cost for job, cost in zip(jobs, costs, strict=True) if job.name in names]
    for line in _totals(remaining, jobs, cluster):
        console.print(line, highlight=False, soft_wrap=True)


def _cost(job: Job) -> Cost:
    """Measure a job that starts from the beginning."""
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
        if isinstance(run, ProbeRun):
            outputs = job.run_config["paths"]["outputs"]
            store = run.open_features([Path(folder), *feature_places(None, outputs)]).store
            pending = len(store) - store.count
            return Cost(parameter_count(run.classifier.net), speed, (), False, 0, pending, store.key.digest)
    return Cost(
        parameter_count(run.classifier.net),
        speed,
        planned_epochs(run, job.run_config["trainer"]),
        early_stopping=False,
        test_images=sum(run.counts["test"].values()),
    )


def planned_epochs(run: TrainingRun, options: Mapping[str, Any]) -> tuple[PlannedEpoch, ...]:
    """Return the epochs of a run, within all limits of the trainer.

    Args:
        run: The run, built for one device.
        options: The group ``trainer``, with the devices that the run will have.
    """
    trainer = run.trainer
    plan, val = run.data.plan(_ranks(options)), len(run.data.rows("val"))
    val_plan = run.data.plan(1, "val")
    val = round(val * limited(trainer.limit_val_batches, val_plan.steps(0)) / val_plan.steps(0))
    by_epoch = steps_by_epoch(
        trainer, plan, options["max_epochs"], options["max_steps"], options["max_samples"]
    )
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        by_epoch = by_epoch[:1]
    every = options["check_val_every_n_epoch"]
    epochs = []
    for epoch, steps in enumerate(by_epoch):
        number = 0 if plan.constant_length else epoch
        shown = int(plan.counts(number).sum())
        whole = max(1, math.ceil(shown / (plan.batch_size * plan.rank.count)))
        batches = min(steps * trainer.accumulate_grad_batches, plan.steps(number))
        images = shown * batches / whole
        validated = (epoch + 1) % every == 0 or epoch + 1 == len(by_epoch)
        epochs.append(PlannedEpoch(steps, images, val if validated else 0))
    return tuple(epochs)


def _ranks(options: Mapping[str, Any]) -> int:
    """Return the number of processes that train together."""
    devices = options["devices"]
    if isinstance(devices, list):
        devices = len(devices)
    elif not isinstance(devices, int):
        devices = torch.cuda.device_count() if device_type(options["accelerator"]) == "cuda" else 1
    return max(1, devices) * int(options["num_nodes"])


def _steps_done(job: Job) -> int:
    """Return the optimizer steps in the checkpoint from which a job resumes; 0 without one."""
    last = job.folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT
    return checkpoint_step(last) if last.is_file() else 0


def _stops_early(job: Job) -> bool:
    callbacks = [part for part in job.run_config["callbacks"].values() if part]
    return any(str(part.get("_target_")).endswith("early_stopping") for part in callbacks)


def _table(jobs: Sequence[Job], costs: Sequence[Cost], names: Collection[str]) -> Table:
    table = Table(
        title="Estimated cost on this machine",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("job", overflow="fold")
    # Without lines, and with headings of two, 80 columns leave room for a job's name.
    for name in ("params", "images\n/s", "images\n/epoch", "epochs", "hours", "memory", "disk"):
        table.add_column(Text(name), justify="right", no_wrap=True)
    for job, cost in zip(jobs, costs, strict=True):
        shown = round(max((epoch.images for epoch in cost.epochs), default=0))
        table.add_row(
            job.name,
            f"{cost.parameters / 1e6:,.1f} M",
            f"{cost.speed.images_per_second:,.0f}",
            f"{shown:,}" if shown else "–",
            f"{'≤ ' if cost.early_stopping else ''}{len(cost.epochs)}",
            _hours(cost.hours) if job.name in names else "–",
            _size(cost.speed.memory),
            _size(cost.disk),
        )
    return table


def _totals(costs: Sequence[Cost], jobs: Sequence[Job], cluster: Cluster) -> list[str]:
    if not costs:
        return ["no job is left to run"]
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
    sooner = "early stopping may end runs sooner; " if any(cost.early_stopping for cost in costs) else ""
    lines.append(f"{sooner}no job was started")
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
    if isinstance(run, ProbeRun):
        return _measure_forward(run, module.eval(), device)
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


def _measure_forward(run: ProbeRun, module: torch.nn.Module, device: torch.device) -> Speed:
    """Time batches without a backward pass."""
    _reset_peak(device)
    images, began = 0, 0.0
    with torch.inference_mode(), autocast(device, run.precision):
        for number, batch in enumerate(_batches(run)):
            if number == _WARM_UP:
                images, began = 0, time.perf_counter()
            module(batch.images.to(device)).cpu()
            images += len(batch.targets)
            if number > _WARM_UP + _STEPS or (number > _WARM_UP and time.perf_counter() - began > _SECONDS):
                break
    seconds = time.perf_counter() - began
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
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
