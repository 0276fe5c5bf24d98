"""Photographs a second from a fast loopback server: the collector beside plain clients and img2dataset.

    python benchmarks/collection.py
    python benchmarks/collection.py --images 4000 --img2dataset /path/to/venv/bin/python

Each competitor is a separate process and fetches the same photographs from the same server, in turn,
``--rounds`` times; the best round counts. A second of CPU is what the competitor itself used, so files
a CPU second compare tools that use different numbers of cores; what a process takes to start (imports,
img2dataset's worker) is measured and taken off. The collector's photographs are in its ledger before the
clock starts, as the others' are in a list of URLs.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from heritage.demo.collection import PUBLISHED, DemoCollection  # noqa: E402
from heritage.demo.museum import request_handler  # noqa: E402
from heritage.demo.server import serve  # noqa: E402

CONCURRENCY = 8
SIDE = 600

IMG2DATASET = f"""
import sys
from img2dataset import download
if __name__ == "__main__":
    download(url_list=sys.argv[1], output_folder=sys.argv[2], output_format="files", processes_count=1,
             thread_count={CONCURRENCY}, number_sample_per_shard=1000,
             **(dict(resize_mode="no", disable_all_reencoding=True) if sys.argv[3] == "unread" else dict()))
"""


@dataclass(frozen=True)
class Result:
    """Files, seconds and processor seconds of one competitor in one round."""

    files: int
    wall: float
    cpu: float


def render(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """One of sixteen noisy photographs of about 128 kB, followed by unique bytes."""
    return _noise(index % 16) + f"{class_name}/{index}/{view}".encode()


@functools.cache
def _noise(seed: int) -> bytes:
    import numpy as np
    from PIL import Image

    from heritage.core.image_io import encode_jpeg

    noise = np.random.default_rng(seed).integers(0, 255, (75, 75, 3), dtype=np.uint8)
    return encode_jpeg(np.asarray(Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC)))


def demo_collection(images: int) -> DemoCollection:
    """Return a museum with about ``images`` objects."""
    return DemoCollection(images=images * 3, picture_size=SIDE, seed=0, renderer=render)


def prepare(folder: Path, images: int) -> list[str]:
    """Enter all objects and their photographs in a ledger; return the photographs' addresses."""
    from heritage.collection.image_validation import file_stem
    from heritage.collection.ledger import Ledger
    from heritage.collection.ledger_rows import ObjectRow
    from heritage.collection.sources import ListedObject
    from tests.collection.runs import met, rules

    museum, source, labels = demo_collection(images), met("http://unused"), rules()
    folder.mkdir(parents=True)
    ledger = Ledger(folder / "ledger.sqlite")
    for object_id in museum.ids:
        if not museum.photographs(object_id) or museum.is_foreign(object_id):
            continue
        raw = museum.met_record(object_id)
        listing = f"department:{museum.department(object_id)}"
        ledger.list_objects("MET", listing, [ListedObject(str(object_id))], seed=0)
        row = ObjectRow("MET", str(object_id), listing, 0, None)
        ledger.store_raw(row, json.dumps(raw).encode())
        record = source.read(raw, str(object_id), listing, "web")
        decision = labels.label("MET", record)
        stem = file_stem(labels.class_id(str(decision.class_name)), "MET", str(object_id), 0)
        ledger.record_label(row, record, decision, reserve=False, photographs=[(stem, record.photographs[0])])
    for department in (3, 6, 7, 10, 13, 14, 17):
        ledger.put(f"listed:MET:department:{department}", "2026-01-01")
    ledger.put("rules:MET", labels.fingerprint)
    urls = [str(url) for (url,) in ledger.query("SELECT url FROM images")]
    ledger.close()
    return urls


def competitor(name: str, base: str, urls: Path, folder: Path) -> None:
    """Fetch everything (the child process); with no addresses, do nothing but import."""
    if name == "heritage":
        from heritage.collection.http.settings import Endpoint
        from tests.collection.runs import met, session

        if base == "nothing":
            return
        hosts = {
            part: Endpoint(url=base + path, rate=None, concurrency=CONCURRENCY, published=PUBLISHED + path)
            for part, path in (("api", "/public/collection"), ("images", "/images"))
        }
        session(met(base, hosts=hosts), folder).collect()
        return
    addresses = iter([] if base == "nothing" else json.loads(urls.read_text()))
    asyncio.run({"httpx": with_httpx, "aiohttp": with_aiohttp}[name](addresses, folder))


async def with_httpx(addresses: Iterator[str], folder: Path) -> None:
    """A gather over httpx: nothing is verified, recorded or synced."""
    import httpx

    async with httpx.AsyncClient(timeout=60) as client:

        async def work() -> None:
            for url in addresses:
                response = await client.get(url)
                (folder / url.rpartition("/")[2]).write_bytes(response.content)

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


async def with_aiohttp(addresses: Iterator[str], folder: Path) -> None:
    """The same over aiohttp."""
    import aiohttp

    async with aiohttp.ClientSession() as client:

        async def work() -> None:
            for url in addresses:
                async with client.get(url) as response:
                    (folder / url.rpartition("/")[2]).write_bytes(await response.read())

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


def measured(command: list[str], folder: Path) -> Result:
    """Run a competitor's process and count the photographs it left."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        print(f"failed with status {status}: {' '.join(command[-5:])}", file=sys.stderr)
    return Result(sum(1 for _ in folder.rglob("*.jpg")), wall, usage.ru_utime + usage.ru_stime)


@contextmanager
def server(images: int) -> Iterator[str]:
    """Run the museum in a separate process."""
    code = [sys.executable, __file__, "--serve", "--images", str(images)]
    process = subprocess.Popen(code, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603
    try:
        yield process.stdout.readline().strip() if process.stdout else ""
    finally:
        process.kill()
        process.wait()


def round_of(name: str, base: str, images: int, python: str | None) -> Result:
    """Run one competitor once in a fresh folder, and subtract its start-up."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "out"
        addresses = [base + url.removeprefix(PUBLISHED) for url in prepare(folder, images)]
        urls = folder.parent / "urls.json"
        urls.write_text(json.dumps(addresses))
        lines = folder.parent / "urls.txt"
        lines.write_text("\n".join(addresses))

        def command(where: str) -> list[str]:
            if name.startswith("img2dataset"):
                # It starts processes for the first photograph: to have one is its way of doing nothing.
                one = folder.parent / "one.txt"
                one.write_text(addresses[0])
                source, target = (one, folder.parent / "one") if where == "nothing" else (lines, folder)
                return [str(python), "-c", IMG2DATASET, str(source), str(target), name.rpartition(" ")[2]]
            return [sys.executable, __file__, "--competitor", name, where, str(urls), str(folder)]

        idle = measured(command("nothing"), folder)
        done = measured(command(base), folder)
        if done.files != len(addresses):
            print(f"{name} left {done.files} of {len(addresses)} photographs", file=sys.stderr)
        return Result(done.files, done.wall - idle.wall, done.cpu - idle.cpu)


DOES = {
    "heritage": "verified to the last pixel, synced, renamed, recorded, manifest and attributions",
    "httpx": "written",
    "aiohttp": "written",
    "img2dataset": "decoded, resized to 256 pixels and encoded (its defaults), with a JSON",
    "img2dataset unread": "written as it came, with a JSON",
}


def main() -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--img2dataset", metavar="PYTHON", help="a Python that has img2dataset")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--competitor", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.competitor:
        name, base, urls, folder = given.competitor
        competitor(name, base, Path(urls), Path(folder))
        return
    if given.serve:
        with serve(request_handler(demo_collection(given.images))) as base:
            print(base, flush=True)
            time.sleep(1e6)
    names = ["heritage", "httpx", "aiohttp", *([*DOES][3:] if given.img2dataset else [])]
    best: dict[str, Result] = {}
    with server(given.images) as base:
        for _ in range(given.rounds):
            for name in names:
                result = round_of(name, base, given.images, given.img2dataset)
                if name not in best or result.cpu / result.files < best[name].cpu / best[name].files:
                    best[name] = result
    ours = best["heritage"]
    print(f"{'':18} {'files':>6} {'files/s':>8} {'files/CPU s':>12} {'heritage is':>12}  each file is")
    for name, result in best.items():
        speed = result.files / result.cpu
        ratio = ours.files / ours.cpu / speed
        # On a busy machine starting may have taken longer than the whole run did.
        wall = f"{result.files / result.wall:.0f}" if result.wall > 0 else "noise"
        print(f"{name:18} {result.files:6} {wall:>8} {speed:12.0f} {ratio:11.2f}×  {DOES[name]}")


if __name__ == "__main__":
    main()
