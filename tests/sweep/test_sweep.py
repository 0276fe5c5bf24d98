"""A sweep runs each job once, resumes interrupted jobs, and continues when a job fails."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from heritage.core.console import Console
from heritage.core.locks import locked
from heritage.errors import CheckpointError
from heritage.runs.files import SWEEP_LOCK_FILE
from heritage.runs.job_state import State
from heritage.runs.sweep_names import Experiment
from heritage.sweep.driver import report_jobs
from heritage.sweep.expansion import Sweep
from heritage.sweep.index import Index
from tests.conftest import TINY, Command
from tests.data.test_packed_rows import dataset, pack
from tests.runs.test_sweep_names import experiment


def index(folder: Path) -> dict[str, dict[str, Any]]:
    record = json.loads((folder / "sweep.json").read_text())
    return {row["name"]: row for row in record["jobs"]}


def only_sweep(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "outputs" / "sweeps").iterdir()
    return folder


def test_finished_jobs_are_skipped_and_interrupted_ones_resume(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*tiny, "logger=none")
    done = heritage("train", "-m", *words, "seed=0,1")
    assert done.code == 0, done.err
    folder = only_sweep(tmp_path)
    assert {name: row["state"] for name, row in index(folder).items()} == {
        "seed=0": "finished", "seed=1": "finished"}  # fmt: skip
    assert index(folder)["seed=1"]["parameters"] == {"seed": "1"}
    first, second = (folder / name / "report.md" for name in ("seed=0", "seed=1"))
    before = first.stat().st_mtime_ns

    # a run that was killed during its test
    second.unlink()
    done = heritage("train", "-m", *words, "seed=0,1,2", "data.num_workers=0")
    assert done.code == 0, done.err
    assert only_sweep(tmp_path) == folder, "one more seed is the same experiment"
    assert "1 waiting, 1 interrupted, 1 finished" in done.out
    assert first.stat().st_mtime_ns == before, "a finished job is not run again"
    assert second.is_file()
    assert len(index(folder)) == 3
    assert "seed=0 " not in done.out.partition("Jobs of")[0]

    # the same command with another resulting configuration
    config = folder / "seed=0" / "config.yaml"
    changed = OmegaConf.load(config)
    changed.optimizer.lr = 0.5
    OmegaConf.save(changed, config)
    done = heritage("train", "-m", *words, "seed=0,1,2")
    assert done.code == 2
    assert "optimizer.lr: 0.5 → 0.002" in done.err

    done = heritage("train", "-m", *words, "model=vit", "seed=0,1", f"hydra.sweep.dir={folder}")
    assert done.code == 2
    assert "the folder holds another experiment" in done.err
    assert "model=vit" in done.err


def test_a_sweep_over_a_renamed_key_resumes_in_its_folder(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    base = [word for word in tiny if not word.startswith("target_precision")]
    words = (*base, "logger=none", "target_precision=0.8,0.9")
    then = experiment(*words).with_first_names()
    folder = tmp_path / "outputs" / "sweeps" / then.folder
    jobs = {f"wished_precision={value}": value for value in ("0.8", "0.9")}
    for name in jobs:
        (folder / name).mkdir(parents=True)
        (folder / name / "report.md").write_text("finished")
    rows = [{"name": name, "parameters": {"wished_precision": value}} for name, value in jobs.items()]
    (folder / "sweep.json").write_text(json.dumps({"experiment": then.record, "command": [], "jobs": rows}))
    done = heritage("train", "-m", *words)
    assert done.code == 0, done.err
    assert only_sweep(tmp_path) == folder
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(jobs)
    parameters = {name: row["parameters"] for name, row in index(folder).items()}
    assert parameters == {name: {"target_precision": value} for name, value in jobs.items()}


def test_a_failed_job_does_not_stop_the_others(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = (*tiny, "optimizer=sgd", "scheduler=constant", "trainer.gradient_clip_val=null",
             "trainer.max_epochs=4", "logger=none", "optimizer.lr=1e30,0.01")  # fmt: skip
    done = heritage("train", "-m", *words)
    assert done.code == 2
    assert "1 of 2 jobs did not finish (1 failed, 1 finished)" in done.err
    assert "retry_failed=true" in done.err
    folder = only_sweep(tmp_path)
    rows = index(folder)
    assert [row["state"] for row in rows.values()] == ["failed", "finished"]
    assert "loss" in rows["lr=1e+30"]["error"] if "lr=1e+30" in rows else "loss" in rows["lr=1e30"]["error"]
    failure = next(folder.glob("lr=1e*/failure.txt"))
    assert "Traceback" in failure.read_text()
    written = failure.stat().st_mtime_ns

    assert heritage("train", "-m", *words).code == 2
    assert failure.stat().st_mtime_ns == written, "not run again without retry_failed"
    assert heritage("train", "-m", *words, "retry_failed=true").code == 2
    assert failure.stat().st_mtime_ns > written


def test_a_second_process_on_a_sweep_is_rejected(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    with locked(tmp_path / "mine" / SWEEP_LOCK_FILE):
        done = heritage("train", "-m", *tiny, "seed=0,1", f"hydra.sweep.dir={tmp_path / 'mine'}")
    assert done.code == 2
    assert "in use by another process" in done.err
    assert not list((tmp_path / "mine").glob("seed=*"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-m", "seed=0,1", "trainer.devices=2"], ["trainer.devices=2", "cluster=local", "leave -m out"]),
        (["-m", "seed=0,1", "resume=true"], ["resume", "a sweep resumes automatically"]),
        (["-m", "seed=1,1"], ["two jobs are the same"]),
        (["-m", "seed=0,1", "model.dpeth=3,4"], ["model.dpeth"]),
        (["+sweep=seeds"], ["a sweep consists of several runs", "add -m"]),
        (["-m", "seed=0,1", "optimizer.lr=-1"], ["optimizer.lr=-1"]),
        (["-m", "seed=0,1", "cluster=slurm"], ["no Slurm on this machine", "cluster=local"]),
        (["cluster=slurm"], ["no Slurm on this machine", "cluster=local"]),
        (["cluster=slurm", "cluster.time=2"], ["cluster.time=2", "give 4 min or more"]),
        (["cluster=slurm", "callbacks.safeguard=null"], ["callbacks.safeguard: without it a job"]),
        (["cluster=slurm", "cluster.extra={mail-type: END}"], ["write '+cluster.extra={mail-type: END}'"]),
        (["cluster=slurm", "+cluster.extra.mail-type=END"], ["no Slurm on this machine"]),
        (["cluster=slrum"], ["did you mean 'slurm'?"]),
        (["cluster=slurm", "cluster.partiton=gpu"], ["did you mean 'partition'?"]),
        (["-m", "seed=0,1", "cluster=local,none"], ["must have the same value"]),
        (["-m", "seed=0,1", "model=resnet50", "model.weights=/no/such.pt"], ["/no/such.pt"]),
        (["-m", "seed=0,1", "data.root=/nowhere"], ["/nowhere", "no such folder"]),
        (["-m", "seed=0,1", "cluster=local", "cluster.gpus=1", "cluster.parallel=99"], ["99 jobs at once"]),
    ],
)  # fmt: skip
def test_jobs_that_cannot_run_are_rejected_before_any_starts(
    heritage: Command,
    tiny: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    expected: list[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm, whatever this machine has
    many = [word for word in words if word == "-m"]  # argparse requires it before the others
    given = [word for word in words if word != "-m"]
    base = [word for word in tiny if word.split("=")[0] not in [other.split("=")[0] for other in given]]
    done = heritage("train", *many, *base, *given)
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1, done.err
    for part in expected:
        assert part in done.err
    assert not list(tmp_path.rglob("checkpoints"))


def test_a_cost_estimate_starts_no_job(heritage: Command, tiny: tuple[str, ...], tmp_path: Path) -> None:
    done = heritage("train", "-m", *tiny, "seed=0,1", "balance=none,oversample", "plan=true")
    assert done.code == 0, done.err
    assert done.out.count("measuring") == 2, "seeds do not change the cost"
    assert "4 of 4 jobs to run" in done.out
    assert "no job was started" in done.out
    assert not list(tmp_path.rglob("checkpoints"))
    assert not list(tmp_path.rglob("config.yaml")), "no run folder"

    done = heritage("train", *tiny, "plan=true")
    assert done.code == 0, done.err
    assert "1 of 1 jobs to run" in done.out
    assert not list(tmp_path.rglob(".hydra")), "no folder of Hydra"

    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "mine.txt").touch()
    assert heritage("train", *tiny, "plan=true", f"hydra.run.dir={kept}").code == 0
    assert (kept / "mine.txt").is_file(), "a folder with other files is kept"


def test_staging_does_not_copy_data_on_the_login_node(
    heritage: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = dataset(tmp_path / "set", count=60)
    words = [word for word in TINY if not word.startswith("data=")]
    words += ["data=folder", "data/split=image", f"data.root={tmp_path / 'set'}", "data.classes=[a,b,c]",
              f"data.stage={tmp_path / 'scratch'}"]  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm: the checks before submission run
    done = heritage("train", "-m", *words, "seed=0,1", "cluster=slurm")
    assert done.code == 2
    assert "no packed images" in done.err
    pack(manifest)
    for many in ((), ("-m", "seed=0,1")):
        done = heritage("train", *many, *words, "cluster=slurm")
        assert done.code == 2
        assert "no Slurm on this machine" in done.err, done.err
    done = heritage("train", *words, "plan=true")
    assert done.code == 0, done.err
    assert not (tmp_path / "scratch").exists()


def test_the_index_of_version_0_1_is_read(tmp_path: Path) -> None:
    experiment = Experiment("seeds", ("seed",), ("model=vit",))
    job = {"name": "seed=0", "folder": "seed=0", "parameters": {"seed": "0"}, "state": "queued"}
    rows = [{**job, "ticket": "7_0", "error": None}, {**job, "name": "seed=1", "ticket": None, "error": None}]
    (tmp_path / "sweep.json").write_text(
        json.dumps({"experiment": asdict(experiment), "command": ["seed=0,1"], "jobs": rows})
    )
    written = Index(Sweep(tmp_path, experiment, (), ()))
    assert written.job_ids == {"seed=0": "7_0"}
    written.write({})
    assert [row["job_id"] for row in index(tmp_path).values()] == ["7_0", None]
    with pytest.raises(CheckpointError, match="seed → model"):
        Index(Sweep(tmp_path, Experiment("seeds", ("model",), ("model=vit",)), (), ()))


def test_a_renamed_key_keeps_the_folder_of_a_sweep(tmp_path: Path) -> None:
    old = Experiment("seed", ("seed",), ("data=demo", "wished_precision=0.8"))
    new = Experiment("seed", ("seed",), ("data=demo", "target_precision=0.8"))
    as_version_0_1 = json.dumps({"name": "seed", "swept": ["seed"], "fixed": list(old.fixed)})
    assert new.folder == f"seed-{hashlib.sha256(as_version_0_1.encode()).hexdigest()[:6]}"
    (tmp_path / "sweep.json").write_text(json.dumps({"experiment": asdict(old), "command": [], "jobs": []}))
    Index(Sweep(tmp_path, new, (), ())).write({})
    assert json.loads((tmp_path / "sweep.json").read_text())["experiment"]["fixed"] == list(new.fixed)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"experiment": 3, "jobs": []}', '{"experiment": {}, "jobs": [1]}']
)
def test_a_damaged_index_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"sweep\.json: unreadable .*; remove the file"):
        Index(Sweep(tmp_path, Experiment("seeds", ("seed",), ()), (), ()))


@pytest.mark.parametrize("finished", [1, 2])
def test_the_last_line_is_the_command_that_compares_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], finished: int
) -> None:
    jobs: Any = [
        SimpleNamespace(name=f"seed={seed}", folder=tmp_path / str(seed)) for seed in range(finished)
    ]
    states = {job.name: State.FINISHED for job in jobs}
    report_jobs(jobs, states, Console(), tmp_path, "continue")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f"compare runs={tmp_path}") == (finished > 1)
