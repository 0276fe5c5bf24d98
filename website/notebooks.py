"""Execute the notebooks of docs/notebooks; an executed copy is kept until the notebook or the code changes.

The repository holds notebooks without outputs: outputs are large, change with every run and hide what a
commit changes. `make check` runs the tests, which execute them, before it builds the site from these copies.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from heritage.core.files import PACKAGE, config_dir

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
_TIMEOUT_S = 600  # of a cell, on a busy machine


def executed(notebook: Path, folder: Path) -> Path:
    """Return an executed copy of a notebook.

    Args:
        notebook: The notebook.
        folder: Where executed copies are kept.

    Raises:
        CellExecutionError: A cell raises an exception.
    """
    path = folder / _digest(notebook) / notebook.name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _execute(notebook, path)
    return path


def _execute(notebook: Path, result: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as given:
        folder = str(Path(given).resolve())
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        # A small network gains little from more threads.
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": paths}
        client = NotebookClient(
            content, timeout=_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute(env=environment)
        text = nbformat.writes(content).replace(f"{folder}/", "")
    result.write_text(text, encoding="utf-8")


def _digest(notebook: Path) -> str:
    digest = hashlib.sha256(notebook.read_bytes())
    for folder, pattern in ((PACKAGE, "*.py"), (config_dir(), "*.yaml")):
        for path in sorted(folder.rglob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
