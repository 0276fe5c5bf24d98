"""Missing folders and images are reported before torch is imported."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

import heritage
from heritage.errors import DatasetNotFoundError
from heritage.runs.input_paths import require_input, require_inputs


@pytest.mark.parametrize(
    ("verb", "words", "line"),
    [
        ("train", ["data=class_folders", "data.root=/nope"], "/nope: no such folder; give .* in data.root"),
        ("train", ["data=table", "data.root=/nope"], "/nope: no such folder; give .* in data.root"),
        ("train", ["data=folder", "data.root=/nope"], "/nope: no such folder; give .* in data.root"),
        ("curate", ["raw=class_folders", "raw.root=/nope"], "/nope: no such folder; give .* in raw.root"),
        ("curate", ["raw=table", "raw.root=/nope"], "/nope: no such folder; give .* in raw.root"),
        ("predict", ["ckpt=x", "input=/nope.jpg"], "input=/nope.jpg: no such image, folder or list"),
    ],
)
def test_what_does_not_exist_is_one_line(verb: str, words: list[str], line: str) -> None:
    with pytest.raises(DatasetNotFoundError, match=line):
        require_inputs(heritage.compose(verb, words))


@pytest.mark.parametrize("verb", ["evaluate", "explain"])
def test_the_folder_given_for_a_network(verb: str, run_folder: Path, tmp_path: Path) -> None:
    words = [f"ckpt={run_folder}", f"data.root={tmp_path / 'nope'}"]
    with pytest.raises(DatasetNotFoundError, match="nope: no such folder; give the folder of the images in"):
        require_inputs(heritage.compose(verb, words))


@pytest.mark.parametrize(("data", "passes"), [("demo", True), ("class_folders", False), ("folder", False)])
def test_only_what_is_drawn_need_not_exist(tree: Path, tmp_path: Path, data: str, passes: bool) -> None:
    require_inputs(heritage.compose("train", [f"data={data}", f"data.root={tree}"]))
    missing = heritage.compose("train", [f"data={data}", f"data.root={tmp_path / 'drawn'}"])
    with contextlib.nullcontext() if passes else pytest.raises(DatasetNotFoundError, match="no such folder"):
        require_inputs(missing)
    assert not (tmp_path / "drawn").exists()


def test_a_folder_and_a_pattern_without_match_pass(tree: Path, tmp_path: Path) -> None:
    for words in (str(tree), str(tmp_path / "*.jpg")):
        require_input(words, "input")
    with pytest.raises(DatasetNotFoundError, match="no such image, folder or list"):
        require_input(str(tmp_path / "a.jpg"), "input")


def test_a_missing_folder_is_reported_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv[1:] = ['data=class_folders', 'data.root=/nope']\n"
        "from heritage.train import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.splitlines()[-1] == "False"
    assert done.stderr.startswith("heritage train: /nope: no such folder")
    assert done.returncode == 2


def test_several_images_without_brackets_and_urls(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for file in files:
        file.touch()
    with pytest.raises(DatasetNotFoundError) as error:
        require_input(",".join(map(str, files)), "input")
    assert error.value.remedy == f"write a list: 'input=[{files[0]},{files[1]}]'"
    with pytest.raises(DatasetNotFoundError, match="download the image first"):
        require_input("https://example.org/a.jpg", "input")
