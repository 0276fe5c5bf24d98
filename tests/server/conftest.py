"""A server for the tests of malicious and faulty clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import serving


@pytest.fixture(scope="session")
def address(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(run_folder, tmp_path_factory.mktemp("cache")) as address:
        yield address
