"""Hints for mistakes of a command line, its standard output, and folders of runs that never began."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from heritage.cli import COMMANDS, EXIT_CLOSED_PIPE
from heritage.config.compose import compose_command, groups_of
from heritage.config.faults import did_you_mean
from heritage.config.register import register
from tests.conftest import Command

SWEEP = "one run takes one value; to run each of them add -m (from Python: multirun=True)"
NO_KEY = "the configuration has no key"
HINTS = {
    "epochs=3": f"{NO_KEY} 'epochs'; did you mean 'trainer.max_epochs'?",
    "lr=0.1": f"{NO_KEY} 'lr'; did you mean 'optimizer.lr'?",
    "batch_size=8": f"{NO_KEY} 'batch_size'; did you mean 'data.batch_size'?",
    "loss=focal": f"{NO_KEY} 'loss'; did you mean 'balance/loss'?",
    "model=a,b": SWEEP,
    "data.classes=a,b": f"{SWEEP}, or write a list, data.classes=[a,b]",
    "seed=range(3)": SWEEP,
    "+model=vit": "model is chosen twice; write model=vit once and without a plus",
    "seed=a b": "Value 'a b' of type 'str' could not be converted to Integer; give a whole number",
    "balance=0": "there is no such balance; choose from ",
    "model=null": "there is no such model; choose from ",
    "hydra=3": "there is no such hydra; choose from config, default",
    "++model=vit": "an option is chosen without a plus; write model=vit",
    "~model": "this group needs an option; write model=<option>",
    "model=${seed}": "this group takes the name of an option, not an interpolation; write one",
    "model@net=vit": "nothing is chosen there; write model=<option>",
    "experiment=crt": "experiment is not among the defaults; write +experiment=crt",
    "optimizer.lr=0,05": f"{SWEEP}, or write optimizer.lr=0.05 with a point",
    "data.batch_size=16.0": "should be a valid integer; write data.batch_size=16",
    "data.crop_pct=90%": "should be a valid number, unable to parse string as a number; "
    "write data.crop_pct=0.9",
    "seed=-1": "should be greater than or equal to 0",
    "seed=4294967296": "should be less than 4294967296",
    "model=vit seed=3": "there is no such model; write 2 words: model=vit seed=3",
    "data.classes=none": "should be a valid list; write data.classes=null",
    "data.classes=china": "should be a valid list; write 'data.classes=[china]'",
    "data.classes=new kingdom": """should be a valid list; write 'data.classes=['"'"'new kingdom'"'"']'""",
    "trainer.extra=5": "should be a valid dictionary; write trainer.extra.<name>=<value>",
    "out=x": f"{NO_KEY} 'out'; did you mean hydra.run.dir=<folder>?",
    "output_dir=x": f"{NO_KEY} 'output_dir'; did you mean hydra.run.dir=<folder>?",
    "seed=null": "cannot be null; give a value",
    "seed=1..3": "one run takes one value; write -m 'seed=range(1,4)' to run each of them",
    "seed=0-4": "one run takes one value; write -m 'seed=range(0,5)' to run each of them",
    "seed=3..1": "Value '3..1' of type 'str' could not be converted to Integer; give a whole number",
    "callbacks.early_stoping.patience=3": "'callbacks' has no key 'early_stoping'; add "
    "callbacks=early_stopping, and write callbacks.early_stopping instead of callbacks.early_stoping",
    "callbacks.early_stopping.patience=3": "'callbacks' has no key 'early_stopping'; "
    "add callbacks=early_stopping",
    "logger.wandb.project=x": "'logger' has no key 'wandb'; add logger=wandb",
    "callbacks.bst=null": "'callbacks' has no key 'bst'; did you mean 'best'?",
    "raw=table": f"{NO_KEY} 'raw'; did you mean 'data'?",
    "resume=yes": "no such run folder; write resume=true",
    "resume=Off": "no such run folder; write resume=false",
    "resume=x/seed=0": "no such run folder; give a folder below outputs/",
    "data.root=a${b}": "Interpolation key 'b' not found; correct the interpolation, or write "
    r"""'data.root='"'"'a\${b}'"'"'' for a name with these signs""",
}


@pytest.mark.parametrize("word", HINTS)
def test_the_hint_of_a_mistake(heritage: Command, tmp_path: Path, word: str) -> None:
    done = heritage("train", word)
    (line,) = done.err.splitlines()
    expected = f"heritage train: {word}: {HINTS[word]}"
    assert (done.code, line[: len(expected)] if expected.endswith(" ") else line) == (2, expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "word", "remedy"),
    [("evaluate", "run", "write ckpt=run"), ("evaluate", "my run", "write 'ckpt=my run'"),
     ("predict", "vase.JPG", "write input=vase.JPG"), ("predict", "run", "write ckpt=run"),
     ("compare", "sweep", "write runs=sweep"), ("evaluate", "ckpt", "write ckpt=<value>"),
     ("train", "model", "write model=<option>"), ("train", "vit", "write key=value")],
)  # fmt: skip
def test_a_word_without_key_or_value(heritage: Command, verb: str, word: str, remedy: str) -> None:
    done = heritage(verb, word)
    line = f"heritage {verb}: cannot read '{word}' (it has no key or no value); {remedy}\n"
    assert (done.code, done.err) == (2, line)


@pytest.mark.parametrize(
    ("verb", "word", "message"),
    [("curate", "classes=egyptian", "should be a list; write 'classes=[egyptian]'"),
     ("collect", "classes=new kingdom", "should be a list; write "),
     ("serve", "names=egyptian", "should be a list; write 'names=[egyptian]'"),
     ("curate", "name=../x", "should be the name of a folder; write out=<folder> for another place"),
     ("curate", "name=", "should be the name of a folder; write out=<folder> for another place"),
     ("collect", "name=a/b", "should be the name of a folder; write folder=<folder> for another place")],
)  # fmt: skip
def test_lists_and_names_of_the_top_level(heritage: Command, verb: str, word: str, message: str) -> None:
    needed = {"curate": ["raw=class_folders", "raw.root=/x"], "serve": ["ckpt=x"]}.get(verb, [])
    done = heritage(verb, word, *needed)
    (line,) = done.err.splitlines()
    assert (done.code, line.partition(message)[0]) == (2, f"heritage {verb}: {word}: ")


def test_flags_that_cannot_be_used(heritage: Command) -> None:
    assert heritage("train", "--hlep").err == "heritage train: --hlep: no such flag; did you mean --help?\n"
    done = heritage("train", "--cfg", "job", "--resolve")
    assert done.err == (
        "heritage train: --resolve: the run folder is chosen when the command runs; leave --resolve out\n"
    )


@pytest.mark.parametrize("word", ["=3", "+=3", "~=3"])
def test_an_override_without_a_key(heritage: Command, word: str) -> None:
    done = heritage("train", word)
    line = f"heritage train: cannot read '{word}' (it has no key); write key=value\n"
    assert (done.code, done.err) == (2, line)


def test_the_hint_of_words_with_a_plus(heritage: Command) -> None:
    done = heritage("train", "+epochs=3")
    assert done.err == "heritage train: epochs: train has no such key; did you mean 'trainer.max_epochs'?\n"
    done = heritage("train", "+experiment=thesis/baselin")
    (line,) = done.err.splitlines()
    assert line.endswith("thesis/baselin: there is no such experiment; did you mean 'thesis/baseline'?")


@pytest.mark.parametrize("verb", COMMANDS)
def test_choices_are_those_of_the_command_and_each_once(verb: str) -> None:
    register()
    names = groups_of(verb, compose_command(verb, []))
    assert len(names) == len(set(names))
    assert ("source" in names) is (verb == "collect")
    assert ("raw" in names) is (verb == "curate")
    assert ("experiment" in names) is (verb == "train")
    assert not any(name.startswith("hydra") for name in names)


@pytest.mark.parametrize(
    ("verb", "option"),
    [("evaluate", "hydra.run.dir"), ("compare", "hydra.run.dir"), ("explain", "hydra.run.dir"),
     ("predict", "out"), ("export", "out"), ("curate", "out"), ("collect", "folder")],
)  # fmt: skip
def test_the_option_of_the_output(heritage: Command, verb: str, option: str) -> None:
    done = heritage(verb, "output=x")
    assert done.err.splitlines()[0].endswith(f"no key 'output'; did you mean {option}=<folder>?")


def test_standard_output_that_is_full_while_a_command_runs(
    heritage: Command, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        done = heritage(
            "curate", "raw=class_folders", f"raw.root={tree}", "name=x", "workers=1", "pack=false"
        )
    line = "heritage curate: standard output: the disk is full; send it elsewhere\n"
    assert (done.code, done.err) == (2, line)


def test_each_job_of_a_multirun_reports_its_own_error(heritage: Command) -> None:
    done = heritage("evaluate", "-m", "ckpt=nowhere,elsewhere")
    lines = done.err.splitlines()
    assert done.code == 2
    assert [line.partition(": no such")[0] for line in lines] == [
        "heritage evaluate ckpt=nowhere: nowhere",
        "heritage evaluate ckpt=elsewhere: elsewhere",
    ]


def test_a_list_to_choose_from_has_each_name_once(heritage: Command) -> None:
    done = heritage("curate", "zzz=1")
    (line,) = done.err.splitlines()
    names = line.partition("choose from ")[2].split(", ")
    assert names == sorted(set(names))
    assert {"raw", "cleaning", "paths"} <= set(names)
    assert not {"model", "hydra", "source", "sweep"} & set(names)


def test_a_name_of_another_place_is_found() -> None:
    keys = [
        "trainer.check_val_every_n_epoch",
        "trainer.max_epochs",
        "optimizer.lr",
        "data.reader.seed",
        "seed",
    ]
    assert did_you_mean("epoch", ["model"], keys) == "did you mean 'trainer.max_epochs'?"
    assert did_you_mean("seed", ["model"], keys) == "did you mean 'seed'?"
    assert did_you_mean("modle", ["model"], keys) == "did you mean 'model'?"
    assert did_you_mean("zzz", ["model", "model"], keys) == "choose from model"


@pytest.mark.parametrize(
    ("words", "target", "code", "err"),
    [
        ([], "/dev/full", 2, "heritage: standard output: the disk is full; send it elsewhere\n"),
        (["--version"], "/dev/full", 2, "heritage: standard output: the disk is full; send it elsewhere\n"),
        (["train", "--help"], "/dev/full", 2,
         "heritage train: standard output: the disk is full; send it elsewhere\n"),
        ([], None, EXIT_CLOSED_PIPE, ""),
        (["train", "--help"], None, EXIT_CLOSED_PIPE, ""),
        (["weights", "--cfg", "job"], None, EXIT_CLOSED_PIPE, ""),
    ],
)  # fmt: skip
def test_standard_output_that_cannot_be_written(
    tmp_path: Path, words: list[str], target: str | None, code: int, err: str
) -> None:
    command = [sys.executable, "-m", "heritage", *words]
    if target is not None:
        with Path(target).open("w") as sink:
            done = subprocess.run(
                command, stdout=sink, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
            )
        assert (done.returncode, done.stderr) == (code, err)
        return
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (err, code)
    process.stderr.close()


@pytest.mark.parametrize(
    "words",
    [
        ["data=class_folders", "data.root=/nowhere"],
        ["data.batch_size=0"],
        ["-m", "seed=0,1", "optimizer.lr=-1"],
        ["-m", "data=class_folders", "data.root=/nowhere,/b=c"],
        ["plan=true", "data=class_folders", "data.root=/nowhere"],
    ],
)
def test_a_run_that_never_began_leaves_no_folder(heritage: Command, tmp_path: Path, words: list[str]) -> None:
    done = heritage("train", *words)
    assert done.code == 2
    assert [path for path in tmp_path.rglob("*") if path.name != "outputs"] == []


def test_a_folder_with_anything_else_is_kept(heritage: Command, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    done = heritage("train", "data.batch_size=0", "hydra.run.dir=run")
    assert done.code == 2
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    done = heritage("evaluate", "ckpt=nowhere", "hydra.run.dir=a/b/c")
    assert done.code == 2
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == []


@pytest.mark.parametrize(
    ("verb", "word", "hint"),
    [
        ("curate", "workers=-1", "workers=-1: should be greater than or equal to 0"),
        ("curate", "workers=two", "workers=two: should be a valid integer"),
        ("curate", "workers=1.5", "workers=1.5: should be a valid integer"),
        ("curate", "data.root=x", f"data.root=x: {NO_KEY} 'data'; did you mean 'raw'?"),
        ("curate", "my photos", "write raw=class_folders 'raw.root=my photos'"),
        ("train", "my photos", "write data=class_folders 'data.root=my photos'"),
    ],
)
def test_the_hint_of_other_commands(
    heritage: Command, tmp_path: Path, verb: str, word: str, hint: str
) -> None:
    (tmp_path / "my photos").mkdir()
    words = ["raw=class_folders", "raw.root=my photos", word] if word.startswith("workers") else [word]
    done = heritage(verb, *words)
    assert done.code == 2
    assert hint in done.err
    assert len(done.err.splitlines()) == 1
