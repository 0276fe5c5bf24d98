"""Imports at the start of each command, and the help texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from heritage.cli import COMMANDS
from heritage.core.files import config_dir
from tests.config.test_composition import NEEDED
from tests.conftest import Command

HEAVY = ("albumentations", "cv2", "matplotlib", "numpy", "pyarrow", "pytorch_lightning", "scipy", "timm",
         "torch", "wandb")  # fmt: skip
VALIDATION = ("pydantic",)
HYDRA = ("hydra", "omegaconf")


def started(code: str, folder: Path) -> tuple[str, str, set[str]]:
    """Run code in a new process; return its output, its errors and the packages it imported."""
    # Seconds depend on the machine and its load; what is imported does not.
    program = (
        f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=open('modules', 'w')))\n{code}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    names = folder / "modules"
    modules = {name.partition(".")[0] for name in names.read_text().split()}
    names.unlink()
    return done.stdout, done.stderr, modules


def command_line(*words: str) -> str:
    """Return Python code that runs ``heritage …``."""
    return f"import sys; sys.argv = {['heritage', *words]}\nfrom heritage.__main__ import main; main()"


def test_importing_the_package_imports_nothing_else(tmp_path: Path) -> None:
    _, _, modules = started("import heritage", tmp_path)
    assert modules & {*HEAVY, *VALIDATION, *HYDRA, "rich"} == set()


def test_the_list_of_commands_imports_nothing_else(tmp_path: Path) -> None:
    out, _, modules = started(command_line(), tmp_path)
    assert all(f"\n  {verb} " in out for verb in COMMANDS)
    assert modules & {*HEAVY, *VALIDATION, *HYDRA, "rich"} == set()


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    out, _, modules = started(command_line("train", "--help"), tmp_path)
    assert modules & {*HEAVY, *VALIDATION} == set()
    balances = sorted(path.stem for path in (config_dir() / "balance").glob("*.yaml"))
    assert {"none", "weights", "undersample", "oversample", "sampler"} <= set(balances)
    assert f"balance: {', '.join(balances)}".replace("none", "[none]") in out
    assert not list(tmp_path.iterdir()), "help writes nothing"


@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain", "export", "serve"])
def test_a_missing_checkpoint_is_reported_before_torch_is_imported(tmp_path: Path, verb: str) -> None:
    words = ["ckpt=runs/nothing", *(["input=photographs"] if verb == "predict" else [])]
    _, err, modules = started(command_line(verb, *words), tmp_path)
    assert err.startswith(f"heritage {verb}: runs/nothing: no such checkpoint; look into outputs/train/")
    assert err.count("\n") == 1
    assert modules & {*HEAVY} == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["modle=vit"], "did you mean 'model'?"),
        (["model=vti"], "did you mean 'vit'?"),
        (["model.drop_rat=0.1"], "did you mean 'drop_rate'?"),
        (["data.batch_size=0"], "greater than or equal to 1"),
        (["+trainer.max_epoch=3"], "did you mean 'max_epochs'?"),
        (["-m", "seed=1,2", "optimizer.lr=-1"], "greater than 0"),
    ],
)
def test_a_configuration_error_imports_no_torch(tmp_path: Path, words: list[str], expected: str) -> None:
    _, err, modules = started(command_line("train", *words), tmp_path)
    assert expected in err
    assert modules & set(HEAVY) == set()


@pytest.mark.parametrize("verb", [verb for verb in COMMANDS if verb not in ("collect", "train")])
def test_every_command_validates_before_it_imports(tmp_path: Path, verb: str) -> None:
    given = [word.partition("=")[0] + "=x" for word in NEEDED.get(verb, [])]
    _, err, modules = started(command_line(verb, *given, "+no_such_key=1"), tmp_path)
    assert "no_such_key" in err
    assert modules & set(HEAVY) == set()


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_help_of_every_command_shows_its_configuration(heritage: Command, verb: str) -> None:
    shown = heritage(verb, "--help")
    head = (config_dir() / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert shown.code == 0
    assert shown.out.startswith(head)
    assert "paths:\n  outputs: outputs\n" in shown.out


def test_help_shows_the_chosen_options(heritage: Command) -> None:
    shown = heritage("train", "--help", "model=vit", "data.batch_size=7").out
    assert "[vit], vit_pretrained" in shown
    assert "batch_size: 7\n" in shown
    assert "+experiment: crt, recommended_pretrained, recommended_scratch, thesis/baseline, " in shown
    assert "\nsource:" not in shown, "training has no museum"
    assert "_common" not in shown, "a file shared by others is not an option"


def test_help_explains_a_misspelt_group(heritage: Command) -> None:
    refused = heritage("train", "--help", "modle=vit")
    assert refused.code == 2
    assert "did you mean 'model'?" in refused.err
