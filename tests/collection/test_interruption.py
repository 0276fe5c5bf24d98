"""Runs that end by Ctrl-C or a crash, and the run after."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from heritage.collection.run import LOCK_FILE
from heritage.collection.storage import PhotoStorage
from heritage.core.locks import locked
from heritage.core.manifest import Manifest
from heritage.demo.server import Response
from heritage.errors import BusyError
from tests.collection import faults
from tests.collection.demo_collection import (
    assert_no_repeated_request,
    expected,
    names,
    objects_of,
    picture_path,
)
from tests.collection.faults import FaultyMuseum, png
from tests.collection.runs import met, printed, retry_policy, rows, rules, session


def test_a_second_collector_is_refused(base: str, tmp_path: Path) -> None:
    with locked(tmp_path / LOCK_FILE), pytest.raises(BusyError, match=f"process {os.getpid()}.*wait for it"):
        session(met(base), tmp_path).collect()


def test_ctrl_c_finishes_the_requests_in_flight(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    third = objects_of("orient")[2]

    def interrupt(response: Response) -> Response:
        os.kill(os.getpid(), signal.SIGINT)
        return response

    museum.once(picture_path(third), interrupt)
    with pytest.raises(KeyboardInterrupt, match="run the same command again"):
        session(met(base), tmp_path).collect()
    stored = {f for (f,) in rows(tmp_path, "SELECT file FROM images WHERE state = 'stored'")}
    assert {Path(f).name for f in stored} == {path.name for path in (tmp_path / "images").iterdir()}
    assert f"3_MET_{third}.jpg" in names(tmp_path)
    assert 0 < len(stored) < len(expected())
    assert len(Manifest.read(tmp_path)) == len(stored)
    session(met(base), tmp_path).collect()
    assert names(tmp_path) == {f"{rules().classes.index(c) + 1}_MET_{i}.jpg" for i, c in expected().items()}
    assert_no_repeated_request(museum)


def test_a_second_ctrl_c_stops_immediately(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    def interrupt(response: Response) -> Response:
        for after in (0.1, 0.4):
            threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT)).start()
        return faults.slow_drip(response)

    museum.always(picture_path(objects_of("orient")[2]), interrupt)
    waiting = retry_policy(total_timeout=60.0, read_timeout=60.0)
    run = session(met(base), tmp_path, retry_policy=waiting)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="run the same command again"):
        run.collect()
    assert time.monotonic() - started < 20
    assert printed(run).count("press Ctrl-C again to stop immediately") == 1
    assert printed(run).count("Stopping immediately") == 1


def test_a_crash_between_writing_and_renaming_is_recovered(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    stages = {"before the rename": "_rename", "after the rename": "end"}
    for number, stage in enumerate(stages):
        folder = tmp_path / str(number)
        rename = PhotoStorage._rename

        def crash(self: Any, image: Any, file: str, stage: str = stage, rename: Any = rename) -> None:
            if stage == "after the rename":
                rename(self, image, file)
            raise Crash

        with monkeypatch.context() as patch:
            patch.setattr(PhotoStorage, "_rename", crash)
            with pytest.raises(BaseExceptionGroup):
                session(met(base), folder, classes=["islam"]).collect()
        assert rows(folder, "SELECT count(*) FROM images WHERE state = 'writing'")[0][0] > 0
        museum.requested.clear()
        written = {u for (u,) in rows(folder, "SELECT url FROM images WHERE state = 'writing'")}
        session(met(base), folder, classes=["islam"]).collect()
        assert names(folder) == {f"4_MET_{i}.jpg" for i in objects_of("islam")}
        assert not any(museum.requested[u.removeprefix("http://museum.demo")] for u in written)


def test_a_crash_in_a_refresh_leaves_one_file(
    museum: FaultyMuseum, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(met(base), tmp_path, classes=["islam"]).collect()
    victim = objects_of("islam")[0]
    museum.always(picture_path(victim), faults.body(png(), "image/png"))

    class Crash(BaseException):
        pass

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(PhotoStorage, "_remove_predecessor", crash)
        with pytest.raises(BaseExceptionGroup):
            session(met(base), tmp_path, classes=["islam"], refresh=True).collect()
    both = {f"4_MET_{victim}.jpg", f"4_MET_{victim}.png"}
    assert both < {path.name for path in (tmp_path / "images").iterdir()}
    session(met(base), tmp_path, classes=["islam"]).collect()
    assert names(tmp_path) & both == {f"4_MET_{victim}.png"}
    assert (tmp_path / "images" / f"4_MET_{victim}.png").read_bytes() == png()


def test_a_deleted_photograph_is_fetched_again(museum: FaultyMuseum, base: str, tmp_path: Path) -> None:
    session(met(base), tmp_path, classes=["islam", "asian"]).collect()
    before, requested = names(tmp_path), museum.requested.copy()
    (file, path), *_ = rows(tmp_path, "SELECT file, url FROM images WHERE class = 'islam'")
    (tmp_path / file).unlink()
    run = session(met(base), tmp_path, classes=["islam", "asian"])
    run.collect()
    assert "1 stored photographs are missing" in printed(run)
    assert museum.requested - requested == {path.removeprefix("http://museum.demo"): 1}
    assert names(tmp_path) == before
    # The manifest does not list a missing file of a class that is not collected in this run either.
    (tmp_path / file).unlink()
    session(met(base), tmp_path, classes=["asian"]).collect()
    assert file not in Manifest.read(tmp_path).column("file")
