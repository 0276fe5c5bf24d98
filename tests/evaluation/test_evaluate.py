"""`heritage evaluate`: metrics against scikit-learn, files, and wrong input."""

from __future__ import annotations

import csv
import errno
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    classification_report,
    confusion_matrix,
    matthews_corrcoef,
    roc_auc_score,
    top_k_accuracy_score,
)

from heritage.core.overrides import count_undecided, read_overrides
from heritage.reports.run_report import loss_note
from heritage.runs.audits import AuditResult, read_audits, write_audits
from heritage.runs.calibration import read_calibration
from heritage.runs.history import read_history
from tests.conftest import COUNTS, Command, write_tree

CLASSES = list(COUNTS)


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    return shutil.copytree(runs / "none", tmp_path / "run")


def test_without_audits_the_recorded_ones_are_kept(heritage: Command, run: Path, tmp_path: Path) -> None:
    write_audits([AuditResult("background", "Background", "It uses the centre.", "Measured.", True)], run)
    done = heritage(
        "evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'out'}", "report.resamples=20", "audits=null"
    )
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["audits"] == {}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert ('href="#audits"' in page, 'href="#map"' in page) == (False, False)
    assert not (tmp_path / "out" / "map.png").exists()
    assert [one.verdict for one in read_audits(run)] == ["It uses the centre."]


def test_every_metric_agrees_with_scikit_learn(heritage: Command, run: Path, tmp_path: Path) -> None:
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'out'}", "report.resamples=50")
    assert done.code == 0, done.err
    out = tmp_path / "out"
    assert f"report: {out / 'report.html'}" in done.out.replace("\n", "")
    metrics = json.loads((out / "metrics.json").read_text())
    table = pq.read_table(out / "predictions.parquet").to_pydict()
    truth, predicted = table["class"], table["predicted"]
    probabilities = np.array([table[f"p_{name}"] for name in CLASSES]).T

    expected = classification_report(truth, predicted, labels=CLASSES, output_dict=True, zero_division=0)
    for name in CLASSES:
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert metrics["classes"][name][ours] == pytest.approx(expected[name][theirs], abs=1e-12)
            low, high = metrics["classes"][name][f"{ours}_interval"]
            assert (low, high) == (None, None) or 0 <= low <= high <= 1
        area = roc_auc_score(np.array(truth) == name, probabilities[:, CLASSES.index(name)])
        assert metrics["classes"][name]["auroc"] == pytest.approx(area, abs=1e-12)
    assert metrics["macro_f1"] == pytest.approx(expected["macro avg"]["f1-score"], abs=1e-12)
    assert metrics["weighted_f1"] == pytest.approx(expected["weighted avg"]["f1-score"], abs=1e-12)
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted), abs=1e-12)
    correlation = matthews_corrcoef(truth, predicted)
    assert metrics["matthews_correlation"] == pytest.approx(correlation, abs=1e-12)
    assert metrics["confusion"] == confusion_matrix(truth, predicted, labels=CLASSES).tolist()
    by_row = confusion_matrix(truth, predicted, labels=CLASSES, normalize="true")
    np.testing.assert_allclose(metrics["confusion_by_row"], by_row, atol=1e-12)
    codes = np.array([CLASSES.index(name) for name in truth])
    assert metrics["top2_accuracy"] == pytest.approx(
        top_k_accuracy_score(codes, probabilities, k=2), abs=1e-12
    )
    areas = roc_auc_score(codes, probabilities, multi_class="ovr", average="macro")
    assert metrics["macro_auroc"] == pytest.approx(areas, abs=1e-9)
    brier = brier_score_loss(codes, probabilities, labels=range(6), scale_by_half=False)
    assert metrics["brier"] == pytest.approx(brier, abs=1e-9)

    assert {one.key: one.record for one in read_audits(run)} == metrics["audits"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count('alt="learning curves"') == 1
    for text in (page, (out / "report.md").read_text(encoding="utf-8")):
        assert text.count("validation loss is below") == len(loss_note(read_history(run)))
    trained = json.loads((run / "metrics.json").read_text())
    assert metrics["accuracy"] == trained["accuracy"], "the run's own report has another accuracy"
    rows = list(csv.DictReader((out / "per_class.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == CLASSES
    assert float(rows[2]["recall"]) == pytest.approx(metrics["classes"]["orient"]["recall"], abs=1e-6)


@pytest.mark.usefixtures("drawn_figures")
def test_the_files_of_a_report(heritage: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        f"ckpt={run}",
        f"hydra.run.dir={out}",
        "report.resamples=20",
        "mistakes=copy",
        "figure_width=single",
    )
    done = heritage("evaluate", *words)
    assert done.code == 0, done.err
    for name in ("confusion", "reliability", "coverage", "map"):
        assert (out / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"
    for name in ("metrics", "classes", "confusion"):
        assert "\\toprule" in (out / "tables" / f"{name}.tex").read_text()
    listed = list(csv.DictReader((out / "mistakes" / "mistakes.csv").read_text().splitlines()))
    assert len(listed) == sum(1 for path in (out / "mistakes").rglob("*.jpg"))
    assert all(
        (out / "mistakes" / row["path"]).is_file() and row["true"] != row["predicted"] for row in listed
    )
    assert f"{len(listed)} misclassified image" in done.out
    assert all(f"./mistakes/{row['path']}" in (out / "report.html").read_text() for row in listed)
    assert {"museum", "background"} <= set(json.loads((out / "metrics.json").read_text())["audits"])
    assert (out / "map.png").is_file()
    page, text = (out / "report.html").read_text(), (out / "report.md").read_text()
    assert 'src="http' not in page, "the page is not self-contained"
    assert "## Errors by class" in text
    calibration = read_calibration(run)
    assert calibration is not None
    fingerprint = json.loads((run / "data.json").read_text())["fingerprint"]
    assert calibration.fitted_on.fingerprint == fingerprint
    assert calibration.fitted_on.split == "val"
    suggestions = list(csv.DictReader((out / "label_errors.csv").read_text().splitlines()))
    tree = Path(json.loads((run / "data.json").read_text())["root"])
    for one in suggestions:
        assert (tree / one["file"]).is_file()
        assert one["class"] != one["file"].split("/")[0]
    assert read_overrides(out / "label_errors.csv", CLASSES) == {}, "nobody has decided yet"
    assert count_undecided(out / "label_errors.csv") == len(suggestions)


def test_other_splits_and_other_data(heritage: Command, run: Path, tmp_path: Path) -> None:
    words = (f"ckpt={run / 'checkpoints' / 'last.ckpt'}", "report.resamples=20", "report.slices=[]")
    done = heritage("evaluate", *words, "split=train", f"hydra.run.dir={tmp_path / 'train'}")
    assert done.code == 0, done.err
    assert "do not estimate those of new images" in done.out.replace("\n", " ")
    assert read_calibration(run) is None, "a calibration of another checkpoint than the best"
    table = pq.read_table(tmp_path / "train" / "predictions.parquet")
    assert len(set(table["file"].to_pylist())) == len(table), "an image is predicted twice"

    few = write_tree(tmp_path / "few", {"islam": 3, "asian": 2})
    done = heritage("evaluate", *words, "data=class_folders", f"data.root={few}", "data.num_workers=0",
                    "split=all", f"hydra.run.dir={tmp_path / 'few_out'}")  # fmt: skip
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "few_out" / "metrics.json").read_text())
    assert metrics["images"] == 5
    assert metrics["classes"]["egyptian"]["auroc"] is None
    assert "not the data set" in done.out


@pytest.mark.parametrize("images", [1, 2])
def test_a_few_images_are_evaluated_without_a_map(
    heritage: Command, run: Path, tmp_path: Path, images: int
) -> None:
    few = write_tree(tmp_path / "few", dict.fromkeys(["islam", "asian"][:images], 1))
    out = tmp_path / "out"
    done = heritage("evaluate", f"ckpt={run}", "data=class_folders", f"data.root={few}", "data.num_workers=0",
                    "split=all", "report.resamples=20", f"hydra.run.dir={out}")  # fmt: skip
    assert done.code == 0, done.err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["images"] == images
    notes = " ".join(metrics["notes"])
    absent = ", ".join(name for name in CLASSES if name not in ["islam", "asian"][:images])
    assert f"Absent from the test images: {absent}." in notes
    assert f"No map was drawn: it needs at least 4 images, not {images}." in notes
    assert not (out / "map.png").exists()
    assert notes.split(". ")[0] in (out / "report.md").read_text()


def test_a_checkpoint_of_an_earlier_version_and_the_leak(
    heritage: Command, run: Path, tmp_path: Path
) -> None:
    file = run / "checkpoints" / "best.ckpt"
    state = torch.load(file, weights_only=True)
    del state["heritage"]["config"]["data"]["stage"], state["heritage"]["config"]["data"]["packed"]
    torch.save(state, file)
    by_image = shutil.copytree(run, tmp_path / "by_image")
    config = (by_image / "config.yaml").read_text()
    changed = re.sub(r"data\.split\.(own|by_group)\b", "data.split.by_image", config)
    (by_image / "config.yaml").write_text(changed)
    words = (f"audits.by_image={by_image}", "audits.map=0", "audits.museum=false", "logit_adjustment=1")
    out = tmp_path / "out"
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={out}", "report.resamples=20", *words)
    assert done.code == 0, done.err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["audits"]["leak"]["difference"] == 0
    assert set(metrics["audits"]["background"]["intervals"]) == {"whole", "centre_hidden", "border_hidden"}
    assert metrics["recipe"]["balance"].endswith(" logit_adjustment=1")


def test_wrong_input_ends_in_one_line(
    heritage: Command, run: Path, runs: Path, tree: Path, tmp_path: Path
) -> None:
    def line(*words: str) -> str:
        done = heritage("evaluate", *words)
        assert done.code == 2
        lines = done.err.strip().splitlines()
        assert len(lines) == 1, done.err
        return lines[0]

    assert "no such checkpoint" in line(f"ckpt={tmp_path / 'nowhere.ckpt'}")
    assert "no checkpoints/best.ckpt" in line(f"ckpt={tmp_path}")
    assert "ckpt has no value" in line()
    assert "did you mean 'test'?" in line(f"ckpt={run}", "split=tset")
    assert "did you mean 'museum'?" in line(f"ckpt={run}", "report.slices=[musuem]")
    by_image = "audits.by_image="
    assert "its balance is weights, but here none" in line(f"ckpt={run}", f"{by_image}{runs / 'weights'}")
    assert "not by image; give a run" in line(f"ckpt={run}", f"{by_image}{runs / 'none'}")
    assert "without a report" in line(f"ckpt={run}", f"{by_image}{tmp_path}")
    alone = shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    assert "is not in a run folder" in line(f"ckpt={alone}", f"{by_image}{runs / 'none'}")
    assert "choose from none, copy, link" in line(f"ckpt={run}", "mistakes=x")
    assert "did you mean 'single'?" in line(f"ckpt={run}", "figure_width=singel")
    assert "report.target_precision" in line(f"ckpt={run}", "report.target_precision=2")
    classes = "data.classes=[islam,asian]"
    assert "its classes are egyptian" in line(
        f"ckpt={run}", "data=class_folders", f"data.root={tree}", classes
    )
    other = write_tree(tmp_path / "other", {name: count + 1 for name, count in COUNTS.items()})
    assert "fingerprint" in line(f"ckpt={run}", f"data.root={other}")
    assert "no such folder" in line(f"ckpt={run}", f"data.root={tmp_path / 'moved'}")
    whole = ("data=class_folders", f"data.root={tree}", "data/split=whole")
    assert "the val split has no images" in line(f"ckpt={run}", *whole, "split=val")
    assert "device=tpux: there is no such device" in line(f"ckpt={run}", "device=tpux")

    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    state["heritage"]["config"]["data"]["split"] = {"_target_": "os.mkdir", "path": str(tmp_path / "harm")}
    torch.save(state, hostile := tmp_path / "hostile.ckpt")
    assert "not this package's" in line(f"ckpt={hostile}")
    assert not (tmp_path / "harm").exists()


def test_images_of_other_classes_and_a_misnamed_split(
    run_folder: Path, tmp_path: Path, heritage: Command
) -> None:
    write_tree(tmp_path / "set", {"only": 2})
    done = heritage("evaluate", f"ckpt={run_folder}", "data=class_folders", "data.root=set", "split=all")
    (line,) = done.err.splitlines()
    assert "unknown class 'only': the network knows egyptian, grecoroman, " in line
    assert line.endswith("rename the class, or evaluate images of the network's classes")
    done = heritage("evaluate", f"ckpt={run_folder}", "split=validation")
    assert done.err == "heritage evaluate: split: no split 'validation'; did you mean 'val'?\n"


def test_a_section_that_is_needed_is_named_if_it_is_null(
    heritage: Command, run: Path, tmp_path: Path
) -> None:
    words = ("evaluate", f"ckpt={run}", f"hydra.run.dir={tmp_path / 'out'}")
    done = heritage(*words, "report=null")
    assert done.code == 2
    assert "report=null: should be a section" in done.err


def test_a_run_on_a_read_only_disk_is_evaluated(
    heritage: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(target: Path, text: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    monkeypatch.setattr("heritage.runs.calibration.write_text", refuse)
    monkeypatch.setattr("heritage.runs.audits.write_text", refuse)
    out = tmp_path / "out"
    done = heritage("evaluate", f"ckpt={run}", f"hydra.run.dir={out}", "report.resamples=20")
    assert done.code == 0, done.err
    assert f"{run / 'calibration.json'} was not written: Read-only file system." in " ".join(done.out.split())
    assert f"{run / 'audits.json'} was not written" in done.out + done.err
    assert (out / "report.html").is_file()
    assert not (run / "audits.json").exists()
