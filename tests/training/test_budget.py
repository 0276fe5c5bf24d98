"""The length of a run with epochs of changing length, or limited by images or steps."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from heritage.runs.history import read_history
from tests.conftest import Command


def images_seen(folder: Path) -> int:
    return int((folder / "report.md").read_text().split(" images seen")[0].split()[-1].replace(",", ""))


def shown(folder: Path) -> int:
    counts: dict[str, int] = json.loads((folder / "data.json").read_text())["counts"]["shown"]
    return sum(counts.values())


def test_a_run_too_short_for_its_sampling_is_warned_of(
    heritage: Command, tiny: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    done = heritage(
        "train", *tiny, "balance=progressive", "balance.sampling.epochs=5", "trainer.max_samples=70"
    )
    assert done.code == 0, done.err
    assert "set balance.sampling.epochs=2" in caplog.text + done.out + done.err


def test_weights_by_hand_can_be_combined_with_progressive_sampling(
    heritage: Command, tiny: tuple[str, ...]
) -> None:
    done = heritage("train", *tiny, "balance=progressive", "balance/weighting=by_hand",
                    "balance.weighting.weights={byzantium: 2}", "trainer.max_samples=20")  # fmt: skip
    assert done.code == 0, done.err


@pytest.mark.parametrize("balance", ["none", "undersample", "oversample", "ldam_drw", "progressive"])
def test_runs_stop_at_the_same_number_of_images(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, balance: str
) -> None:
    folder = tmp_path / "run"
    done = heritage("train", *tiny, f"balance={balance}", "trainer.max_samples=150", "data.batch_size=8",
                    f"hydra.run.dir={folder}")  # fmt: skip
    assert done.code == 0, done.err
    assert 150 <= images_seen(folder) < 150 + 8
    history = read_history(folder)
    assert len(history) == -(-150 // shown(folder)), "the last epoch is validated though it is cut short"
    assert all("val/macro_f1" in row for row in history)
    assert history[-1]["lr"] < 0.2 * max(row["lr"] for row in history), "the schedule ends with the run"


def test_epochs_may_change_their_length(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("balance/sampling=undersample_progressive", "balance.sampling.first=3", "trainer.max_epochs=3",
             "data.batch_size=8", f"hydra.run.dir={folder}")  # fmt: skip
    done = heritage("train", *tiny, *words)
    assert done.code == 0, done.err
    counts = json.loads((folder / "data.json").read_text())["counts"]["train"].values()
    smallest = min(counts)
    limits = [int(smallest * ratio + 1e-6) for ratio in (3, 3**0.5, 1)]
    epochs = [sum(min(count, limit) for count in counts) for limit in limits]
    assert len(set(epochs)) == 3
    assert images_seen(folder) == sum(epochs)
    steps = [row["step"] for row in read_history(folder)]
    assert steps == [sum(-(-n // 8) for n in epochs[: k + 1]) for k in range(3)]


def test_a_run_shorter_than_an_epoch_is_validated(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    rare = "trainer.check_val_every_n_epoch=4"
    done = heritage("train", *tiny, "trainer.max_steps=2", rare, f"hydra.run.dir={folder}")
    assert done.code == 0, done.err
    assert (folder / "checkpoints" / "best.ckpt").is_file()
    assert read_history(folder)[0]["step"] == 2


def test_the_last_epoch_is_always_validated(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rare = ("trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2")
    done = heritage("train", *tiny, *rare, f"hydra.run.dir={folder}")
    assert done.code == 0, done.err
    rows = read_history(folder)
    assert [row["epoch"] for row in rows if "val/macro_f1" in row] == [1, 3, 4], "no row repeats another's"
    assert "epochs" in json.loads((folder / "metrics.json").read_text())["facts"]["tested"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("trainer.max_samples=0",), "trainer.max_samples=0"),
        (("trainer.max_steps=0",), "a run needs at least one step"),
        (("trainer.limit_val_batches=0", "callbacks=early_stopping"), "early stopping needs validation"),
        (("+trainer.extra.max_time=5",), "trainer"),
        (("model=timm", "model.name=resnet18.", "model.weights=none"), "ends in a dot"),
        (("trainer.max_samples=100", "trainer.max_steps=5"), "both limit the run"),
        (("trainer.max_samples=100", "trainer.limit_train_batches=2"), "trainer.limit_train_batches=2"),
        (
            ("trainer.max_samples=100", "trainer.overfit_batches=1"),
            "counts whole epochs, and this limits them",
        ),
        (("balance/schedule=deferred",), "no class weights to defer"),
        (("balance=progressive", "balance/weighting=inverse"), "use the first epoch's counts"),
        (("balance=progressive", "balance/loss=balanced_softmax"), "use the first epoch's counts"),
    ],
)
def test_contradictory_settings_are_refused(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    done = heritage("train", *tiny, *words)
    assert done.code == 2
    assert expected in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("outputs/train/*/*/checkpoints")), "refused before anything is trained"


class Stop(Callback):
    """Sends this process a signal after a step or a validation that the environment names."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if os.environ.get("STOP") == f"step {trainer.global_step}":
            os.kill(os.getpid(), signal.SIGINT)

    def on_validation_end(self, trainer: pl.Trainer, *_: object) -> None:
        if os.environ.get("STOP") == f"epoch {trainer.current_epoch}":
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("budget", "sampling"),
    [("trainer.max_steps=19", "progressive"), ("trainer.max_samples=150", "undersample_progressive")],
)
def test_a_run_limited_by_images_or_steps_resumes(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: str,
    sampling: str,
) -> None:  # fmt: skip
    words = [*(word for word in tiny if "max_epochs" not in word), budget, f"balance/sampling={sampling}",
             "balance.sampling.epochs=3", "trainer.max_epochs=null", "data.batch_size=8", "logger=none",
             f"+callbacks.stop._target_={__name__}.Stop"]  # fmt: skip
    ends = []
    for where in ("", "epoch 0", "step 10"):
        folder = tmp_path / (where or "whole")
        monkeypatch.setenv("STOP", where)
        done = heritage("train", *words, f"hydra.run.dir={folder}")
        assert done.code == (2 if where else 0), done.err
        if where:
            monkeypatch.setenv("STOP", "")
            done = heritage("train", *words, f"resume={folder}")
            assert done.code == 0, done.err
        state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        ends.append((state, images_seen(folder), [row["step"] for row in read_history(folder)]))
    (state, *figures), *others = ends
    for other, *theirs in others:
        assert theirs == figures
        assert [name for name in state if not torch.equal(state[name], other[name])] == []
