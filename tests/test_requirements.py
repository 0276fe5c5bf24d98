"""The two locks: what training and serving need, and what tests need on top of it."""

from __future__ import annotations

import re
import tomllib

import pytest

from heritage.core.files import PACKAGE

ROOT = PACKAGE.parent
USER, DEV = "requirements.lock", "requirements-dev.lock"


def blocks(name: str) -> dict[str, str]:
    """Package → its requirement with hashes, without the comments on who needs it."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    found = re.split(r"\n(?=\S)", "\n".join(lines))
    return {re.split(r"[=<>\[ ;]", block)[0]: block.split(" ;")[0].strip() for block in found}


def pins(name: str) -> dict[str, str]:
    return {package: block.split()[0] for package, block in blocks(name).items()}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[=<>!\[ ;]", line)[0].lower() for line in requirements}


def test_both_locks_have_the_same_versions() -> None:
    user, dev = pins(USER), pins(DEV)
    assert user.items() < dev.items()


@pytest.mark.parametrize("name", [USER, DEV])
def test_every_locked_package_has_a_hash(name: str) -> None:
    text = (ROOT / name).read_text()
    requirements = len(re.findall(r"(?m)^[a-z0-9][^\n]*==", text))
    assert requirements == len(re.findall(r"(?m)^[a-z0-9][^\n]* \\\n    --hash=sha256:", text)) > 100
    assert "://" not in text


def test_the_locks_cover_what_pyproject_lists() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    own = sum(
        (extras[name] for name in ("serve", "excel", "heic", "slurm", "weights")), project["dependencies"]
    )
    assert names(own) <= pins(USER).keys()
    everything = names(sum(extras.values(), project["dependencies"])) - {"heritage"}
    assert everything <= pins(DEV).keys()
    assert not {"pytest", "mypy", "selenium", "onnx"} & pins(USER).keys(), "they are of no use to a newcomer"
