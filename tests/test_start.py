"""How fast help comes, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from heritage.cli import COMMANDS
from heritage.core.files import config_dir
from tests.conftest import Command


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    # Seconds depend on the machine; what makes them is what is imported.
    code = (
        "import sys; sys.argv = ['heritage.train', '--help']\n"
        "try:\n    import heritage.train; heritage.train.main()\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "print(sorted(set(sys.modules) & {'torch', 'timm', 'pytorch_lightning', 'albumentations', 'numpy',"
        " 'pydantic', 'pyarrow', 'matplotlib', 'wandb'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
    balances = sorted(path.stem for path in (config_dir() / "balance").glob("*.yaml"))
    assert {"none", "weights", "undersample", "oversample", "sampler"} <= set(balances)
    assert f"balance: {', '.join(balances)}".replace("none", "[none]") in done.stdout
    assert not list(tmp_path.iterdir()), "help writes nothing"


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_commands_help_shows_what_it_takes(heritage: Command, verb: str) -> None:
    shown = heritage(verb, "--help")
    head = (config_dir() / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert shown.code == 0
    assert shown.out.startswith(head)
    assert "paths:\n  outputs: outputs\n" in shown.out


def test_help_shows_the_options_chosen(heritage: Command) -> None:
    shown = heritage("train", "--help", "model=vit", "data.batch_size=7").out
    assert "[vit], vit_pretrained" in shown
    assert "batch_size: 7\n" in shown
    assert "+experiment: crt, recommended_pretrained, recommended_scratch, thesis/baseline, " in shown
    assert "\nsource:" not in shown, "training takes no museum"
    assert "_common" not in shown, "a part of other files is no option"


def test_help_explains_a_misspelt_group(heritage: Command) -> None:
    refused = heritage("train", "--help", "modle=vit")
    assert refused.code == 2
    assert "did you mean 'model'?" in refused.err
