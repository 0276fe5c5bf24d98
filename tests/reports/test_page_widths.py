"""Pages of reports in a real browser: nothing is wider than a laptop's window or a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from heritage.comparison.comparison import ResamplingOptions, compare
from heritage.comparison.report import write_comparison
from heritage.comparison.runs import find_runs
from heritage.core.manifest import Manifest
from heritage.curation.build import curate
from heritage.evaluation.assessment import Assessment, EvaluationOptions
from heritage.evaluation.mistakes import write_mistakes
from heritage.evaluation.report import LabelCheck, write_evaluation
from heritage.metrics.label_errors import find_label_errors
from heritage.reports.html import write_page
from heritage.runs.audits import AuditResult
from tests.curation.conftest import plan_of
from tests.curation.raw_folders import add_faults, class_tree
from tests.reports.test_figures import NAMES

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium"),
]
WIDTHS = (1280, 390)
LONG = "a_name_without_any_blank_" * 5


@pytest.fixture(scope="module")
def pages(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the pages of an evaluation, a comparison, an explanation and a data set."""
    folder = tmp_path_factory.mktemp("pages")
    compared = compare(find_runs([str(runs)]), ResamplingOptions(20, 0))
    empty = {"neighbours": 0, "pictures": [], "sections": [], "results": []}
    write_page("explanation", folder / "explanation.html", title=LONG, notes=[LONG], methods=[], **empty)
    return {
        "evaluation": evaluation(folder / "evaluation"),
        "comparison": write_comparison(compared, folder / "comparison"),
        "explanation": folder / "explanation.html",
        "curation": curation(folder / "curation"),
    }


def curation(folder: Path) -> Path:
    """Write the page of a data set with hostile names, duplicates, drops and decisions."""
    root = class_tree(folder / "raw", classes=(NAMES[0], NAMES[1], LONG, "islam", "orient"), each=6)
    add_faults(root)
    overrides = folder / "overrides.csv"
    overrides.write_text(f"file,decision,class,sha256,note\nislam/islam000.jpg,drop,,,{LONG}\n")
    reader, options = plan_of(
        folder / "data", "raw=class_folders", f"raw.root={root}", f"overrides={overrides}"
    )
    curate(reader(), options)
    return folder / "data" / "report.html"


def evaluation(folder: Path) -> Path:
    """Write the page of predictions for classes with hostile names."""
    classes = [*NAMES, LONG]
    count = 4 * len(classes)
    columns = {
        "file": [f"{LONG}/{number}.jpg" for number in range(count)],
        "class": [classes[number % len(classes)] for number in range(count)],
        "split": ["test"] * count,
        "title": [f"{LONG} {number}" for number in range(count)],
        "museum": [f"MUSEUM{'X' * 60}{number % 3}" for number in range(count)],
    }
    manifest = Manifest.build(columns, folder / "data", classes)
    logits = np.random.default_rng(0).normal(size=(count, len(classes))).astype(np.float32)
    options = EvaluationOptions(
        resamples=5, target_precision=0.9, slices=["museum"], images_per_pair=2, max_images=50,
        label_errors=5, seed=0, out_of_fold=None,
    )  # fmt: skip
    assessment = Assessment(
        LONG, manifest, manifest.targets, logits, None, options, {"data": LONG}, [f"Note: {LONG}"]
    )
    errors = find_label_errors(assessment.probabilities, assessment.targets)
    check = LabelCheck(manifest, assessment.probabilities, errors)
    audit = AuditResult("k", "Museum", "Bad.", LONG, good=False, head=(LONG, LONG), rows=[(LONG, "1")])
    mistakes = write_mistakes(assessment, folder, "copy")
    return write_evaluation(assessment, check, [audit], folder, extra={}, mistakes=mistakes)


def test_nothing_is_wider_than_the_window(pages: dict[str, Path], tmp_path: Path) -> None:
    frames = "".join(
        f'<iframe data-name="{name}" width="{width}" height="900" src="{page.as_uri()}"></iframe>'
        for name, page in pages.items()
        for width in WIDTHS
    )
    script = """
      addEventListener("load", () => document.querySelectorAll("iframe").forEach(frame => {
        const page = frame.contentDocument.documentElement, line = document.createElement("p");
        line.textContent = `${frame.dataset.name} ${frame.width}: ${page.scrollWidth} of ${page.clientWidth}`;
        document.body.append(line);
      }));"""
    measure = tmp_path / "measure.html"
    measure.write_text(f"<!doctype html><body>{frames}<script>{script}</script></body>", encoding="utf-8")
    done = subprocess.run(
        [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={tmp_path / 'profile'}", "--allow-file-access-from-files", "--dump-dom",
         measure.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    measured = re.findall(r"<p>(\w+) (\d+): (\d+) of (\d+)</p>", done.stdout)
    assert len(measured) == len(pages) * len(WIDTHS), done.stderr
    wide = [line for line in measured if int(line[2]) > int(line[3])]
    assert wide == []
