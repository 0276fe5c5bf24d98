"""Run a server in a thread of this process, on a free port."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import uvicorn
from starlette.types import ASGIApp
from torch import Tensor

from heritage.core.image_io import Pixels, encode_jpeg
from heritage.inference.checkpoint import load_checkpoint
from heritage.inference.prior import Prior
from heritage.prediction.batch_prediction import BatchPrediction
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.predictor import Predictor
from heritage.prediction.read_rule import read_rule
from heritage.server.app import build_application
from heritage.server.examples import ExampleImages
from heritage.server.limits import Limits
from heritage.server.metrics import Metrics
from heritage.server.protocol import limited_protocol
from heritage.server.schemas import ModelInfo
from heritage.server.server import ServeOptions, allowed_hosts, build_app, listen
from heritage.server.service import PredictionService
from heritage.server.verdicts import VerdictFile

LIMITS: dict[str, Any] = {
    "megabytes": 4, "megapixels": 20, "pictures": 5, "held_megabytes": 30, "waiting": 300,
    "upload_seconds": 2, "response_seconds": 20, "connections": 400, "per_minute": None,
}  # fmt: skip


@contextlib.contextmanager
def serving(
    ckpt: Path,
    cache: Path,
    verdicts: Path | None = None,
    coverage: float | None = None,
    prior: Prior | None = None,
    **limits: Any,
) -> Iterator[str]:
    """Serve a checkpoint and yield the address."""
    server_limits = Limits(**LIMITS | limits)
    options = ServeOptions(
        str(ckpt), [], "127.0.0.1", 0, None, "auto", str(cache), None, 16, "cpu", None,
        verdicts=None if verdicts is None else str(verdicts),
    )  # fmt: skip
    trained = load_checkpoint(ckpt)
    rule = read_rule([trained], prior=prior).with_sets(coverage, trained.classes)
    app = build_app(Predictor(trained, rule, device="cpu"), options, server_limits)
    with running(app, server_limits.connections) as address:
        yield address


@contextlib.contextmanager
def running(app: Any, connections: int = 400, per_address: int | None = None) -> Iterator[str]:
    """Run an application and yield its address."""
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            app, http=limited_protocol(per_address), ws="none", log_config=None, server_header=False,
            limit_concurrency=connections, timeout_graceful_shutdown=1,
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


class StubNetwork:
    """A network of two classes that predicts the first, at once."""

    classes = ("egyptian", "asian")
    decision_rule = DecisionRule()
    image_size = 8

    def predict_batch(self, images: Tensor) -> BatchPrediction:
        count = len(images)
        return BatchPrediction(np.tile([0.75, 0.25], (count, 1)), np.zeros((count, 3), dtype=np.float32))

    def prepare(self, pixels: Pixels) -> Pixels:
        return np.zeros((8, 8, 3), dtype=np.uint8)

    def saliency(self, pixels: Pixels, target: int) -> npt.NDArray[np.float32]:
        return np.zeros((8, 8), dtype=np.float32)


def stub_app(*, names: tuple[str, ...] = (), verdicts: Path | None = None, **limits: Any) -> ASGIApp:
    """Build the application around a `StubNetwork`: tests of HTTP need no training."""
    server_limits, metrics = Limits(**LIMITS | limits), Metrics()
    service = PredictionService(StubNetwork(), None, server_limits, metrics, batch_size=4, decoders=2)
    about = ModelInfo(
        classes=["egyptian", "asian"], names={}, calibration="none", calibrated=False, threshold=None,
        crop=1.0, macro_f1=None, test_images=None, rare=[], similar=False, pictures=5, megabytes=4,
        megapixels=20, probabilities="", all_unsure=False, notes=[], drawn=False, examples_drawn=False,
        examples=["examples/0.jpg"], verdicts=verdicts is not None,
    )  # fmt: skip
    examples = ExampleImages((encode_jpeg(np.zeros((8, 8, 3), np.uint8)),))
    hosts = allowed_hosts("127.0.0.1", list(names) or None)
    file = None if verdicts is None else VerdictFile(verdicts, "stub")
    return build_application(
        service, examples, about, server_limits, metrics, hosts=hosts, names=names, verdicts=file
    )
