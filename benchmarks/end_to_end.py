"""A whole training run against timm's ``train.py``: same pictures, network, batch, precision, two processes.

    python -m benchmarks.end_to_end --timm-train /somewhere/pytorch-image-models/train.py
    python -m benchmarks.end_to_end --timm-train … --model resnet10t.c3_in1k --size 96 --source 600
    python -m benchmarks.end_to_end --timm-train … --model resnet50 --size 224 --workers 8 --device gpu

``train.py`` is not part of timm's package: take it from its repository. Both commands run from their
start to their end, by turns, and their whole time counts: imports, data, training, a validation each
epoch, checkpoints; ours writes its report besides, on a test split of two images a class, and calibrates
nothing, since timm's script does neither. Crop, flip, optimiser, schedule, clipping and label smoothing
are the same. Figures are medians; only ratios within one run mean anything on a shared machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.loader import draw
from heritage.core.taxonomy import CLASSES

_CROP = (0.35, 1.0)


def folders(root: Path, images: int, source: int) -> Path:
    """Draw pictures of ``source`` pixels as ``<split>/<class>/*.jpg``, described in ``metadata.csv``."""
    lines = ["file,class,split"]
    for split, count in (("train", images), ("val", max(60, images // 10)), ("test", 2 * len(CLASSES))):
        (root / split).mkdir(parents=True)
        draw(root / split, count, source)
        pictures = sorted((root / split).rglob("*.jpg"))
        lines += [f"{path.relative_to(root).as_posix()},{path.parent.name},{split}" for path in pictures]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def ours(root: Path, out: Path, options: argparse.Namespace) -> list[str]:
    """Return our command."""
    crop = f"augment.train.crop_scale=[{_CROP[0]},{_CROP[1]}]"
    return [
        sys.executable, "-m", "heritage.train", "data=table", f"data.root={root}", "data.reader.images=.",
        "data/split=given", "augment=light", crop, "augment.train.crop_ratio=[0.75,1.3333]",
        "model=timm", f"model.name={options.model}", "model.weights=none", "recipe=none",
        "optimizer=adamw", "optimizer.lr=1e-3", "scheduler.warmup=0.0", "callbacks.progress=null",
        "target_precision=null", f"data.image_size={options.size}", f"data.batch_size={options.batch}",
        f"data.num_workers={options.workers}", f"trainer.max_epochs={options.epochs}",
        f"trainer.accelerator={options.device}", f"trainer.precision={options.precision}",
        f"hydra.run.dir={out}",
    ]  # fmt: skip


def timms(root: Path, out: Path, options: argparse.Namespace) -> list[str]:
    """Return the command of timm's script."""
    mixed = ["--amp", "--amp-dtype", "bfloat16"] if options.precision == "bf16-mixed" else []
    device = "cuda" if options.device == "gpu" else "cpu"
    return [
        sys.executable, str(options.timm_train), str(root), "--train-split", "train", "--val-split", "val",
        "--model", options.model, "--num-classes", str(len(CLASSES)), "--img-size", str(options.size),
        "-b", str(options.batch), "-j", str(options.workers), "--epochs", str(options.epochs),
        "--device", device, *mixed, "--channels-last", "--opt", "adamw", "--lr", "1e-3",
        "--weight-decay", "0.05", "--clip-grad", "1.0", "--smoothing", "0.1", "--sched", "cosine",
        "--warmup-epochs", "0", "--cooldown-epochs", "0", "--scale", *map(str, _CROP), "--color-jitter", "0",
        "--checkpoint-hist", "1", "--output", str(out),
    ]  # fmt: skip


def seconds(command: list[str], log: Path) -> float:
    """Run a command and return how long it took.

    Raises:
        SystemExit: It failed; the end of its output is shown.
    """
    began = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} … failed:\n{log.read_text(encoding='utf-8')[-2000:]}")
    return time.perf_counter() - began


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--timm-train", type=Path, required=True, metavar="PATH", help="timm's train.py")
    parser.add_argument("--model", default="resnet18", help="a name of timm's")
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--size", type=int, default=128, help="pixels a side that the network sees")
    parser.add_argument("--source", type=int, default=256, help="pixels a side of the pictures")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="bf16-mixed")
    options = parser.parse_args()
    shown = options.images * options.epochs
    times: dict[str, list[float]] = {"ours": [], "timm": []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        root = folders(work / "set", options.images, options.source)
        for number in range(options.rounds):
            for who, command in (("ours", ours), ("timm", timms)):
                out = work / f"{who}{number}"
                times[who].append(seconds(command(root, out, options), work / f"{who}{number}.log"))
    print(
        f"{options.model}, {options.size} px, batch {options.batch}, {options.workers} workers, "
        f"{options.precision}, {options.epochs} epochs of {options.images} images of {options.source} px\n\n"
        "| command | seconds | images/s end to end |\n|---|---:|---:|"
    )
    for who, name in (("ours", "`heritage.train`"), ("timm", "timm's `train.py`")):
        middle = statistics.median(times[who])
        print(f"| {name} | {middle:,.1f} | {shown / middle:,.0f} |")
    print(f"\nratio {statistics.median(times['timm']) / statistics.median(times['ours']):.2f}")


if __name__ == "__main__":
    main()
