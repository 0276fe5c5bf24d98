"""An interrupted run that is resumed ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from heritage.errors import CheckpointError
from heritage.runs.folders import run_folder
from heritage.runs.history import read_history
from heritage.runs.resume import differences, refuse_another_run
from heritage.training.callbacks.checkpoints import BestCheckpoint
from heritage.training.callbacks.safeguard import Safeguard
from tests.conftest import TINY, Command, write_tree


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)[
        "state_dict"
    ]
    return state


def assert_same(first: Path, second: Path) -> None:
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


def logged_steps(folder: Path) -> list[str]:
    with (folder / "logs" / "metrics.csv").open() as file:
        return [row["step"] for row in csv.DictReader(file)]


def start(folder: Path, words: list[str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "heritage.train", *words, f"hydra.run.dir={folder}"],
        cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def settings(tree: Path, workers: int) -> list[str]:
    """Return the command line of the run that is killed."""
    words = [word for word in TINY if "num_workers" not in word and "max_epochs" not in word]
    return [*words, f"data.root={tree}", "data.batch_size=4", "trainer.max_epochs=3", "model=vit",
            "model.depth=2", "model.dropout=0.1", "balance=oversample", "trainer.deterministic=true",
            f"data.num_workers={workers}"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float]:
    """Return a set of images, the folder of a run on it that was not killed, and the run's seconds."""
    folder = tmp_path_factory.mktemp("whole")
    counts = dict.fromkeys(("egyptian", "grecoroman", "orient", "islam", "byzantium", "asian"), 40)
    tree = write_tree(folder / "set", {**counts, "byzantium": 12})
    process = start(folder / "run", settings(tree, 2), folder)
    began = time.monotonic()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return tree, folder / "run", time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize(("blow", "workers"), [(signal.SIGKILL, 2), (signal.SIGINT, 0)])
def test_a_killed_run_resumes_bit_for_bit(
    tmp_path: Path, whole: tuple[Path, Path, float], blow: signal.Signals, workers: int
) -> None:
    tree, uninterrupted, seconds = whole
    words = settings(tree, workers)
    killed = tmp_path / "killed"

    # Somewhere after the first epoch's checkpoint, wherever the machine happens to be by then.
    process = start(killed, words, tmp_path)
    while not (killed / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    time.sleep(seconds * 0.05)
    os.killpg(process.pid, blow)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if blow == signal.SIGKILL else 2), err
    if blow == signal.SIGINT:
        saved = torch.load(killed / "checkpoints" / "last.ckpt", weights_only=True)
        steps = read_history(uninterrupted)[0]["step"]
        assert saved["global_step"] % steps, "the checkpoint must be of mid-epoch, or this tests nothing"

    process = start(killed, [*words, "resume=true"], tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert_same(uninterrupted, killed)
    kept = [{key: value for key, value in row.items() if not key.startswith("train/")}
            for row in read_history(killed)]  # fmt: skip
    expected = [{key: value for key, value in row.items() if not key.startswith("train/")}
              for row in read_history(uninterrupted)]  # fmt: skip
    assert kept == expected
    assert logged_steps(killed) == logged_steps(uninterrupted)


def test_resume_finds_the_newest_unfinished_run(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    done = heritage("train", *tiny, "resume=true")
    assert done.code == 2
    assert "no unfinished run of this command" in done.err

    words = (*tiny, "seed=5", "trainer.max_epochs=2")
    assert heritage("train", *words).code == 0
    run = next(tmp_path.glob("outputs/train/*/*"))
    (run / "report.md").unlink()
    done = heritage("train", *words, "resume=true")
    assert done.code == 0, done.err
    assert (run / "report.md").is_file()
    assert len(list(tmp_path.glob("outputs/train/*/*"))) == 1


def test_resume_finds_a_run_that_was_started_with_earlier_key_names(tmp_path: Path) -> None:
    record = tmp_path / "2024-01-01" / "10-00-00" / ".hydra" / "overrides.yaml"
    record.parent.mkdir(parents=True)
    record.write_text("- model=vit\n- wished_precision=0.8\n")
    root = OmegaConf.create(
        {"hydra": {"overrides": {"task": ["target_precision=0.8", "model=vit", "resume=true"]}}}
    )
    fresh = str(tmp_path / "2024-01-02" / "11-00-00")
    assert run_folder(True, fresh, _root_=root) == str(record.parent.parent)


def test_a_folder_without_a_run_is_not_resumed(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    done = heritage("train", *tiny, f"resume={folder}")
    assert done.code == 2
    assert f"resume={folder}: the folder holds no run; give a folder below outputs/" in done.err
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_lost_and_odd_files_of_a_run_are_named(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert heritage("train", *tiny, f"hydra.run.dir={folder}").code == 0
    config = (folder / "config.yaml").rename(tmp_path / "config.yaml")
    done = heritage("train", *tiny, f"resume={folder}")
    assert done.code == 2
    assert f"{folder}: the run has no config.yaml to compare this command with; restore" in done.err
    config.rename(folder / "config.yaml")
    for name in (".hydra/overrides.yaml", "checkpoints/last.ckpt"):
        path = folder / name
        kept = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        done = heritage("train", *tiny, f"resume={folder}")
        assert done.code == 2
        assert f"{path}: a pipe or device, where a run has a file" in done.err
        path.unlink()
        path.write_bytes(kept)
    assert heritage("train", *tiny, f"resume={folder}").code == 0


def test_a_run_is_neither_overwritten_nor_mixed_up(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    assert heritage("train", *tiny, f"hydra.run.dir={folder}").code == 0
    before = (folder / "checkpoints" / "last.ckpt").read_bytes()

    done = heritage("train", *tiny, f"hydra.run.dir={folder}")
    assert done.code == 2
    assert "already holds a run" in done.err
    done = heritage("train", *tiny, f"resume={folder}", "seed=9", "optimizer.lr=0.5")
    assert done.code == 2
    assert "seed: 0 → 9" in done.err
    assert "optimizer.lr: 0.002 → 0.5" in done.err
    done = heritage("train", *tiny, f"resume={tmp_path / 'nowhere'}")
    assert done.code == 2
    assert "no such run folder" in done.err
    assert (folder / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_run_resumes_where_it_was_moved_to_and_from_a_relative_folder(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    assert heritage("train", *tiny, "paths.run=w/run").code == 0
    folder = tmp_path / "w" / "run"
    assert (folder / ".hydra" / "overrides.yaml").is_file()
    for again in (["resume=w/run"], ["paths.run=w/run", "resume=true"]):
        (folder / "report.md").unlink()
        done = heritage("train", *tiny, *again)
        assert done.code == 0, done.err
        assert (folder / "report.md").is_file()
    done = heritage("train", *tiny, "paths.run=w/other", "resume=w/run")
    assert done.code == 2
    assert "another folder than the one to resume" in done.err
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    folder.rename(moved)
    done = heritage("train", *tiny, f"resume={moved}", "paths.outputs=new")
    assert done.code == 0, done.err
    assert not folder.exists()
    assert not (tmp_path / "outputs").exists()


def test_paths_below_the_runs_own_folders_are_no_difference() -> None:
    def config(run: str, outputs: str, weights: str) -> dict[str, Any]:
        paths = {"run": run, "outputs": outputs, "data": f"{outputs}/data"}
        return {"paths": paths, "callbacks": {"history": {"folder": run}}, "model": {"weights": weights}}

    before = config("/old/out/train/a", "/old/out", "/old/out/sweeps/b/checkpoints/best.ckpt")
    assert differences(before, config("w", "out", "out/sweeps/b/checkpoints/best.ckpt")) == []
    assert [
        str(one) for one in differences(before, config("w", "out", "out/sweeps/c/checkpoints/best.ckpt"))
    ] == [f"model.weights: {' → '.join(f'<paths.outputs>/sweeps/{x}/checkpoints/best.ckpt' for x in 'bc')}"]


def test_a_run_of_other_defaults_names_the_options_that_continue_it(tmp_path: Path) -> None:
    saved: dict[str, Any] = {
        "model": {"head": None, "name": "resnet18", "weights": "/w/a.pt"},
        "data": {"reader": {}, "split": {}, "root": "photographs"}, "optimizer": {"fused": True, "lr": 0.002},
        "balance": {}, "trainer": {"precision": "32-true"}, "seed": 0,
    }  # fmt: skip
    OmegaConf.save(OmegaConf.create(saved), tmp_path / "config.yaml")

    def message(**changed: Any) -> str:
        now = {**saved, "model": saved["model"] | {"margin": None}}
        now |= {name: values and now[name] | values for name, values in changed.items()}
        with pytest.raises(CheckpointError) as refused:
            refuse_another_run(tmp_path, now, "")
        return str(refused.value)

    text = message(model={"head": "cosine", "name": "vit"}, optimizer={"fused": False, "lr": 1e-5})
    assert "model.head: null → cosine" in text
    remedy = "add model.head=null model.name=resnet18 optimizer.fused=true optimizer.lr=0.002 to continue it"
    assert remedy in text
    for other in (
        {"model": {"weights": "/w/b.pt", "head": "cosine"}},  # a path may need quotes
        {"optimizer": {"_target_": "other"}},  # another option of a group
        {"balance": None},
        {"optimizer": {"fused": [1]}},
    ):
        assert "use the same options, or start a new run" in message(**other)


def test_the_best_value_of_a_moved_run_is_kept(tmp_path: Path) -> None:
    before, after = (
        BestCheckpoint("val/accuracy", "max", folder=str(tmp_path / name)) for name in ("old", "new")
    )
    path = f"{before.dirpath}/best.ckpt"
    before.best_model_path = before.kth_best_model_path = path
    before.best_k_models = {path: torch.tensor(0.75)}
    before.best_model_score = before.kth_value = torch.tensor(0.75)
    after.load_state_dict(before.state_dict())
    assert after.best_model_score == after.kth_value == 0.75
    assert [*after.best_k_models, after.best_model_path] == [str(tmp_path / "new/checkpoints/best.ckpt")] * 2


@pytest.mark.parametrize(
    ("words", "stop"),
    [
        (("scheduler=plateau", "scheduler.patience=1", "optimizer.lr=1e-6"), (1, None)),
        (("scheduler=plateau", "scheduler.patience=1", "optimizer.lr=1e-6"), (1, -1)),
        (("callbacks=ema", "finetune=gradual", "model=resnet10t"), (0, -1)),
    ],
)
def test_nothing_is_left_out_at_an_epochs_end(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], stop: tuple[int, int | None],
) -> None:  # fmt: skip
    """Stopped in the last step of an epoch (-1), or while the epoch ends (None)."""
    given = [word for word in tiny if "max_epochs" not in word]
    given += ["trainer.max_epochs=4", "model=vit", "model.depth=1", *words]
    if "model=resnet10t" in words:
        given = [word for word in given if word not in ("model=vit", "model.depth=1")]
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    assert heritage("train", *given, f"hydra.run.dir={whole}").code == 0

    batch_end, epoch_end = Safeguard.on_train_batch_end, Safeguard.on_train_epoch_end

    def hear(guard: Safeguard, trainer: Any, batch: int | None) -> None:
        if (trainer.current_epoch, batch) == stop:
            guard._handle(signal.SIGTERM, None)

    def after_batch(
        guard: Safeguard, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        hear(guard, trainer, index - trainer.num_training_batches)
        batch_end(guard, trainer, module, outputs, batch, index)

    def after_epoch(guard: Safeguard, trainer: Any, module: Any) -> None:
        hear(guard, trainer, None)
        epoch_end(guard, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(Safeguard, "on_train_batch_end", after_batch)
        patch.setattr(Safeguard, "on_train_epoch_end", after_epoch)
        done = heritage("train", *given, f"hydra.run.dir={halted}")
        assert done.code == 2, done.err
        assert "stopped by SIGTERM" in done.err
    assert len(read_history(halted)) == stop[0] + 1
    done = heritage("train", *given, f"hydra.run.dir={halted}", "resume=true")
    assert done.code == 0, done.err
    assert_same(whole, halted)
    kept, expected = (
        [{name: row[name] for name in row if "per_second" not in name and "wait" not in name} for row in rows]
        for rows in (read_history(halted), read_history(whole))
    )
    assert kept == expected
    assert logged_steps(halted) == logged_steps(whole)
    if "scheduler=plateau" in words:
        assert len({row["lr"] for row in expected}) > 1, (
            "the schedule must lower the rate, or this tests nothing"
        )


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("report.md", "folder", "a folder is in the place of a file; remove it, or choose another folder"),
        ("train.log", "folder", "a folder is in the place of a file; remove it, or choose another folder"),
        ("logs", "file", "a file is in the place of a folder; remove it, or choose another folder"),
        (".hydra", "file", "a file is in the place of a folder; remove it, or choose another folder"),
        ("", "loop", "a file is in the place of a folder; remove it, or choose another folder"),
    ],
)
def test_what_is_in_the_place_of_a_runs_files_is_named(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, name: str, kind: str, message: str
) -> None:
    folder = tmp_path / "run"
    path = folder / name if name else folder
    if kind == "folder":
        path.mkdir(parents=True)
    elif kind == "file":
        folder.mkdir()
        path.write_text("mine")
    else:
        path.symlink_to("run")
    done = heritage("train", *tiny, f"paths.run={folder}", "trainer.limit_train_batches=1")
    assert done.code == 2, done.err
    last = done.err.strip().splitlines()[-1]
    assert last.startswith(f"heritage train: {path}")
    assert message in last
    assert "Traceback" not in done.err
