"""SIGKILL at random times: nothing is lost or fetched twice, and no file is incomplete."""

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
from heritage.demo.collection import DemoCollection
from heritage.demo.museum import request_handler
from heritage.demo.server import serve
from tests.collection.faults import FaultyMuseum, jpeg
from tests.collection.runs import rows

CONCURRENCY = 4
PICTURES = [jpeg(number, 72) for number in range(64)]

# Its arguments are the address of a museum and the folder of a collection.
CHILD = """
import sys
from pathlib import Path
from tests.collection.runs import met, retry_policy, session
slow = retry_policy(read_timeout=60.0, total_timeout=60.0, connect_timeout=60.0)
session(met(sys.argv[1]), Path(sys.argv[2]), retry_policy=slow).collect()
"""


def render(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """Return one of a few images with unique bytes appended, so that all digests differ."""
    return PICTURES[(index + view) % len(PICTURES)] + f"{class_name}/{index}/{view}".encode()


def collect_with_kills(base: str, folder: Path, *, kills: int, wait: tuple[float, float]) -> int:
    """Run collectors one after the other and kill all but the last; return the number of kills."""
    rng = random.Random(7)
    killed = 0
    while True:
        child = subprocess.Popen([sys.executable, "-c", CHILD, base, str(folder)], stdout=subprocess.DEVNULL)
        if killed < kills:
            try:
                child.wait(rng.uniform(*wait))
            except subprocess.TimeoutExpired:
                os.kill(child.pid, signal.SIGKILL)
                killed += 1
        if child.wait() == 0:
            return killed
        assert child.returncode == -signal.SIGKILL


def expected(collection: DemoCollection) -> list[str]:
    """Return the URLs of the photographs that a complete collection has."""
    usable = [i for i in collection.ids if collection.photographs(i) and not collection.is_foreign(i)]
    return sorted({collection.met_record(i)["primaryImageSmall"] for i in usable})


def assert_exact(folder: Path, collection: DemoCollection, museum: FaultyMuseum, killed: int) -> None:
    stored = rows(folder, "SELECT url, file, sha256 FROM images WHERE state = 'stored'")
    assert sorted(url for url, _, _ in stored) == expected(collection)
    assert {file for _, file, _ in stored} == {
        f"images/{path.name}" for path in (folder / "images").iterdir()
    }
    for url, file, digest in stored:
        number, _, view = url.rpartition("/")[2].removesuffix(".jpg").partition("-")
        content = collection.photograph(int(number), int(view), original=False)
        assert (folder / file).read_bytes() == content
        assert digest == hashlib.sha256(content).hexdigest()
    assert rows(folder, "SELECT state FROM images WHERE state != 'stored'") == []
    assert not any((folder / ".parts").iterdir())
    ended = dict(rows(folder, "SELECT state, count(*) FROM objects GROUP BY state"))
    assert set(ended) <= {"labelled", "refused", "unmapped"}
    assert sum(ended.values()) == len(collection.ids)
    # Repeated requests are those in flight when a collector was killed.
    once = len(museum.requested)
    lists = museum.requested["/public/collection/v1/objects"]
    assert sum(museum.requested.values()) - lists <= once + killed * 2 * 2 * CONCURRENCY
    assert {path.name for path in folder.iterdir()} >= {"manifest.parquet", "ATTRIBUTION.md"}


def run(tmp_path: Path, images: int, *, kills: int, wait: tuple[float, float]) -> DemoCollection:
    """Collect a museum with interruptions, check the result, and return the museum's collection."""
    collection = DemoCollection(images=images, picture_size=64, seed=1, renderer=render)
    museum = FaultyMuseum(request_handler(collection))
    museum.keep_requests = False
    with serve(museum) as base:
        killed = collect_with_kills(base, tmp_path, kills=kills, wait=wait)
    assert_exact(tmp_path, collection, museum, killed)
    return collection


def test_three_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    collection = run(tmp_path, 600, kills=3, wait=(1.2, 2.0))
    assert len(Manifest.read(tmp_path)) == len(expected(collection))


@pytest.mark.slow
def test_twenty_thousand_objects_survive_kills_at_random_moments(tmp_path: Path) -> None:
    started = time.monotonic()
    collection = run(tmp_path, 60_000, kills=6, wait=(3.0, 12.0))
    assert len(collection.ids) >= 19_900
    assert len(Manifest.read(tmp_path)) == len(expected(collection))
    print(f"{time.monotonic() - started:.0f} s")
