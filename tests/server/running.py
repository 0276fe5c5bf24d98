"""Run a server in a thread of this process, on a free port."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from heritage.inference.checkpoint import load_checkpoint
from heritage.prediction.decision_rule import read_decision_rule
from heritage.prediction.predictor import Predictor
from heritage.server.limits import Limits
from heritage.server.protocol import TimeoutProtocol
from heritage.server.server import ServeOptions, build_app, listen

LIMITS: dict[str, Any] = {
    "megabytes": 4, "megapixels": 20, "pictures": 5, "held_megabytes": 30, "waiting": 300,
    "upload_seconds": 2, "response_seconds": 20, "connections": 400, "per_minute": None,
}  # fmt: skip


@contextlib.contextmanager
def serving(ckpt: Path, cache: Path, **limits: Any) -> Iterator[str]:
    """Serve a checkpoint and yield the address."""
    server_limits = Limits(**LIMITS | limits)
    options = ServeOptions(str(ckpt), [], "127.0.0.1", 0, None, "auto", str(cache), None, 16, "cpu", None)
    trained = load_checkpoint(ckpt)
    app = build_app(
        Predictor(trained, read_decision_rule(trained.folder), device="cpu"), options, server_limits
    )
    with running(app, server_limits.connections) as address:
        yield address


@contextlib.contextmanager
def running(app: Any, connections: int = 400) -> Iterator[str]:
    """Run an application and yield its address."""
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            app, http=TimeoutProtocol, ws="none", log_config=None, limit_concurrency=connections,
            server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
