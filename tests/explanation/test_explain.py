"""`heritage explain` through the real command."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Command


def test_the_page_is_written_with_tested_maps(heritage: Command, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("explain.faithfulness_images=6", "explain.images_per_class=2")
    methods = "explain.methods=[auto,occlusion]"
    done = heritage("explain", f"ckpt={runs / 'none'}", f"hydra.run.dir={out}", *options, methods)
    assert done.code == 0, done.err
    record = json.loads((out / "explanation.json").read_text())
    assert set(record) == {"gradcam", "occlusion"}
    page = (out / "explanation.html").read_text()
    for one in record.values():
        assert one["beats_random"] == (one["advantage"]["low"] > 0)
        assert one["pictures"] == 6
        assert one["beats_random"] or "does not beat random" in one["label"]
    assert ("does not beat random" in page) == any(not one["beats_random"] for one in record.values())
    assert 'src="http' not in page
    overlays = list((out / "overlays").glob("*.png"))
    assert overlays
    assert len([path for path in overlays if path.name.endswith("_gradcam.png")]) * 2 == len(overlays)


def test_wrong_input_ends_in_one_line(heritage: Command, runs: Path) -> None:
    for word, message in (
        ("explain.methods=[attention]", "no attention"),
        ("explain.methods=[]", "no method"),
        ("explain.faithfulness_images=0", "explain.faithfulness_images=0"),
        ("explain.faith=6", "it is now called 'explain.faithfulness_images'"),
        ("explain.methods=[gradcm]", "explain.methods"),
    ):
        done = heritage("explain", f"ckpt={runs / 'none'}", word)
        assert done.code == 2, word
        assert "predicting" not in done.out + done.err, "reported after a pass over the data"
        assert message in done.err.strip().splitlines()[-1], done.err
