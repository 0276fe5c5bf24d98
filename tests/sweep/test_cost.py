"""`plan` counts the epochs that will run."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from heritage.core.console import Console
from heritage.sweep.cost import Cost, PlannedEpoch, Speed, _table, remaining_epochs
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
    cells = re.findall(
        r"^ *(\S.*?) +([\d.]+ M) +([\d,]+) +([\d,–]+) +((?:≤ )?\d+) +([\d.,–]+)"
        r" +([\d.,]+ .B) +([\d.,]+ .B) *$",
        text,
        re.MULTILINE,
    )
    (row,) = cells
    return list(row)


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


def test_a_plan_of_80_columns_shows_the_names_of_runs() -> None:
    speed = Speed(images_per_second=105.4, memory=1_290_000_000, checkpoint=60_000_000, device="cpu")
    epochs = (PlannedEpoch(10, 99_999, 0),) * 100
    cost = Cost(25_600_000, speed, epochs, early_stopping=True, test_images=0)
    job = SimpleNamespace(name="seed=0,balance=effective_number,model=resnet50")
    output = io.StringIO()
    Console(width=80, file=output).print(_table([cast("Any", job)], [cost], {job.name}))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    names = [line[:21].strip() for line in lines if re.match(r" \S", line)]
    assert len(names[2:]) == 3
    assert "".join(names[2:]) == job.name
