"""Fine-tuning, moving averages and schedules through the real command."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from heritage.runs.history import read_history
from heritage.training import lr_finder
from tests.conftest import Command


def last(folder: Path) -> dict[str, object]:
    state: dict[str, object] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return state


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return last(folder)["state_dict"]  # type: ignore[return-value]


def test_only_the_head_trains(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    runs = []
    for epochs in (1, 3):
        folder = tmp_path / f"run{epochs}"
        done = heritage(
            "train",
            *tiny,
            f"hydra.run.dir={folder}",
            "finetune=head",
            "model=resnet18",
            f"trainer.max_epochs={epochs}",
        )
        assert done.code == 0, done.err
        assert "training the classifier and 0 of 40 layers" in done.out
        runs.append(weights(folder))
    moved = {name for name in runs[0] if not torch.equal(runs[0][name], runs[1][name])}
    assert moved == {"net.fc.weight", "net.fc.bias"}, "frozen norms keep their running statistics"


@pytest.mark.parametrize("model", ["resnet18", "vit"])
def test_only_the_reset_classifier_trains(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, model: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    done = heritage("train", *tiny, f"model={model}", f"hydra.run.dir={first}")
    assert done.code == 0, done.err
    ckpt = first / "checkpoints" / "last.ckpt"
    still = ("optimizer.lr=1e-12", "scheduler=constant", "trainer.max_epochs=1")  # the start is what is seen
    done = heritage("train", *tiny, f"model={model}", "+experiment=crt", f"model.weights={ckpt}", *still,
                    f"hydra.run.dir={second}")  # fmt: skip
    assert done.code == 0, done.err
    before, after = weights(first), weights(second)
    head = {"net.fc.weight", "net.fc.bias"} if model == "resnet18" else {"net.head.weight", "net.head.bias"}
    assert {name for name in before if not torch.allclose(before[name], after[name], atol=1e-6)} == head


def test_gradual_unfreezing_adds_a_block_per_epoch(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folders = []
    for epochs in (1, 2):
        folder = tmp_path / f"run{epochs}"
        words = ("finetune=gradual", "model=resnet18", "scheduler=constant", f"trainer.max_epochs={epochs}")
        done = heritage("train", *tiny, f"hydra.run.dir={folder}", *words)
        assert done.code == 0
        assert ("epoch 2: training the classifier and 1 of" in done.out + done.err) == (epochs == 2)
        folders.append(weights(folder))
    one, two = folders
    moved = {
        name.split(".")[1] + "." + name.split(".")[2] for name in one if not torch.equal(one[name], two[name])
    }
    assert moved == {"fc.weight", "fc.bias", "layer4.1"}
    name = "net.layer4.1.bn1.running_mean"
    assert not torch.equal(one[name], two[name]), "a norm that is freed takes its statistics of the data"
    refused = heritage("train", *tiny, "finetune=last_n", "finetune.unfreeze_every=1")
    assert refused.code == 2
    assert "set finetune.depth=head" in refused.err


def test_the_average_is_saved_and_tested(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = heritage("train", *tiny, f"hydra.run.dir={folder}", "callbacks=ema", "model=resnet18",
                    "callbacks.ema.decay=0.9", "trainer.max_epochs=2")  # fmt: skip
    assert done.code == 0, done.err
    state = last(folder)
    average, current = state["state_dict"], state["current_model_state"]
    assert isinstance(average, dict)
    assert isinstance(current, dict)
    assert not torch.equal(average["net.conv1.weight"], current["net.conv1.weight"])


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        *itertools.product(["adam", "sgd", "adamw", "muon"], ["cosine"]),
        *itertools.product(["adamw"], ["constant", "one_cycle", "plateau"]),
        *itertools.product(["sgd", "muon"], ["one_cycle"]),  # each sets its momentum in a way of its own
    ],
)
def test_every_optimizer_and_schedule(
    heritage: Command, tiny: tuple[str, ...], optimizer: str, scheduler: str
) -> None:
    words = ("model=vit", "model.depth=1", "optimizer.layer_decay=0.7", "augment/mix=both")
    done = heritage("train", *tiny, f"optimizer={optimizer}", f"scheduler={scheduler}", *words)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "words", [("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3"),
              ("trainer.max_epochs=null", "trainer.max_steps=2")]
)  # fmt: skip
def test_a_plateau_waits_for_the_next_validation(
    heritage: Command, tiny: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = heritage("train", *tiny, "scheduler=plateau", *words)
    assert done.code == 0, done.err


@pytest.mark.usefixtures("drawn_figures")
def test_the_learning_rate_finder_suggests_and_stops(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lr_finder, "_STEPS", 30)
    done = heritage("train", *tiny, "lr_find=true", "model=vit", "model.depth=1", "data.batch_size=4")
    assert done.code == 0, done.err
    assert "suggested learning rate: optimizer.lr=" in done.out
    assert len(list(tmp_path.glob("outputs/train/*/*/lr_finder.png"))) == 1
    assert not list(tmp_path.glob("outputs/train/*/*/report.md"))


def test_a_contact_sheet_is_drawn(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    done = heritage("train", *tiny, "contact_sheet=true", "augment=strong", "augment/mix=mixup")
    assert done.code == 0, done.err
    assert len(list(tmp_path.glob("outputs/train/*/*/contact_sheet.png"))) == 1


def test_the_debug_trainer_overfits_one_batch(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("trainer.max_epochs=12", "trainer.check_val_every_n_epoch=12", "data.batch_size=4",
             "optimizer.lr=0.01", "scheduler=constant", "balance.loss.label_smoothing=0")  # fmt: skip
    done = heritage("train", *tiny, "trainer=debug", *words)
    assert done.code == 0, done.err
    history = read_history(next(tmp_path.glob("outputs/train/*/*")))
    assert history[-1]["step"] == 12, "one batch of each epoch"
    losses = [row["train/loss"] for row in history]
    assert losses[0] > 1
    assert losses[-1] < 0.05


def test_gradual_unfreezing_needs_synchronised_gradients(heritage: Command, tiny: tuple[str, ...]) -> None:
    done = heritage("train", *tiny, "finetune=gradual", "trainer.devices=2")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "trainer.strategy=ddp_find_unused_parameters_true" in done.err


def test_epochs_are_counted_in_a_run_limited_by_steps(heritage: Command, tiny: tuple[str, ...]) -> None:
    words = [word for word in tiny if "progress" not in word]
    done = heritage("train", *words, "trainer.max_epochs=null", "trainer.max_steps=2")
    assert done.code == 0, done.err
    assert "epoch   1/1  loss" in done.err
