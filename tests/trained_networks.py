"""Fixtures: tiny networks, trained once, and valid and damaged images."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from heritage.core.console import Console
from heritage.core.files import config_dir
from heritage.core.image_io import encode_jpeg
from heritage.metrics.calibration import Calibration, FittedOn, HeldOut
from heritage.runs.calibration import write_calibration
from tests.conftest import TINY, patch, restored_logging


def command(*words: str) -> None:
    """Run ``heritage <verb> …`` in this process."""
    from hydra.core.global_hydra import GlobalHydra

    from heritage.__main__ import main

    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch, restored_logging():
        patch.setattr(sys, "argv", ["heritage", *words])
        main()


@pytest.fixture(scope="session")
def runs(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs, ``none`` and ``weights``, that differ in ``balance``; read only."""
    folder = tmp_path_factory.mktemp("runs")
    for balance in ("none", "weights"):
        command("train", *TINY, f"data.root={tree}", "data.split.test=0.3", "trainer.max_epochs=2",
                "augment=none", f"balance={balance}",
                f"hydra.run.dir={folder / balance}")  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def run_folder(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a network trained on `tree` for some epochs; read only."""
    from heritage.config.register import register
    from heritage.training.fit import train

    folder = tmp_path_factory.mktemp("runs") / "run"
    words = [*TINY, "trainer.max_epochs=4", f"data.root={tree}", f"paths.run={folder}"]
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        train(compose("train", overrides=words), Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def calibrated(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of `run_folder` with a calibration under which some predictions are unsure."""
    folder = tmp_path_factory.mktemp("runs") / "calibrated"
    shutil.copytree(run_folder, folder)
    fitted = Calibration(2.0, 0.5, 0.9, FittedOn("val", 100, "x", 60), 0.2, 0.1, HeldOut(5, 0.2, 0.08))
    write_calibration(fitted, folder)
    return folder


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Return a folder with six images, one of them in a subfolder, and three files that are no images."""
    folder = tmp_path / "photographs"
    (folder / "more").mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(patch(number, 99)))
    (folder / "more" / "5, with comma.jpg").write_bytes(encode_jpeg(patch(5, 99)))
    (folder / "cut.jpg").write_bytes(encode_jpeg(patch(0, 99))[:200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    (folder / "notes.md").write_text("not even called one")
    return folder
