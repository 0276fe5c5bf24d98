"""`plan` counts the epochs that will run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heritage.sweep.cost import PlannedEpoch, Speed, remaining_epochs
from tests.conftest import Command


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing, and print wide tables."""
    monkeypatch.setattr("heritage.sweep.cost.measure", lambda run: Speed(100.0, 10**8, 10**7, "CPU"))
    monkeypatch.setenv("COLUMNS", "200")


def test_of_an_interrupted_run_the_epochs_that_are_left_are_counted() -> None:
    epochs = [PlannedEpoch(4, 40.0, 0), PlannedEpoch(4, 40.0, 5), PlannedEpoch(2, 20.0, 5)]
    assert remaining_epochs(epochs, 0) == tuple(epochs)
    assert remaining_epochs(epochs, 4) == tuple(epochs[1:])
    assert remaining_epochs(epochs, 5) == (PlannedEpoch(3, 30.0, 5), epochs[2])
    assert remaining_epochs(epochs, 10) == ()


def row(text: str) -> list[str]:
    """The cells of the plan's only row: job, params, images/s, images/epoch, epochs, hours, memory, disk."""
    (line,) = [line for line in text.splitlines() if re.search(r"│ +[\d.]+ M ", line)]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


@pytest.mark.parametrize(
    ("words", "images", "epochs"),
    [
        # the fixture `tree` has 54 training images: an epoch has 4 batches
        (["trainer.max_epochs=3", "trainer.limit_train_batches=0.5"], "27", "3"),
        (["trainer.max_epochs=9", "trainer.max_steps=6"], "54", "2"),
        (["trainer.max_epochs=1", "trainer.max_steps=6"], "54", "1"),
        (["trainer.max_epochs=1", "trainer.max_samples=130"], "54", "3"),
        (["trainer.max_epochs=3", "callbacks=early_stopping"], "54", "≤ 3"),
        (["trainer.max_epochs=3", "trainer.overfit_batches=1"], "14", "3"),
    ],
)
def test_a_plan_counts_the_epochs_that_will_run(
    heritage: Command,
    tiny: tuple[str, ...],
    words: list[str],
    images: str,
    epochs: str,
) -> None:
    given = {word.partition("=")[0] for word in words}
    base = [word for word in tiny if word.partition("=")[0] not in given | {"callbacks.progress"}]
    done = heritage("train", *base, *words, "plan=true")
    assert done.code == 0, done.err
    cells = row(done.out)
    assert cells[3:5] == [images, epochs]
    assert ("early stopping may end runs sooner" in done.out) == epochs.startswith("≤")


def test_a_resumed_run_is_planned_from_its_checkpoint(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    base = [word for word in tiny if not word.startswith("trainer.max_epochs")]
    run = tmp_path / "run"
    assert heritage("train", *base, "trainer.max_epochs=2", f"hydra.run.dir={run}").code == 0
    (run / "report.md").unlink()
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("max_epochs: 2", "max_epochs: 5"))
    done = heritage("train", *base, "trainer.max_epochs=5", f"resume={run}", "plan=true")
    assert done.code == 0, done.err
    assert row(done.out)[4] == "3"
