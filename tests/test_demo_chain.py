"""`make demo`: collected, curated and trained on in one command, as a newcomer starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from heritage.core.files import PACKAGE

TINY = "data.image_size=32 trainer.max_epochs=1 data.num_workers=0 callbacks.progress=null"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_one_command_goes_from_the_museum_to_a_report(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"  # as .venv/bin is laid out, with this interpreter
    binaries.mkdir()
    (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (binaries / "python").chmod(0o755)
    outputs = tmp_path / "outputs"
    done = subprocess.run(
        ["make", "-o", ".venv/.installed", "demo", f"BIN={binaries}", f"OUTPUTS={outputs}", f"ARGS={TINY}"],
        cwd=PACKAGE.parent,
        env=os.environ | {"MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    dataset = outputs / "data" / "demo_museum"
    about = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    assert about["images"] > 400
    assert about["audit"]["clean"]
    assert (dataset / "report.html").is_file()
    (report,) = outputs.glob("train/*/*/report.md")
    assert "macro" in report.read_text(encoding="utf-8")

    # The checkpoint names its data set, which later commands compare with their own.
    checkpoint = torch.load(report.parent / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["heritage"]["fingerprint"] == about["fingerprint"]
