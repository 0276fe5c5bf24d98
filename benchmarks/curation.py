"""Speed of curation, as ratios measured side by side in one run.

    python benchmarks/curation.py resize     scaled decoding against Pillow's open + resize, and its PSNR
    python benchmarks/curation.py scale      two processes against one
    python benchmarks/curation.py near       near-duplicates among 250,000 hashes, against all pairs
    python benchmarks/curation.py packed     packed images against timm's loader (--images 50000)

Photographs are drawn: coloured noise with the 1/f amplitudes of natural scenes, an object with a hard
edge on a plain background, and sensor noise, 1,500 to 3,000 pixels a side, saved as JPEG of quality 90
(1 to 3 MB). Each figure is the median of interleaved rounds; read ratios, not times. Processor time is
given too, because it means something on a busy machine as well.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from heritage.core.image_io import Pixels, decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.resizing import Resizing
from heritage.curation.inspection import InspectionTask, inspect
from heritage.curation.packing import pack
from heritage.curation.phash import near_pairs
from heritage.curation.scan import Scanner

SIZE = 256
RESIZING = Resizing(SIZE, "stretch", 92)


def photograph(seed: int, height: int, width: int) -> Pixels:
    """Draw a photograph-like picture."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    channels = []
    for _ in range(3):
        phase = np.exp(2j * np.pi * rng.random(frequency.shape))
        noise = np.fft.irfft2(phase / frequency, (height, width))
        channels.append(noise / noise.std())
    scene = np.stack(channels, axis=2) @ (
        0.3 * np.eye(3) + 0.7 / 3
    )  # channels of a scene resemble each other
    mask = np.zeros((height, width), dtype=np.uint8)
    centre, axes = (width // 2, height // 2), (int(width * 0.36), int(height * 0.42))
    cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 40)), 0, 360, 1, -1, cv2.LINE_AA)
    paper = 215 + 6 * scene[..., :1]
    picture = np.where(mask[..., None] > 0, 120 + 40 * scene, paper) + rng.normal(0, 2, (height, width, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_photographs(folder: Path, count: int) -> list[Path]:
    """Write ``count`` photographs of 1,500 to 3,000 pixels a side."""
    rng = np.random.default_rng(0)
    files = []
    for seed in range(count):
        height, width = rng.integers(1500, 3001, 2).tolist()
        path = folder / f"{seed:04d}.jpg"
        Image.fromarray(photograph(seed, height, width)).save(path, quality=90)
        files.append(path)
    megabytes = sum(path.stat().st_size for path in files) / len(files) / 1e6
    print(f"{count} photographs, {megabytes:.1f} MB each")
    return files


def rate(work: Callable[[], object], images: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return images a second, by a clock."""
    began = clock()
    work()
    return images / (clock() - began)


def resize(folder: Path, images: int, rounds: int) -> None:
    """Compare decoding and resizing, and all of an inspection, with the thesis's method on one core."""
    files = write_photographs(folder, images)
    copies = folder / "copies"
    copies.mkdir()

    def by_pillow() -> None:
        for path in files:
            with Image.open(path) as image:
                image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(
                    copies / path.name, quality=92
                )

    def ours() -> None:
        for path in files:
            inspect(InspectionTask(0, str(path), str(copies / path.name)), RESIZING)

    def decoding() -> None:
        for path in files:
            encode_jpeg(RESIZING(decode(path.read_bytes(), at_least=RESIZING.min_decode_side)), quality=92)

    ways = {"Pillow": by_pillow, "inspect": ours, "decode, resize, encode": decoding}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(rate(way, images, time.process_time))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    quality = [psnr(path) for path in files]
    for name, values in middle.items():
        print(f"{name:<24}{values:8.1f} images/s {values / middle['Pillow']:6.2f} times Pillow")
    print(
        f"PSNR against a full decode with Lanczos: mean {np.mean(quality):.1f} dB, least {min(quality):.1f}"
    )


def psnr(path: Path) -> float:
    """Return the PSNR of our resizing against a full decode with Lanczos."""
    with Image.open(path) as image:
        reference = np.asarray(
            image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS), dtype=float
        )
    resized = RESIZING(decode(path.read_bytes(), at_least=RESIZING.min_decode_side))
    return float(10 * np.log10(255**2 / np.mean((resized - reference) ** 2)))


def scale(folder: Path, images: int, rounds: int) -> None:
    """Compare two processes with one, start-up included."""
    raw = folder / "raw"
    raw.mkdir()
    originals = write_photographs(raw, min(images, 40))
    files = [path.name for path in originals]
    for number in range(len(files), images):
        source = originals[number % len(originals)]
        (raw / f"{number:04d}.jpg").hardlink_to(source)
        files.append(f"{number:04d}.jpg")
    rates: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for turn in range(rounds):
        for workers, values in rates.items():
            scanner = Scanner(raw, folder / f"out{turn}-{workers}", RESIZING, workers)
            scanner.prepare()
            spent, began = processor_seconds(), time.perf_counter()
            scanner.scan(files, [Path(file).stem for file in files])
            values.append((images / (time.perf_counter() - began), images / (processor_seconds() - spent)))
    for number, clock in enumerate(("second", "processor second")):
        one, two = (statistics.median(values[number] for values in rates[workers]) for workers in (1, 2))
        print(f"images a {clock}: one process {one:.1f}, two {two:.1f}: {two / one:.2f} times")


def near(count: int, radius: int) -> None:
    """Search for near-duplicates, and compare with comparing all with all."""
    rng = np.random.default_rng(0)
    hashes = real_hashes(count, rng)
    began = time.perf_counter()
    pairs = near_pairs(hashes, radius)
    ours = time.perf_counter() - began
    sample = rng.choice(count, 2000, replace=False)
    began = time.perf_counter()
    expected = sum(
        int((np.bitwise_count(hashes ^ hashes[row]) <= radius).sum()) - 1 for row in sample.tolist()
    )
    brute = (time.perf_counter() - began) * count / len(sample) / 2
    chosen = np.isin(pairs, sample).sum()
    print(
        f"{count:,} hashes, radius {radius}: {len(pairs):,} pairs in {ours:.1f} s; each with each "
        f"{brute:.0f} s, {brute / ours:.1f} times as long; of 2,000 rows {chosen:,} of {expected:,} found"
    )


def real_hashes(count: int, rng: np.random.Generator) -> np.ndarray:
    """Hashes as uneven as those of photographs on plain paper: correlated low frequencies, some repeated."""
    from scipy.fft import dctn  # type: ignore[import-untyped]

    values = []
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    for _ in range(count // 16 + 1):
        # An ellipse of random shape on light ground under random light, and its 16 slight variants.
        a, b, turn = rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9), rng.uniform(0, np.pi)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        base = np.where((u / a) ** 2 + (v / b) ** 2 < 1, rng.uniform(20, 180), 220.0)
        base = (
            base
            + 20 * rng.normal() * x
            + 20 * rng.normal() * y
            + cv2.resize(rng.normal(0, 45, (12, 12)), (32, 32))
        )
        low = dctn(base, norm="ortho")[:8, :8].ravel()
        variants = low + rng.normal(0, 12, (16, 64))
        bits = variants > np.median(variants[:, 1:], axis=1, keepdims=True)
        values.append(np.packbits(bits, axis=1).view(">u8").ravel())
    return np.concatenate(values)[:count].astype(np.uint64)


def packed(folder: Path, images: int, rounds: int, batches: int) -> None:
    """Pack a data set, and compare reading it with timm's loader on its JPEGs."""
    root = folder / "dataset"
    manifest = write_dataset(root, images)
    began = time.perf_counter()
    pack(manifest, root, SIZE, 2)
    seconds = time.perf_counter() - began
    size = sum(path.stat().st_size for path in (root / "packed").iterdir())
    print(
        f"packed {images:,} images, {size / 2**30:.1f} GiB, {images / seconds:,.0f} images/s in two processes"
    )
    ways = {"packed": lambda: our_loader(manifest, root), "timm": lambda: timm_loader(root)}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, loader in ways.items():
            rates[name].append(loading_rates(loader, batches))
    for number, clock in enumerate(("second", "processor second")):
        ours, theirs = (
            statistics.median(values[number] for values in rates[name]) for name in ("packed", "timm")
        )
        print(f"images a {clock}: packed {ours:,.0f}, timm's loader {theirs:,.0f}: {ours / theirs:.2f} times")


def write_dataset(root: Path, images: int) -> Manifest:
    """Write JPEGs of 256 pixels, cut out of drawn photographs, as a data-set folder."""
    classes = ("a", "b", "c")
    big = [photograph(seed, 2400, 2400) for seed in range(12)]
    small = [Resizing(1200, "stretch", 92)(one) for one in big]
    rng = np.random.default_rng(1)
    files, digests, labels = [], [], []
    for name in classes:
        (root / "images" / name).mkdir(parents=True)
    for number in range(images):
        top, left = rng.integers(0, 1200 - SIZE, 2).tolist()
        data = encode_jpeg(small[number % len(small)][top : top + SIZE, left : left + SIZE], quality=92)
        label = classes[number % 3]
        files.append(f"images/{label}/{number:06d}.jpg")
        (root / files[-1]).write_bytes(data)
        digests.append(hashlib.sha256(data).hexdigest())
        labels.append(label)
    mean = sum((root / file).stat().st_size for file in files[:1000]) / 1000 / 1000
    print(f"{images:,} JPEGs of {SIZE} pixels, {mean:.0f} kB each")
    manifest = Manifest.build({"file": files, "class": labels, "sha256": digests}, root, classes)
    manifest.write(root)
    return manifest


def our_loader(manifest: Manifest, root: Path) -> Iterator[object]:
    """Read packed images by our loader: random resized crop and flip."""
    from heritage.data.augment import Augmentation
    from heritage.data.dataset import ArtefactDataset
    from heritage.data.loader import ArtefactLoader, EpochPlan
    from heritage.data.packed_rows import open_packed

    images = open_packed(manifest, True)
    if images is None:
        raise SystemExit("nothing was packed")
    mild = Augmentation([0.7, 1.0], [0.85, 1.1765], 0.5, *(0,) * 12)
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = ArtefactDataset(
        images.take(order), manifest.targets[order], size=224, interpolation="bilinear", transform=mild
    )
    plan = EpochPlan(manifest.targets[order], manifest.classes, None, batch_size=64, seed=0)
    return iter(ArtefactLoader(shuffled, plan, num_workers=2, pin_memory=False))


def timm_loader(root: Path) -> Iterator[object]:
    """Read the JPEGs by timm's loader with its prefetcher: the same crop and flip."""
    import torch
    from timm.data import create_dataset, create_loader

    make: Any = create_loader
    return iter(
        make(
            create_dataset("", root=str(root / "images")),
            input_size=(3, 224, 224),
            batch_size=64,
            is_training=True,
            scale=(0.7, 1.0),
            ratio=(0.85, 1.1765),
            hflip=0.5,
            color_jitter=None,
            interpolation="bilinear",
            num_workers=2,
            use_prefetcher=True,
            device=torch.device("cpu"),
        )
    )


def loading_rates(loader: Callable[[], Iterator[object]], count: int) -> tuple[float, float]:
    """Return images a second over some batches after the workers have started, and a processor second."""
    spent = processor_seconds()
    batches = loader()
    for _ in range(16):
        next(batches)
    began = time.perf_counter()
    for _ in range(count):
        next(batches)
    images_per_second = 64 * count / (time.perf_counter() - began)
    del batches  # ends the workers, whose time counts only then
    gc.collect()
    return images_per_second, 64 * (count + 16) / (processor_seconds() - spent)


def processor_seconds() -> float:
    """Return the processor time of this process and of those it started that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["resize", "scale", "near", "packed"])
    parser.add_argument("--images", type=int, help="how many (48, 1200, 250000 and 50000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--radius", type=int, default=8)
    parser.add_argument("--batches", type=int, default=120)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder without it")
    chosen = parser.parse_args(arguments)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        if chosen.what == "resize":
            resize(Path(name), chosen.images or 48, chosen.rounds)
        elif chosen.what == "scale":
            scale(Path(name), chosen.images or 1200, chosen.rounds)
        elif chosen.what == "near":
            near(chosen.images or 250_000, chosen.radius)
        else:
            packed(Path(name), chosen.images or 50_000, chosen.rounds, chosen.batches)


if __name__ == "__main__":
    main()
