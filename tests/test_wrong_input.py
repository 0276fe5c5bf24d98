"""Wrong input ends in one line (what is wrong, where, and the remedy) and in exit code 2."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import COUNTS, TINY, Command, write_tree


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["modle=vit"], ["modle=vit", "did you mean 'model'?"]),
        (["model=vit", "model.dpeth=3"], ["model.dpeth=3", "did you mean 'depth'?"]),
        (["model=vti"], ["model=vti", "did you mean 'vit'?"]),
        (["balance=oversampel"], ["did you mean 'oversample'?"]),
        (["balance.sampling.rato=2", "balance=undersample"], ["did you mean 'ratio'?"]),
        (["trainer.max_epochs=ten"], ["trainer.max_epochs=ten", "integer"]),
        (["seed=abc"], ["seed=abc", "Integer"]),
        (["data=class_folders", "data.root=/nowhere"], ["/nowhere", "no such folder", "data.root"]),
        (["data=class_folders"], ["data.root has no value"]),
        (["data=folder", "data.root=."], ["not a data-set folder", "curate"]),
        (["data.batch_size=0"], ["data.batch_size=0", "greater than or equal to 1"]),
        (["data.batch_size"], ["data.batch_size", "write data.batch_size=<value>"]),
        (["data.crop_pct=1.5"], ["data.crop_pct=1.5"]),
        (["optimizer.lr=-1"], ["optimizer.lr=-1", "greater than 0"]),
        (
            ["optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=true"],
            ["set optimizer.momentum=0.9"],
        ),
        (["trainer.accelerator=gpuu"], ["trainer.accelerator=gpuu", "'gpu'"]),
        (["+trainer.extra.profilr=simple"], ["trainer.extra.profilr", "did you mean 'profiler'?"]),
        (["+trainer.extra.logger=false"], ["trainer.extra.logger", "choose logger="]),
        (["+trainer.extra.gradient_clip_algorithm=value"], ["gradient_clip_algorithm", "by their norm"]),
        (["+trainer.extra.benchmark=perhaps", "trainer.devices=-1"], ["trainer.devices=-1"]),
        (["+trainer.extra.benchmark=perhaps"], ["trainer.extra.benchmark=perhaps", "valid boolean"]),
        (
            ["+trainer.extra.val_check_interval=5000"],
            ["val_check_interval=5000", "check_val_every_n_epoch=2"],
        ),
        (["trainer.limit_train_batches=0.01"], ["trainer.limit_train_batches=0.01", "as a whole number"]),
        (["trainer.limit_val_batches=0.01"], ["trainer.limit_val_batches=0.01", "as a whole number"]),
        (["callbacks=[ema,early_stoping]"], ["callbacks=early_stoping", "did you mean 'early_stopping'?"]),
        (["+experiment=nothing"], ["experiment"]),
        (["callbacks.best.monitor=val/loss"], ["callbacks.best.mode=max", "val/loss is best at its minimum"]),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.mode=min"],
            ["callbacks.early_stopping.mode=min: val/macro_f1 is best at its maximum; set it to max"],
        ),
        (
            ["callbacks.best.monitor=val/macro_f2"],
            ["callbacks.best.monitor=", "val/macro_f2", "did you mean 'val/macro_f1'?"],
        ),
        (["trainer.devices=[0]"], ["trainer.devices=[0]", "give a number of processes"]),
        (["trainer.limit_train_batches=0"], ["trainer.limit_train_batches=0", "greater than"]),
        (["trainer.strategy=nonsense"], ["trainer.strategy=nonsense"]),
        (["trainer.precision=16-mixed"], ["trainer.precision=16-mixed", "bf16-mixed"]),
        (["model=vit", "recipe=adamw_vti"], ["recipe=adamw_vti", "did you mean 'adamw_vit'?"]),
        (["callbacks=device_stats", "logger=none"], ["device statistics need a logger", "logger=csv"]),
        (["balance=oversample", "balance.sampling.classes=[byzantine]"], ["did you mean byzantium?"]),
        (["balance/weighting=by_hand", "balance.weighting.weights={egypt: 2}"], ["did you mean egyptian?"]),
        (
            ["balance=oversample", "balance.sampling.classes=[]"],
            ["balance.sampling.classes=[]", "at least 1"],
        ),
        (
            ["balance=oversample", "balance.sampling.target=1e15"],
            ["balance.sampling.target=1e+15", "largest"],
        ),
        (["+experiment=crt"], ["model.weights=none", "no features", "checkpoints/best.ckpt"]),
        (["data/split=whole"], ["data/split", "no image to train on", "data/split=group"]),
        (["augment.train.flip=2"], ["augment.train.flip=2"]),
        (["model=resnet50", "model.weights=/no/such/file.safetensors"], ["/no/such/file.safetensors"]),
    ],
)
def test_one_line_and_exit_code_2(
    heritage: Command, tree: Path, words: list[str], expected: list[str]
) -> None:
    given = " ".join(words)
    base = [word for word in TINY if not any(word.split("=")[0] == key.split("=")[0] for key in words)]
    if "data=" not in given:
        base.append(f"data.root={tree}")
    done = heritage("train", *base, *words)
    assert done.code == 2
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("heritage train: ")
    for part in expected:
        assert part.replace("'", "") in lines[0].replace("'", "")


def test_several_faults_are_reported_at_once(heritage: Command, tree: Path) -> None:
    done = heritage("train", "data=class_folders", f"data.root={tree}", "data.batch_size=0",
                    "optimizer.lr=-1", "trainer.max_epochs=ten")  # fmt: skip
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 3


def test_an_unknown_command_names_the_nearest(heritage: Command) -> None:
    done = heritage("trian")
    assert (done.code, done.err) == (2, "heritage: there is no command 'trian'; did you mean 'train'?\n")
    assert "train" in heritage().out


def test_classes_that_cannot_be_learnt_are_rejected(heritage: Command, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "set", {**COUNTS, "byzantium": 0})
    done = heritage("train", *TINY, f"data.root={tree}", "data.classes=[egyptian,byzantium]")
    assert done.code == 2
    assert "no image of byzantium" in done.err

    only = write_tree(tmp_path / "one", {"egyptian": 12})
    done = heritage("train", *TINY, f"data.root={only}", "data.classes=[egyptian]")
    assert done.code == 2
    assert "only one class" in done.err

    unknown = write_tree(tmp_path / "unknown", {"egyptian": 5, "islamic": 5})
    done = heritage("train", *TINY, f"data.root={unknown}", "data.classes=[egyptian,islam]")
    assert done.code == 2
    assert "unknown class 'islam' in data.classes (did you mean islamic?)" in done.err
    assert "there are images of 'egyptian' (5 images), 'islamic' (5 images)" in done.err

    few = write_tree(tmp_path / "few", {**COUNTS, "byzantium": 2})
    done = heritage("train", *TINY, f"data.root={few}")
    assert done.code == 2
    assert "byzantium" in done.err
    assert "split" in done.err


def test_a_missing_file_is_named_before_training(heritage: Command, tmp_path: Path) -> None:
    root = tmp_path / "set"
    images = write_tree(root / "images")
    rows = [f"{path.relative_to(images).as_posix()},{path.parent.name}" for path in images.rglob("*.jpg")]
    (root / "metadata.csv").write_text("\n".join(["file,class", *rows, "egyptian/gone.jpg,egyptian"]) + "\n")
    words = [word for word in TINY if word != "data=class_folders"]
    done = heritage("train", *words, "data=table", f"data.root={root}", "data.verify=true")
    assert done.code == 2
    assert "images/egyptian/gone.jpg is missing" in done.err


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.ENOENT, "no such file or folder, and it cannot be created"),
        (errno.ENAMETOOLONG, "the name is too long"),
    ],
)
def test_an_error_of_the_disk_ends_in_one_line(
    heritage: Command, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, number: int, expected: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/run/config.yaml")

    monkeypatch.setattr("heritage.training.run.write_record", refuse)
    done = heritage("train", *tiny)
    assert done.code == 2
    assert done.err.startswith(f"heritage train: /run/config.yaml: {expected}; ")
    assert len(done.err.splitlines()) == 1


def test_hydra_full_error_shows_the_traceback(heritage: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from heritage.errors import DatasetNotFoundError

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(DatasetNotFoundError):
        heritage("train", "data=class_folders", "data.root=/nowhere")


def test_a_loss_that_is_not_finite_stops_the_run(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    done = heritage("train", *tiny, "optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant",
                    "trainer.gradient_clip_val=null", "trainer.max_epochs=4")  # fmt: skip
    assert done.code == 2
    line = done.err.strip().splitlines()[-1]
    assert "the loss became nan" in line or "the loss became inf" in line
    assert " in epoch 1 at step " in line
    assert "learning rate 1e+30" in line
    assert "lower optimizer.lr" in line
    record = json.loads(next(tmp_path.glob("outputs/train/*/*/non_finite.json")).read_text())
    assert record["epoch"] == 1
    assert record["images"]
    assert all(name.split("/")[0] in COUNTS for name in record["images"])


def test_weights_that_are_not_finite_are_not_saved(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant", "trainer.gradient_clip_val=null",
             "trainer.max_epochs=null", "trainer.max_steps=3", "data.batch_size=4")  # fmt: skip
    done = heritage("train", *tiny, *words)
    assert done.code == 2, done.out
    assert "the loss became" in done.err.strip().splitlines()[-1]
    assert not list(tmp_path.glob("outputs/train/*/*/checkpoints/*.ckpt"))


@pytest.mark.parametrize(
    ("number", "reason", "workers"), [(signal.SIGINT, "Ctrl-C", 2), (signal.SIGTERM, "SIGTERM", 0)]
)
def test_a_signal_keeps_the_last_checkpoint(
    tree: Path, tmp_path: Path, number: signal.Signals, reason: str, workers: int
) -> None:
    folder = tmp_path / "run"
    words = [*TINY, f"data.root={tree}", "trainer.max_epochs=100000", f"hydra.run.dir={folder}",
             f"data.num_workers={workers}"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "heritage.train", *words],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
    )  # fmt: skip
    last = folder / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not last.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    os.killpg(process.pid, number)  # as `timeout` does, and batch systems do
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    lines = [line for line in err.splitlines() if line.startswith("heritage train: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    assert lines[0] == (
        f"heritage train: stopped by {reason}; the state is saved in {last}, resume with resume={folder}"
    )
    import torch

    torch.load(last, weights_only=True)
    shutil.rmtree(folder)
