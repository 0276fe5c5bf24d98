"""Memory of the loader over a long epoch: the main process and its workers, as the epoch advances.

    python -m benchmarks.memory                      200,000 images, 2 workers (some minutes)

The images are demo artefacts hard-linked under 200,000 names. Shared pages are counted in
proportion (PSS), so that what workers share with the main process is not counted twice.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.loader import draw, ours

_POINTS = 10


def megabytes() -> float:
    """Return the proportional set size of this process and its children, in MiB."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    total = 0
    for pid in ("self", *children):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        total += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
    return total / 1024


def main() -> None:
    """Run an epoch and print memory at ten points of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        draw(root, 600, 128)
        originals = sorted(root.rglob("*.jpg"))
        files = []
        for number in range(options.images):
            source = originals[number % len(originals)]
            files.append(source.with_name(f"copy_{number:06d}.jpg"))
            os.link(source, files[-1])
        loader = ours(root, files, options.size, options.workers, 64)
        marks = set(np.linspace(len(loader) // _POINTS, len(loader) - 1, _POINTS, dtype=int).tolist())
        print("| images | MiB | images/s |\n|---:|---:|---:|")
        began, seen = time.perf_counter(), 0
        for step, batch in enumerate(loader):
            seen += len(batch.rows)
            if step in marks:
                print(
                    f"| {seen:,} | {megabytes():,.0f} | {seen / (time.perf_counter() - began):,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
