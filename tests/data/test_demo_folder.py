"""The demo set is drawn into its own folder only; `data.root` without a reader of photographs is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from heritage.data import readers
from heritage.errors import ConfigError
from tests.conftest import Command, write_tree


@pytest.mark.parametrize(
    ("files", "option"),
    [
        (["china/a.jpg"], "data=class_folders"),
        (["images/a.jpg", "objects.xlsx"], "data=table"),
        (["images/a.jpg", "manifest.parquet", "dataset.json"], "data=folder"),
    ],
)
def test_data_root_alone_names_the_option_that_reads_photographs(
    tmp_path: Path, heritage: Command, files: list[str], option: str
) -> None:
    root = tmp_path / "photographs"
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    before = sorted(root.rglob("*"))
    done = heritage("train", f"data.root={root}")
    assert done.code == 2
    assert "the demo set (data=demo, the default) does not read this folder" in done.err
    assert f"add {option} to read your photographs" in done.err
    assert sorted(root.rglob("*")) == before


def test_nothing_is_drawn_into_a_folder_with_other_files(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "set", {"islam": 1})
    with pytest.raises(ConfigError, match="read that folder with data=class_folders"):
        readers.demo(tree, None, images=12, size=16, seed=0)
    assert [path.name for path in tree.iterdir()] == ["islam"]


def test_demo_sets_of_several_settings_share_a_folder(tmp_path: Path) -> None:
    for seed in (0, 1):
        assert len(readers.demo(tmp_path / "demo", None, images=12, size=16, seed=seed)) == 12
    (tmp_path / "demo" / ".v1-12x16-seed2.drawing-x").mkdir()  # of a process that was killed
    assert len(readers.demo(tmp_path / "demo", None, images=12, size=16, seed=3)) == 12


def test_the_whole_chain_and_the_demo_set_have_folders_of_different_names() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    chain = [line for line in makefile.splitlines() if "heritage.curate" in line]
    assert len(chain) == 1
    assert "name=demo_museum" in chain[0]
