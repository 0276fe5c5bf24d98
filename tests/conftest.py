"""Fixtures of all tests: tiny data sets, and the command line run in this process."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("WANDB_MODE", "offline")
# Tiny networks gain nothing from a second thread, and on a busy machine threads that wait for each other make
# a run several times slower. Torch reads this when it is imported, also in subprocesses.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from heritage.core.image_io import encode_jpeg
from heritage.core.taxonomy import CLASSES

pytest_plugins = ["tests.blank_figures", "tests.error_messages", "tests.trained_networks"]

COUNTS = {"egyptian": 14, "grecoroman": 16, "orient": 20, "islam": 10, "byzantium": 8, "asian": 12}


def patch(class_index: int, seed: int, size: int = 40) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a noisy image with stripes whose angle depends on the class."""
    random = np.random.default_rng([class_index, seed])
    rows, columns = np.mgrid[0:size, 0:size]
    angle = np.pi * class_index / len(CLASSES)
    wave = np.sin((np.cos(angle) * rows + np.sin(angle) * columns) * 0.9 + random.uniform(0, 6))
    grey = 128 + 80 * wave + random.normal(0, 12, (size, size))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def write_tree(root: Path, counts: dict[str, int] = COUNTS) -> Path:
    """Write one folder of images for each class."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            picture = encode_jpeg(patch(CLASSES.index(name) if name in CLASSES else 0, number))
            (root / name / f"{number:03d}.jpg").write_bytes(picture)
    return root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of slow tests first, so that none of them runs alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Collect garbage less often: over all imported modules, it is a tenth of the time of many tests."""
    gc.set_threshold(20_000, 10, 50)


@pytest.fixture(scope="session", autouse=True)
def _composed_once() -> Iterator[None]:
    """Compose the configuration of a command once instead of twice.

    Hydra composes it a first time to read ``hydra.mode`` alone, which none of our files sets
    (`tests.config.test_composition`). Commands in separate processes do both.
    """
    from hydra._internal.hydra import Hydra

    whole = Hydra.get_mode

    def mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> Any:
        return whole(hydra, config_name, overrides) if "hydra.mode" in " ".join(overrides) else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "get_mode", mode)
        yield


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one folder of images for each class; read only."""
    return write_tree(tmp_path_factory.mktemp("tree") / "photographs")


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@contextmanager
def restored_logging() -> Iterator[None]:
    """Undo a command's changes to logging, which otherwise end with its process.

    A remaining handler would write into the deleted folder of an earlier test.
    """
    level = logging.root.level
    handlers = {logger: logger.handlers[:] for logger in loggers()}
    try:
        yield
    finally:
        for logger in loggers():
            before = handlers.get(logger, [])
            for handler in logger.handlers:
                if handler not in before:
                    handler.close()
            logger.handlers[:] = before
            logger.disabled = False
            if logger.name.startswith("heritage"):
                logger.setLevel(logging.NOTSET)
        logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    with restored_logging():
        yield


def mlcroissant() -> ModuleType:
    """Import mlcroissant so that Hydra, which closes all handlers of logging, closes no stream of pytest.

    Its logging library keeps the standard error of the moment when it is imported, and closes it with its
    handler unless that is the process's own.
    """
    imported = importlib.import_module("mlcroissant")
    importlib.import_module("absl.logging").get_absl_handler().python_handler.stream = sys.__stderr__
    return imported


def loggers() -> list[logging.Logger]:
    """Return all loggers, with the root logger."""
    named = logging.root.manager.loggerDict.values()
    return [logging.root, *(logger for logger in named if isinstance(logger, logging.Logger))]


@pytest.fixture
def heritage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs ``heritage <verb> …`` in this process and in a temporary folder."""
    from hydra.core.global_hydra import GlobalHydra

    from heritage.__main__ import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Outcome:
        capfd.readouterr()
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["heritage", *words])
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        else:
            code = 0
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


TINY = (
    "data=class_folders",
    "data.image_size=32",
    "data.batch_size=16",
    "data.num_workers=0",
    "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "callbacks.progress=null",
    "target_precision=null",
)
"""Overrides of a small training run."""


@pytest.fixture
def tiny(tree: Path) -> tuple[str, ...]:
    """Return overrides of a training run on `tree` that takes a second."""
    return (*TINY, f"data.root={tree}")
