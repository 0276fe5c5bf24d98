"""How fast help comes, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from heritage.paths import config_dir


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
    assert f"balance: {', '.join(balances)}" in done.stdout
    assert not list(tmp_path.iterdir()), "help writes nothing"
