"""The gallery through the real command."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Command


def test_the_gallery_is_written_and_scored(heritage: Command, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = heritage("explain", f"ckpt={runs / 'none'}", f"hydra.run.dir={out}", "explain.faith=6",
                    "explain.each=2", "explain.methods=[auto,occlusion]")  # fmt: skip
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
    for word, said in (
        ("explain.methods=[attention]", "no attention"),
        ("explain.methods=[]", "no method"),
        ("explain.faith=0", "explain.faith=0"),
        ("explain.methods=[gradcm]", "explain.methods"),
    ):
        done = heritage("explain", f"ckpt={runs / 'none'}", word)
        assert done.code == 2, word
        assert "asking about" not in done.out + done.err, "said after a pass over the data"
        assert said in done.err.strip().splitlines()[-1], done.err
