"""The built wheel, installed in a clean environment, works far from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from heritage.core.files import PACKAGE
from tests.conftest import TINY, write_tree

CHECKOUT = PACKAGE.parent


def call(*words: str | Path, cwd: Path, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    command = [str(word) for word in words]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    done = call(sys.executable, "-m", "build", "-w", "-n", "-o", dist, CHECKOUT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packed = {name.removeprefix("heritage/conf/") for name in names if name.startswith("heritage/conf/")}
    assert packed == {
        path.relative_to(CHECKOUT / "conf").as_posix() for path in (CHECKOUT / "conf").rglob("*.yaml")
    }
    assert not [name for name in names if name.startswith(("tests/", "conf/", "outputs/"))]
    assert "heritage/py.typed" in names
    page = CHECKOUT / "heritage" / "server" / "static"
    assert {path.relative_to(CHECKOUT).as_posix() for path in page.rglob("*.*")} <= set(names)
    assert "hydra_plugins/heritage_sweep.py" in names

    # A clean environment with the locked packages of this one: the wheel itself is all that is installed.
    clean = tmp_path / "clean"
    done = call(sys.executable, "-m", "venv", "--without-pip", clean, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    python = clean / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = clean / "lib" / version / "site-packages"
    locked = Path(sys.prefix) / "lib" / version / "site-packages"
    for entry in locked.iterdir():
        if not entry.name.startswith(
            ("heritage", "hydra_plugins", "_heritage", "_editable_impl_heritage", "__editable__")
        ):
            (site / entry.name).symlink_to(entry)
    _install(wheel, site, clean)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = call(python, "-c", "import heritage; print(heritage.__file__)", cwd=elsewhere)
    assert done.stdout.strip() == str(site / "heritage" / "__init__.py")
    done = call(python, "-m", "heritage", cwd=elsewhere)
    assert "train" in done.stdout

    tree = write_tree(tmp_path / "set")
    words = [*TINY, f"data.root={tree}"]
    done = call(python, "-m", "heritage.train", *words, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert len(list(elsewhere.glob("outputs/train/*/*/report.md"))) == 1
    done = call(python, clean / "bin" / "heritage", "train", "-m", *words, "seed=1", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert len(list(elsewhere.glob("outputs/sweeps/*/*/report.md"))) == 1, "Hydra finds the launcher"
    assert {path.name for path in elsewhere.iterdir()} == {"outputs"}
    shutil.rmtree(elsewhere)


def _install(wheel: Path, site: Path, environment: Path) -> None:
    """Do what an installer does with a pure wheel: uv's environments have no pip to do it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        entry = archive.read(
            next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        ).decode()
    assert "heritage = heritage.__main__:main" in entry
    script = environment / "bin" / "heritage"
    script.write_text("import sys\nfrom heritage.__main__ import main\nsys.exit(main())\n")
