"""A sampling of the user's own: one file with a class, and an option in the user's configuration folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command

MODULE = '''
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heritage.core.types import PositiveInt
from heritage.data.sampling import EpochSample, Rows, Sampling


@dataclass(frozen=True)
class FewOfEach(Sampling):
    """The same few images of each class in every epoch."""

    each: PositiveInt

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        rows = np.concatenate([np.flatnonzero(targets == k)[: self.each] for k in range(len(classes))])
        return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))
'''
OPTION = """\
# The same few images of each class in every epoch.
#
#   python -m heritage.train balance/sampling=few_of_each
#
# Cost: epochs become shorter.

_target_: own_sampling.FewOfEach
each: 3
"""


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder with a sampling on the Python path, and the folder of its configuration."""
    (tmp_path / "own_sampling.py").write_text(MODULE)
    option = tmp_path / "own conf" / "balance" / "sampling" / "few_of_each.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(OPTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield str(tmp_path / "own conf")
    sys.modules.pop("own_sampling", None)


def test_the_command_samples_with_it_and_the_run_folder_reports_it(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, own_folder: str
) -> None:
    words = ("--config-dir", own_folder, *tiny, "balance/sampling=few_of_each", "balance.sampling.each=2")
    done = heritage("train", *words)
    assert done.code == 0, done.err
    (run,) = tmp_path.glob("outputs/train/*/*")
    table = done.out[done.out.index("shown an epoch") :]
    shown = [line.split("│")[-2].strip() for line in table.splitlines() if line.count("│") == 6]
    assert shown[:7] == ["2"] * 6 + ["12"]
    report = (run / "report.md").read_text()
    assert "sampling few_of_each (each 2)" in report
    assert "12 images seen" in report


def test_the_help_lists_it(heritage: Command, own_folder: str) -> None:
    done = heritage("train", "--config-dir", own_folder, "--help")
    assert done.code == 0, done.err
    line = next(line for line in done.out.splitlines() if line.startswith("balance/sampling:"))
    assert "few_of_each" in line.split(": ")[1].split(", ")


def test_an_invalid_value_is_refused(heritage: Command, tiny: tuple[str, ...], own_folder: str) -> None:
    words = ("--config-dir", own_folder, *tiny, "balance/sampling=few_of_each")
    for override, message in (("balance.sampling.each=0", "balance.sampling.each=0"),
                              ("+balance.sampling.eech=2", "balance.sampling.eech")):  # fmt: skip
        done = heritage("train", *words, override)
        assert done.code == 2
        assert message in done.err
