"""`heritage predict`: predictions in tables, unreadable images, and resuming after an interruption."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from heritage.core.image_io import decode
from heritage.core.taxonomy import CLASSES
from heritage.inference.checkpoint import load_checkpoint
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.predictor import Predictor
from tests.conftest import Command

BAD = {"cut.jpg", "empty.png", "text.jpg"}


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return list(pa_csv.read_csv(path).to_pylist())


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_folder_becomes_a_table_with_a_row_for_every_file(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"predictions.{suffix}"
    done = heritage("predict", f"ckpt={run_folder}", f"input={photographs}", f"out={out}")
    assert done.code == 0, done.err
    rows = {row["file"]: row for row in rows_of(out)}
    assert len(rows) == 9
    for name, row in rows.items():
        if name in BAD:
            assert row["error"]
            assert not row.get("prediction")
        else:
            assert row["prediction"] == row["class_1"]
            assert row["probability_1"] >= row["probability_2"] >= row["probability_3"] >= 0
            assert not row.get("error")
    assert not out.with_name(f"{out.name}.parts").exists()
    assert "unreadable 3" in done.out
    assert "not calibrated: run heritage evaluate" in done.out


def test_probabilities_and_embeddings_agree_with_the_network(
    heritage: Command, calibrated: Path, photographs: Path, tmp_path: Path
) -> None:
    import torch

    out = tmp_path / "predictions.parquet"
    options = ("top_k=6", "embeddings=true", "batch_size=4", f"out={out}")
    assert heritage("predict", f"ckpt={calibrated}", f"input={photographs}", *options).code == 0
    trained = load_checkpoint(calibrated)
    predictor = Predictor(trained, DecisionRule())
    unsure = 0
    for row in rows_of(out):
        if row["file"] in BAD:
            continue
        pixels = predictor.prepare(decode((photographs / row["file"]).read_bytes(), at_least=32))
        with torch.inference_mode():
            logits = trained.model(torch.from_numpy(pixels.copy())[None])
            expected = (logits / 2.0).softmax(dim=1)[0]
            head = trained.model.net.get_classifier()  # type: ignore[operator]
            from_head = (head(torch.tensor(row["embedding"])[None]) / 2.0).softmax(dim=1)[0]
        predicted = {row[f"class_{k}"]: row[f"probability_{k}"] for k in range(1, 7)}
        for name, probability, from_embedding in zip(trained.classes, expected, from_head, strict=True):
            assert predicted[name] == pytest.approx(float(probability), abs=1e-4)
            assert predicted[name] == pytest.approx(float(from_embedding), abs=1e-4)
        assert row["unsure"] == (row["probability_1"] < 0.5)
        assert row["prediction"] == ("unsure" if row["unsure"] else row["class_1"])
        unsure += row["unsure"]
    assert unsure, "no prediction is below the threshold of the fixture"


def test_lists_tables_patterns_and_single_files_are_accepted_as_input(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "list.txt").write_text("1.jpg\n\nmore/5, with comma.jpg\ngone.jpg\n")
    (photographs / "table.csv").write_text('name,note\n3.jpg,x\n"more/5, with comma.jpg",y\n')
    files = [f"{photographs}/{k}.jpg" for k in range(5)]
    cases = [
        (("input={0}/list.txt",), ["1.jpg", "more/5, with comma.jpg", "gone.jpg"]),
        (("input={0}/table.csv", "column=name"), ["3.jpg", "more/5, with comma.jpg"]),
        (("input={0}/?.jpg",), files),
        (("input={0}/2.jpg",), [files[2]]),
        (("input=[{0}/2.jpg,{0}/0.jpg]",), [files[2], files[0]]),
    ]
    for number, (words, expected) in enumerate(cases):
        out = tmp_path / f"{number}.jsonl"
        given = [word.format(photographs) for word in words]
        done = heritage("predict", f"ckpt={run_folder}", *given, f"out={out}", "tta=flip_zoom")
        assert done.code == 0, done.err
        assert [row["file"] for row in rows_of(out)] == expected
    assert rows_of(tmp_path / "0.jsonl")[2]["error"] == "no such file or directory"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on other systems")
def test_names_that_are_not_utf8_and_broken_links_get_a_row(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "0.jpg").rename(photographs / os.fsdecode(b"vas\xe9.jpg"))
    (photographs / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (photographs / "more" / "round").symlink_to(photographs, target_is_directory=True)
    out = tmp_path / "predictions.jsonl"
    done = heritage("predict", f"ckpt={run_folder}", f"input={photographs}", f"out={out}")
    assert done.code == 0, done.err
    rows = {row["file"]: row for row in rows_of(out)}
    assert len(rows) == 10
    assert rows[r"vas\xe9.jpg"]["prediction"]
    assert rows["gone.jpg"]["error"] == "no such file or directory"


def test_flip_augmentation_is_invariant_to_mirroring(run_folder: Path, photographs: Path) -> None:
    import torch

    predictor = Predictor(load_checkpoint(run_folder), DecisionRule(), tta="flip")
    pixels = torch.from_numpy(predictor.prepare(decode((photographs / "1.jpg").read_bytes())).copy())[None]
    original, mirrored = predictor.predict_batch(pixels), predictor.predict_batch(pixels.flip(2))
    np.testing.assert_allclose(original.probabilities, mirrored.probabilities, atol=1e-5)
    plain = Predictor(load_checkpoint(run_folder), DecisionRule()).predict_batch(pixels)
    assert np.abs(original.probabilities - plain.probabilities).max() > 1e-6


def test_a_repeated_command_finds_its_table_and_an_interrupted_one_resumes(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("predict", f"ckpt={run_folder}", f"input={photographs}", "batch_size=2", f"folder={tmp_path}")
    monkeypatch.setattr("heritage.prediction.resumable_table.PART_ROWS", 2)
    calls = 0
    predict_batch = Predictor.predict_batch

    def stops(self: Predictor, images: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return predict_batch(self, images)

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict_batch", stops)
        done = heritage(*words)
    assert done.code == 2
    assert "run the same command again to continue" in done.err
    done = heritage(*words)
    assert done.code == 0, done.err
    assert "4 of them predicted before" in done.out
    (out,) = tmp_path.glob("photographs-*.csv")
    before = out.read_bytes()
    whole = tmp_path / "whole.csv"
    assert heritage(*words, f"out={whole}").code == 0
    assert whole.read_bytes() == before
    assert "9 of them predicted before" in heritage(*words).out
    (photographs / "0.jpg").unlink()
    assert heritage(*words).code == 0
    assert len(list(tmp_path.glob("photographs-*.csv"))) == 2, "other images are another job"


def digest_of_0_1(run_folder: Path, photographs: Path, rule: str) -> str:
    """The digest that version 0.1 put into ``job.json``, for the default options."""
    weights = hashlib.sha256((run_folder / "checkpoints" / "best.ckpt").read_bytes()).hexdigest()
    files = [path for path in photographs.rglob("*") if path.suffix in {".jpg", ".png"}]
    digest = hashlib.sha256(os.fsencode(photographs.resolve()))
    for name in sorted(path.relative_to(photographs).as_posix() for path in files):
        stat = (photographs / name).stat()
        digest.update(f"\n{name}\0{stat.st_size} {stat.st_mtime_ns}".encode())
    options = {"top_k": 3, "threshold": None, "embeddings": False, "tta": "none"}
    text = json.dumps([weights, rule, options, digest.hexdigest()])
    return hashlib.sha256(text.encode()).hexdigest()


def test_tables_of_version_0_1_are_refused_with_the_remedy(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    rule = "not calibrated: run heritage evaluate; never unsure"
    digest = digest_of_0_1(run_folder, photographs, rule)
    words = ("predict", f"ckpt={run_folder}", f"input={photographs}", f"folder={tmp_path}")
    out = tmp_path / f"photographs-{digest[:8]}.csv"
    parts = out.with_name(f"{out.name}.parts")
    parts.mkdir()
    (parts / "job.json").write_text(json.dumps({"digest": digest}))
    rows = '"file","answer","unsure"\n"0.jpg","asian",false\n'
    (parts / "0000000000-0000000001.csv").write_text(rows)
    done = heritage(*words)
    assert done.code == 2
    assert "unfinished predictions of an earlier version, with other columns; delete the folder" in done.err
    shutil.rmtree(parts)
    out.write_text(rows)
    done = heritage(*words)
    assert done.code == 2
    assert "written by an earlier version, with other columns; overwrite=true" in done.err
    assert heritage(*words, "overwrite=true").code == 0
    assert len(rows_of(out)) == 9
    assert "9 of them predicted before" in heritage(*words).out


def test_parts_of_another_job_are_refused(
    heritage: Command, run_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.csv"
    parts = tmp_path / "predictions.csv.parts"
    parts.mkdir()
    (parts / "job.json").write_text(json.dumps({"digest": "x", "columns": []}))
    done = heritage("predict", f"ckpt={run_folder}", f"input={photographs}", f"out={out}")
    assert done.code == 2
    assert "unfinished predictions of another network, other options or other images" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["input=nowhere"], "no such image, folder or list"),
        (["input={photographs}/*.bmp"], "not a single image"),
        (["input={photographs}", "out=predictions.xlsx"], "end it in .csv"),
        (["input={photographs}", "out=predictions.csv", "embeddings=true"], "give out=….parquet"),
        (["input={photographs}", "out={photographs}/0.jpg"], "no format for '.jpg'"),
        (["input={photographs}/notes.csv", "column=x"], "no column 'x' (there are: a, b)"),
        (["input={photographs}/notes.csv", "out={photographs}/notes.csv", "column=a"], "already exists"),
        (["input={photographs}", "top_k=0"], "top_k=0"),
        (["input={photographs}", "tta=often"], "tta=often"),
        (["input={photographs}", "threshold=2"], "threshold=2"),
        (["inputt={photographs}"], "did you mean 'input'?"),
        ([], "input has no value; give input=…"),
    ],
)
def test_wrong_input_ends_in_one_line(
    heritage: Command, run_folder: Path, photographs: Path, words: list[str], message: str
) -> None:
    (photographs / "notes.csv").write_text("a,b\n0.jpg,2\n")
    given = [word.format(photographs=photographs) for word in words]
    done = heritage("predict", f"ckpt={run_folder}", *given)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_killed_command_resumes_to_the_same_bytes(
    run_folder: Path, photographs: Path, tmp_path: Path
) -> None:
    names = photographs / "list.txt"
    names.write_text("0.jpg\n1.jpg\ncut.jpg\n2.jpg\n" * 1_000)
    command = [
        sys.executable,
        "-m",
        "heritage.predict",
        f"ckpt={run_folder}",
        f"input={names}",
        "num_workers=1",
    ]
    killed, whole = tmp_path / "killed.csv", tmp_path / "whole.csv"
    with subprocess.Popen([*command, f"out={killed}"]) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("killed.csv.parts/0*.csv"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    done = subprocess.run([*command, f"out={killed}"], capture_output=True, text=True, check=True)
    assert "of them predicted before" in done.stdout
    subprocess.run([*command, f"out={whole}"], check=True, capture_output=True)
    assert killed.read_bytes() == whole.read_bytes()


def test_a_coverage_adds_a_column_of_prediction_sets(
    heritage: Command, calibrated: Path, photographs: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(calibrated, tmp_path / "run")
    record = json.loads((run / "calibration.json").read_text())
    classes = len(CLASSES)
    record["sets"] = {
        "groups": 60, "class_groups": [10] * classes, "thresholds": [0.02] * 50,
        "class_thresholds": [[0.02] * 41 + [None] * 9] * classes,
    }  # fmt: skip
    (run / "calibration.json").write_text(json.dumps(record))
    out = tmp_path / "sets.jsonl"
    done = heritage("predict", f"ckpt={run}", f"input={photographs / '0.jpg'}", f"out={out}", "coverage=0.9",
                    f"top_k={classes}", "num_workers=0")  # fmt: skip
    assert done.code == 0, done.err
    (row,) = map(json.loads, out.read_text().splitlines())
    ranked = [row[f"class_{k}"] for k in range(1, classes + 1)]
    expected = [name for k, name in enumerate(ranked, 1) if k == 1 or row[f"probability_{k}"] >= 0.02]
    assert row["prediction_set"].split("; ") == expected
    done = heritage("predict", f"ckpt={run}", f"input={photographs / '0.jpg'}", f"out={tmp_path / 'n.csv'}",
                    "coverage=0.95", "coverage_by_class=true", "num_workers=0")  # fmt: skip
    assert done.code == 0, done.err
    assert "needs validation images of at least 19 groups of each class" in done.out
    done = heritage("predict", f"ckpt={run}", f"input={photographs / '0.jpg'}", "coverage=1")
    assert done.code == 2
    assert "coverage=1" in done.err
