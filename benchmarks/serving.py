"""Predict, export and serve, measured in one run.

    python -m benchmarks.serving --ckpt outputs/train/<date>/<run> --images /photographs

Pictures/s of `heritage predict` against a bare loop of the same network over pictures already decoded, and
against timm's own loader and loop (as its ``inference.py`` has them) on the same folder; ONNX Runtime against
eager PyTorch; latency of the API at 1, 8 and 32 clients; the time from the command to the first prediction.
Only ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import timm
import torch
from timm.data import create_dataset, create_loader, resolve_model_data_config

from benchmarks.loader import draw
from heritage.exporters.exporter import ExportSource
from heritage.exporters.formats.onnx import OnnxExporter
from heritage.exporters.formats.safetensors import SafetensorsExporter
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.images import InputDataset, image_batches
from heritage.prediction.inputs import find_inputs
from heritage.prediction.members import NetworkInputs
from heritage.prediction.predict import PredictOptions, predict
from heritage.prediction.predictor import Predictor

BATCH = 64


def rate(count: int, work: Callable[[], object]) -> float:
    """Return how many a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def table(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n")
    for number, row in enumerate(rows):
        print(f"| {' | '.join(row)} |")
        if number == 0:
            print(f"|{'---|' * len(row)}", flush=True)


def predicting(trained: TrainedClassifier, images: Path, workers: int, rounds: int, scratch: Path) -> None:
    """Compare ways of predicting a folder of images."""
    inputs = find_inputs(str(images), "file")
    count = len(inputs)
    dataset = InputDataset(inputs, NetworkInputs([trained]))
    predictor = Predictor(trained, DecisionRule())
    decoded = [
        batch.images.clone()
        for batch in image_batches(dataset, start=0, batch_size=BATCH, num_workers=0, pin_memory=False)
    ]
    SafetensorsExporter(ExportSource.of(trained, DecisionRule())).write(scratch)
    theirs = timm.create_model(f"local-dir:{scratch}", pretrained=True).eval()
    theirs = theirs.to(memory_format=torch.channels_last)

    def bare() -> None:
        for batch in decoded:
            predictor.predict_batch(batch)

    def ours() -> None:
        predict(
            PredictOptions(
                ckpt=str(trained.file),
                trusted=[],
                input=str(images),
                column="file",
                out=str(scratch / "predictions.csv"),
                folder="",
                top_k=3,
                threshold=None,
                coverage=None,
                coverage_by_class=False,
                prior=None,
                embeddings=False,
                tta="none",
                batch_size=BATCH,
                num_workers=workers,
                device="auto",
                overwrite=True,
            )
        )

    def timms() -> None:
        loader = create_loader(
            create_dataset("", root=str(images)), batch_size=BATCH, use_prefetcher=False,
            num_workers=workers, **_loading(theirs),
        )  # fmt: skip
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, predictor.precision == "bf16-mixed"),
        ):
            for pixels, _ in loader:
                theirs(pixels.contiguous(memory_format=torch.channels_last)).softmax(dim=1).topk(3)

    ways = {
        "bare forward loop, pictures decoded": bare,
        "heritage predict": ours,
        "timm, plain loader": timms,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(rate(count, way))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = medians["bare forward loop, pictures decoded"]
    rows = [(name, f"{value:,.0f}", f"{value / base:.2f}") for name, value in medians.items()]
    table(
        f"{count:,} pictures, {trained.image_size} px, {predictor.precision}, {workers} workers",
        [("way", "pictures/s", "against the bare loop"), *rows],
    )


def _loading(net: torch.nn.Module) -> dict[str, object]:
    config = resolve_model_data_config(net)
    return {name: config[name] for name in ("input_size", "interpolation", "mean", "std", "crop_pct")}


def runtimes(trained: TrainedClassifier, rounds: int, scratch: Path) -> None:
    """Compare ONNX Runtime with eager PyTorch in float32, each with its default threads."""
    source, size = ExportSource.of(trained, DecisionRule()), trained.image_size
    exporter = OnnxExporter(source)
    exporter.write(scratch)
    onnx, model = exporter.open(scratch), source.model
    rows: list[tuple[str, ...]] = [("batch", "eager, pictures/s", "ONNX Runtime, pictures/s", "ratio")]
    for batch in (1, 32):
        images = np.zeros((batch, size, size, 3), np.uint8)
        repeats = max(1, 64 // batch)

        def eager(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = images, n: int = repeats) -> None:
            with torch.inference_mode():
                for _ in range(n):
                    model(torch.from_numpy(images))

        def other(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = images, n: int = repeats) -> None:
            for _ in range(n):
                onnx(images)

        eager()
        other()
        pairs = [(rate(batch * repeats, eager), rate(batch * repeats, other)) for _ in range(rounds)]
        one, two = (statistics.median(values) for values in zip(*pairs, strict=True))
        rows.append((str(batch), f"{one:,.0f}", f"{two:,.0f}", f"{two / one:.2f}"))
    table("ONNX Runtime on the CPU", rows)


def serving(ckpt: str, images: Path, requests: int) -> None:
    """Start the server as a person does; measure the first prediction and the latency under load."""
    picture = next(path for path in sorted(images.rglob("*.jpg"))).read_bytes()
    command = [sys.executable, "-m", "heritage.serve", f"ckpt={ckpt}", "port=8917", "similar=false"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603  fixed words
        try:
            address = "http://127.0.0.1:8917/predict"
            while True:
                try:
                    httpx.post(address, files={"picture": picture}).raise_for_status()
                    break
                except httpx.TransportError:
                    if server.poll() is not None:
                        raise
                    time.sleep(0.02)
            first = time.perf_counter() - began
            rows: list[tuple[str, ...]] = [("clients", "p50, ms", "p99, ms", "requests/s")]
            for clients in (1, 8, 32):
                seconds, taken = asyncio.run(_load(address, picture, clients, requests))
                p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
                rows.append((str(clients), f"{p50:.1f}", f"{p99:.1f}", f"{len(seconds) / taken:,.0f}"))
            table(f"API, one picture of {len(picture) / 1000:.0f} kB a request", rows)
            print(f"\nfrom the command to the first prediction: {first:.1f} s")
        finally:
            server.terminate()


async def _load(address: str, picture: bytes, clients: int, requests: int) -> tuple[list[float], float]:
    seconds: list[float] = []

    async def one(client: httpx.AsyncClient) -> None:
        for _ in range(max(1, requests // clients)):
            began = time.perf_counter()
            (await client.post(address, files={"picture": picture})).raise_for_status()
            seconds.append(time.perf_counter() - began)

    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=clients)) as client:
        began = time.perf_counter()
        await asyncio.gather(*(one(client) for _ in range(clients)))
        return seconds, time.perf_counter() - began


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ckpt", required=True, help="a run folder or checkpoint")
    parser.add_argument("--images", type=Path, help="a folder of JPEG files; none draws some")
    parser.add_argument("--count", type=int, default=1500, help="pictures to draw where no folder is given")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=320, help="at each number of clients")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        images = options.images
        if images is None:
            images = Path(scratch) / "images"
            images.mkdir()
            draw(images, options.count, 256)
        trained = load_checkpoint(options.ckpt)
        predicting(trained, images, options.workers, options.rounds, Path(scratch))
        runtimes(load_checkpoint(options.ckpt), options.rounds, Path(scratch))
        serving(options.ckpt, images, options.requests)


if __name__ == "__main__":
    main()
