"""Build the site into build/site/html; ``python -m website --help`` lists the options."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from website.api import write_api
from website.notebooks import NOTEBOOKS, executed
from website.offline import loaded_from_elsewhere
from website.pages import Site
from website.reference import write_reference

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "site"


def main(arguments: list[str] | None = None) -> int:
    """Build the site; return Sphinx's exit code, 1 for any warning."""
    parser = argparse.ArgumentParser(prog="python -m website", description="Build the documentation site.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the folder to write (build/site)")
    parser.add_argument(
        "--no-execute", action="store_true", help="show notebooks without the outputs of their cells"
    )
    given = parser.parse_args(arguments)
    started = time.monotonic()
    # The site needs no network and must not depend on it.
    os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}
    site = Site(ROOT, given.output / "source")
    for notebook in NOTEBOOKS:
        site.add_notebook(notebook if given.no_execute else executed(notebook, given.output / "notebooks"))
    write_reference(site)
    write_api(site)
    site.add_documents()
    code = _sphinx(site.folder, given.output)
    if elsewhere := loaded_from_elsewhere(given.output / "html"):
        print("\n".join(["loaded from other servers:", *elsewhere]), file=sys.stderr)
        code = 1
    if not code:
        print(f"{given.output / 'html' / 'index.html'}  ({time.monotonic() - started:.0f} s)")
    return code


def _sphinx(source: Path, output: Path) -> int:
    from sphinx.cmd.build import build_main

    html = output / "html"
    settings = ["-c", str(Path(__file__).parent), "-d", str(output / "doctrees")]
    return build_main(["-b", "html", "-W", "--keep-going", "-q", "-E", *settings, str(source), str(html)])


if __name__ == "__main__":
    sys.exit(main())
