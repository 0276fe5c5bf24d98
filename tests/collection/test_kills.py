"""Kill -9 at random moments, over and over: nothing is lost, nothing is fetched twice, no half file."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heritage.core.manifest import Manifest
from heritage.demo.holdings import DemoCollection
from heritage.demo.museum import answering
from heritage.demo.server import serve
from tests.collection.faults import FaultyMuseum, jpeg
from tests.collection.runs import rows

CONCURRENCY = 4
PICTURES = [jpeg(number, 72) for number in range(64)]

# Its arguments are the address of a museum and the folder of a collection.
CHILD = """
import sys
from pathlib import Path
from tests.collection.runs import met, patience, session
slow = patience(read_timeout=60.0, total_timeout=60.0, connect_timeout=60.0)
session(met(sys.argv[1]), Path(sys.argv[2]), patience=slow).collect()
"""


def paint(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """One of few pictures, with bytes of its own behind the end: as many digests as photographs."""
    return PICTURES[(index + view) % len(PICTURES)] + f"{class_name}/{index}/{view}".encode()


def collect_killing(base: str, folder: Path, *, kills: int, wait: tuple[float, float]) -> int:
    """Run collectors one after the other, kill all but the last at random; return how many were killed."""
    chance = random.Random(7)
    killed = 0
    while True:
        child = subprocess.Popen([sys.executable, "-c", CHILD, base, str(folder)], stdout=subprocess.DEVNULL)
        if killed < kills:
            try:
                child.wait(chance.uniform(*wait))
            except subprocess.TimeoutExpired:
                os.kill(child.pid, signal.SIGKILL)
                killed += 1
        if child.wait() == 0:
            return killed
        assert child.returncode == -signal.SIGKILL


def assert_exact(folder: Path, held: DemoCollection, museum: FaultyMuseum, killed: int) -> None:
    wanted = {
        held.met_record(i)["primaryImageSmall"]
        for i in held.ids
        if held.photographs(i) and not held.is_foreign(i)
    }
    stored = rows(folder, "SELECT url, file, sha256 FROM images WHERE state = 'stored'")
    assert {url for url, _, _ in stored} == wanted
    assert len(stored) == len(wanted)
    assert {file for _, file, _ in stored} == {
        f"images/{path.name}" for path in (folder / "images").iterdir()
    }
    for url, file, digest in stored:
        number, _, view = url.rpartition("/")[2].removesuffix(".jpg").partition("-")
        content = held.photograph(int(number), int(view), original=False)
        assert (folder / file).read_bytes() == content
        assert digest == hashlib.sha256(content).hexdigest()
    assert rows(folder, "SELECT state FROM images WHERE state != 'stored'") == []
    assert not any((folder / ".parts").iterdir())
    ended = dict(rows(folder, "SELECT state, count(*) FROM objects GROUP BY state"))
    assert set(ended) <= {"labelled", "refused", "unmapped"}
    assert sum(ended.values()) == len(held.ids)
    # Asked for again was only what a killed collector had asked for and not yet got.
    once = len(museum.asked)
    lists = museum.asked["/public/collection/v1/objects"]
    assert sum(museum.asked.values()) - lists <= once + killed * 2 * 2 * CONCURRENCY
    assert {path.name for path in folder.iterdir()} >= {"manifest.parquet", "ATTRIBUTION.md"}
    assert len(Manifest.read(folder)) == len(wanted)


def run(tmp_path: Path, images: int, *, kills: int, wait: tuple[float, float]) -> int:
    held = DemoCollection(images=images, picture_size=64, seed=1, painter=paint)
    museum = FaultyMuseum(answering(held))
    museum.keep_requests = False
    with serve(museum) as base:
        killed = collect_killing(base, tmp_path, kills=kills, wait=wait)
    assert_exact(tmp_path, held, museum, killed)
    return len(held.ids)


def test_three_kills_leave_no_trace(tmp_path: Path) -> None:
    run(tmp_path, 600, kills=3, wait=(1.2, 2.0))


@pytest.mark.slow
def test_twenty_thousand_objects_survive_kills_at_random_moments(tmp_path: Path) -> None:
    started = time.monotonic()
    assert run(tmp_path, 60_000, kills=6, wait=(3.0, 12.0)) >= 19_900
    print(f"{time.monotonic() - started:.0f} s")
