"""The training state of a checkpoint is checked against what was built, before a run resumes from it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

import heritage
from heritage.errors import CheckpointError
from heritage.training.resumed_state import ResumedState, _is_finite_like
from heritage.training.run import TrainingRun
from tests.conftest import TINY, Command

VIT = ("model=vit", "model.depth=1", "model.width=32", "model.heads=2", "optimizer=adamw")
Change = Callable[[dict[str, Any]], object]
Check = Callable[[Change], dict[str, Any]]


class StopInSecondEpoch(pl.Callback):
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


def words(tree: Path, folder: Path, *more: str) -> list[str]:
    return [*TINY, f"data.root={tree}", f"paths.run={folder}", "trainer.max_epochs=2",
            "trainer.limit_train_batches=2", *(more or VIT)]  # fmt: skip


def stopped_run(tree: Path, folder: Path, *more: str) -> TrainingRun:
    run = heritage.build(heritage.compose("train", words(tree, folder, *more)))
    run.trainer.callbacks.append(StopInSecondEpoch())  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    return run


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def stopped(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """Return a run that was stopped after its first epoch; do not change it."""
    return stopped_run(tree, tmp_path_factory.mktemp("stopped") / "run")


@pytest.fixture
def check(stopped: TrainingRun) -> Check:
    saved: dict[str, Any] = torch.load(last(stopped.folder), weights_only=True)

    def check(change: Change) -> dict[str, Any]:
        state = copy.deepcopy(saved)
        change(state)
        resumed, classifier = ResumedState(state, last(stopped.folder)), stopped.classifier
        resumed.check_progress(stopped.trainer)
        (optimizer,) = stopped.trainer.optimizers
        scheduler = stopped.trainer.lr_scheduler_configs[0].scheduler
        assert classifier._optimizer is not None
        resumed.check_optimizer(optimizer, scheduler, classifier._optimizer, classifier.net)
        return state

    return check


def test_a_sound_state_passes_unchanged(stopped: TrainingRun, check: Check) -> None:
    checked, saved = check(lambda state: None), torch.load(last(stopped.folder), weights_only=True)
    assert checked["loops"] == saved["loops"]
    assert groups(checked) == groups(saved)


def schedule(**values: Any) -> Change:
    return lambda state: state["lr_schedulers"][0].update(values)


def groups(state: dict[str, Any]) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = state["optimizer_states"][0]["param_groups"]
    return own


def group(number: int, **values: Any) -> Change:
    return lambda state: groups(state)[number].update(values)


def moments(change: Callable[[dict[int, dict[str, Any]]], object]) -> Change:
    return lambda state: change(state["optimizer_states"][0]["state"])


NAN = torch.full((6, 32), float("nan"))
FAULTS: dict[str, tuple[Change, str]] = {
    "short list": (schedule(base_lrs=[]), "lr_schedulers.0.base_lrs is not a list of 2"),
    "no list": (schedule(base_lrs=0.1), "lr_schedulers.0.base_lrs is not a list of 2"),
    "text in a list": (schedule(base_lrs=["a", 1.0]), "base_lrs.0 is no finite number"),
    "text for a count": (schedule(last_epoch="2"), "last_epoch is no whole number"),
    "no schedule": (lambda state: state.update(lr_schedulers=[]), "lr_schedulers is not a list of 1"),
    "no optimizer": (lambda state: state.pop("optimizer_states"), "optimizer_states is not a list of 1"),
    "text for a rate": (group(0, lr="fast"), "param_groups.0.lr is no finite number"),
    "NaN rate": (group(1, lr=float("nan")), "param_groups.1.lr is no finite number"),
    "negative rate": (group(0, lr=-0.5), "param_groups.lr is negative"),
    "beta of 1": (group(1, betas=(1.0, 0.9)), "param_groups.betas is not below 1"),
    "negative beta": (group(1, betas=(0.9, -3.0)), "param_groups.betas is negative"),
    "one parameter less": (group(0, params=[0]), "param_groups.0.params is not a list of"),
    "no rate": (lambda state: groups(state)[0].pop("lr"), "param_groups.0.lr is missing"),
    "one group": (lambda state: groups(state).pop(), "param_groups is not a list of 2"),
    "no moment": (moments(lambda own: own[1].pop("exp_avg")), "state.1.exp_avg is missing"),
    "shape": (moments(lambda own: own[1].update(exp_avg=NAN)), "state.1.exp_avg has shape [6, 32], its"),
    "infinite moment": (moments(lambda own: own[1]["exp_avg"].fill_(torch.inf)), "1.exp_avg is not finite"),
    "no parameter": (moments(lambda own: own.update({999: {}})), "state.999 belongs to no parameter"),
    "no moments": (moments(lambda own: own.clear()), "optimizer_states.0.state is empty"),
    "no loops": (lambda state: state.pop("loops"), "loops is missing"),
    "no fit loop": (lambda state: state["loops"].update(fit_loop={}), "epoch_progress is missing"),
    "a negative count": (
        lambda state: state["loops"]["fit_loop"]["epoch_progress"]["current"].update(completed=-1),
        "epoch_progress.current.completed is no whole number from 0"),
    "epochs that the run does not have": (
        lambda state: state["loops"]["fit_loop"]["epoch_progress"]["current"].update(processed=10**15),
        "epoch_progress.current.processed is 1,000,000,000,000,000, and this run has 2 epochs"),
    "a callback": (lambda s: s["callbacks"]["Meter"].update(images_seen="x"), ".images_seen is no whole"),
    "callbacks": (lambda state: state.update(callbacks=[1]), "callbacks is not a mapping"),
    "NaN weights": (lambda state: state["state_dict"].update({"net.head.weight": NAN}), "NaN or infinite"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_state_that_does_not_fit_is_named(check: Check, name: str) -> None:
    change, message = FAULTS[name]
    with pytest.raises(CheckpointError) as caught:
        check(change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_flags_of_another_machine_are_replaced(check: Check) -> None:
    kept: list[dict[str, Any]] = []

    def change(state: dict[str, Any]) -> None:
        kept.extend(groups(state))
        kept[0] |= {"fused": None, "foreach": True, "capturable": True}

    check(change)
    assert (kept[0]["fused"], kept[0]["foreach"], kept[0]["capturable"]) == (True, None, False)


def test_resuming_from_such_a_state_is_one_line(heritage: Command, tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stopped_run(tree, folder)
    sound = torch.load(last(folder), weights_only=True)
    broken = copy.deepcopy(sound)
    broken["lr_schedulers"][0]["base_lrs"] = []
    torch.save(broken, last(folder))
    done = heritage("train", *words(tree, folder), "resume=true")
    assert done.code == 2
    assert "lr_schedulers.0.base_lrs is not a list of 2; it is damaged or of another run" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("more", [
    ("model=resnet10t", "finetune=gradual", "optimizer=muon", "scheduler=one_cycle"),
    ("model=resnet10t", "optimizer=sgd", "scheduler=plateau", "callbacks=ema"),
], ids=["gradual", "ema"])  # fmt: skip
def test_other_runs_resume(tree: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    folder = tmp_path / "run"
    stopped_run(tree, folder, *more)
    resumed = heritage.build(heritage.compose("train", words(tree, folder, *more, "resume=true")))
    resumed.fit()
    assert (resumed.trainer.current_epoch, resumed.trainer.global_step) == (2, 4)


def test_a_schedule_that_ends_before_the_run_is_refused(tree: Path, tmp_path: Path) -> None:
    folder, more = tmp_path / "run", ("model=resnet10t", "optimizer=sgd", "scheduler=one_cycle")
    stopped_run(tree, folder, *more)
    state = torch.load(last(folder), weights_only=True)
    state["lr_schedulers"][0]["total_steps"] = 3
    torch.save(state, last(folder))
    resumed = heritage.build(heritage.compose("train", words(tree, folder, *more, "resume=true")))
    with pytest.raises(CheckpointError, match=r"total_steps ends after 3 steps, and this run has 4"):
        resumed.fit()


def test_a_best_value_may_be_infinite_and_not_nan() -> None:
    best = torch.tensor(-torch.inf)
    assert _is_finite_like(best, best)
    assert not _is_finite_like(torch.tensor(torch.nan), best)
    assert not _is_finite_like(best, torch.tensor(0.5))
