"""One tiny trained network for all tests of its answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import TINY


def command(*words: str) -> None:
    """Run ``heritage <verb> …`` in this process."""
    from hydra.core.global_hydra import GlobalHydra

    from heritage.__main__ import main

    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["heritage", *words])
        main()


@pytest.fixture(scope="session")
def runs(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, ``none`` and ``weights``, that differ in how they balance; read only."""
    folder = tmp_path_factory.mktemp("runs")
    for balance in ("none", "weights"):
        command("train", *TINY, f"data.root={tree}", "data.split.test=0.3", "trainer.max_epochs=2",
                "augment=none", f"balance={balance}",
                f"hydra.run.dir={folder / balance}")  # fmt: skip
    return folder
