"""What the server prints about the network that it opens, and opening the page in a browser."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping

from heritage.core.notebook import shortened
from heritage.core.numbers import counted
from heritage.core.terminal import print_line
from heritage.inference.checkpoint import TrainedClassifier, describe_checkpoint
from heritage.runs.data_set_name import name_of_folder

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared with, not listened on


def network_line(trained: TrainedClassifier) -> str:
    """Return which network this is, and what it was trained on, in one line."""
    data = trained.config.get("data") or {}
    reader = str((data.get("reader") or {}).get("_target_"))
    name = "the demo set" if reader.endswith(".demo") else name_of_folder(str(data.get("root") or ""))
    number = trained.training_images.images
    images = "" if number is None else f" ({counted(number, 'image')})"
    where = shortened(trained.folder or trained.file)
    return f"network: {describe_checkpoint(trained).model}, trained on {name}{images}: {where}"


def page_address(host: str, port: int) -> str:
    """Return the address of the page for a browser on this machine."""
    host = _ANY_ADDRESS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def open_page(address: str) -> None:
    """Open a page in the user's browser, in a thread; print a line where there is no browser.

    The server listens already: the browser's request waits until the application is ready.
    """
    if not has_browser(os.environ):
        print_line(f"there is no browser on this machine: open {address} in one that reaches it")
        return
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def has_browser(environment: Mapping[str, str]) -> bool:
    """Return whether a browser with a window can be opened; one in the terminal would hide the server."""
    if sys.platform in ("darwin", "win32") or environment.get("BROWSER"):
        return True
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True
