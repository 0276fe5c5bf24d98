"""Overhead of Lightning and our module per training step, relative to a hand-written PyTorch loop.

    python -m benchmarks.step                              resnet50 and vit on this device
    python -m benchmarks.step --model vit --batch 16 --size 96 --steps 20

Both train the same network on the same batches of uint8 images with the same optimiser, schedule,
clipping and precision. Rounds are interleaved, each in its own process, so that peak memory is
each way's own; figures are medians, and only ratios within one run mean anything on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.data.batch import Batch
from heritage.models.network import input_spec
from heritage.models.normalize import Normalize
from heritage.models.precision import choose_precision
from heritage.training import Classifier
from heritage.training.callbacks.checkpoints import AtomicCheckpointIO
from heritage.training.callbacks.finite_loss import FiniteLoss
from heritage.training.callbacks.safeguard import Safeguard
from heritage.training.callbacks.throughput import ThroughputMonitor
from heritage.training.losses import CrossEntropy
from heritage.training.optimizers import adam
from heritage.training.schedules import cosine
from heritage.training.trainer import quiet_lightning

_WARM_UP = 3
OPTIMIZER = partial(
    adam,
    lr=1e-3,
    weight_decay=0.05,
    decoupled_weight_decay=True,
    betas=[0.9, 0.999],
    eps=1e-8,
    layer_decay=None,
)
SCHEDULER = partial(cosine, warmup=0.1, final=0.01)


class Clock(Callback):
    """Times the steps after the warm-up."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the time."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def build(model: str, size: int) -> nn.Module:
    """Build the network as a run would."""
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", overrides=[f"model={model}", "model.weights=none"])
    net: nn.Module = instantiate(cfg.model, num_classes=6, image_size=size, _convert_="all")
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def batches(size: int, batch: int, steps: int) -> list[Batch]:
    """Return random batches."""
    return [
        Batch(torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8), torch.randint(0, 6, (batch,)),
              torch.arange(batch))
        for _ in range(steps)
    ]  # fmt: skip


def by_hand(net: nn.Module, data: list[Batch], precision: str, device: torch.device) -> list[float]:
    """Train with a plain loop and return the end of each step."""
    net.to(device).train()
    spec = input_spec(net)
    normalize = Normalize(spec.mean, spec.std).to(device)
    optimizer = OPTIMIZER(net)
    schedule = SCHEDULER(optimizer, len(data))["scheduler"]
    ends = []
    for batch in data:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            logits = net(normalize(batch.images.to(device)))
            loss = nn.functional.cross_entropy(logits.float(), batch.targets.to(device), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
    return ends


def with_lightning(net: nn.Module, data: list[Batch], precision: str, device: torch.device) -> list[float]:
    """Train as a run does and return the end of each step."""
    quiet_lightning()
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        trainer = pl.Trainer(
            max_epochs=1, accelerator=device.type, devices=1, precision=precision,  # type: ignore[arg-type]
            gradient_clip_val=1.0, logger=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0, limit_val_batches=0, default_root_dir=folder,
            plugins=[AtomicCheckpointIO()],
            callbacks=[
                ThroughputMonitor(), FiniteLoss(20, folder=folder), Safeguard(15.0, folder=folder), clock
            ],
        )  # fmt: skip
        loss = CrossEntropy(0.1, counts={}, weights=None)
        classifier = Classifier(net, "abcdef", criterion=loss, optimizer=OPTIMIZER,
                                scheduler=SCHEDULER, total_steps=len(data))  # fmt: skip
        loader: DataLoader[Any] = DataLoader(TensorDataset(torch.arange(len(data))), batch_size=None,
                                             collate_fn=lambda item: data[int(item[0])])  # fmt: skip
        trainer.fit(classifier, loader)
    return clock.ends


def import_all() -> None:
    """Let Lightning take one step with a line, so that what it imports on the way is in both peaks."""
    quiet_lightning()
    trainer = pl.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(_Line(), DataLoader(TensorDataset(torch.zeros(1, 1))))


class _Line(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """Return some loss."""
        loss: torch.Tensor = self.line(batch[0]).sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return some optimiser."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


def measure(way: str, model: str, size: int, batch: int, steps: int) -> dict[str, float]:
    """Train one way in this process."""
    import_all()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = build(model, size)
    precision = choose_precision("auto", net, device.type)
    data = batches(size, batch, steps + _WARM_UP)
    ends = (by_hand if way == "hand" else with_lightning)(net, data, precision, device)
    seconds = [after - before for before, after in zip(ends[_WARM_UP - 1 :], ends[_WARM_UP:], strict=False)]
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"seconds": statistics.median(seconds), "megabytes": peak}


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="a configuration of conf/model; may be repeated")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=("hand", "lightning"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    models = options.model or ["resnet50", "vit"]
    if options.way:
        print(json.dumps(measure(options.way, models[0], options.size, options.batch, options.steps)))
        return
    print(f"batch {options.batch}, {options.size} px, {options.steps} steps, {options.rounds} rounds\n")
    print(
        "| network | hand-written ms | Lightning ms | speed ratio | memory ratio |\n|---|---:|---:|---:|---:|"
    )
    for model in models:
        timings: dict[str, list[dict[str, float]]] = {"hand": [], "lightning": []}
        for _ in range(options.rounds):
            for way, results in timings.items():
                words = ["--way", way, "--model", model, "--size", options.size, "--batch", options.batch]
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.step",
                    *map(str, words),
                    "--steps",
                    str(options.steps),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd())  # noqa: S603
                results.append(json.loads(done.stdout.strip().splitlines()[-1]))
        hand, light = (
            {
                key: statistics.median(result[key] for result in timings[way])
                for key in ("seconds", "megabytes")
            }
            for way in ("hand", "lightning")
        )
        print(
            f"| {model} | {1e3 * hand['seconds']:,.0f} | {1e3 * light['seconds']:,.0f} "
            f"| {hand['seconds'] / light['seconds']:.3f} | {light['megabytes'] / hand['megabytes']:.3f} |"
        )


if __name__ == "__main__":
    main()
