"""The server process: a network, its page, a socket."""

from __future__ import annotations

import importlib
import ipaddress
import json
import logging
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CIVILISATIONS
from heritage.core.types import PositiveInt, Probability
from heritage.data.module import available_cores
from heritage.errors import ConfigError, MissingDependencyError
from heritage.inference.checkpoint import TrainedClassifier, load_checkpoint
from heritage.inference.test_set import run_manifest, try_run_manifest
from heritage.prediction.decision_rule import read_decision_rule
from heritage.prediction.predictor import Device, Predictor
from heritage.runs.files import DATA_FILE, METRICS_FILE
from heritage.server.limits import Limits
from heritage.server.similar import SimilarObjects, build_neighbours

log = logging.getLogger(__name__)

Port = Annotated[int, Field(ge=0, le=65_535)]

_EXTRA = ("starlette", "uvicorn", "python_multipart", "prometheus_client")
_RARE = 0.5  # of the mean number of photographs a class


@dataclass(frozen=True)
class ServeOptions:
    """What is served, and to whom.

    Attributes:
        ckpt: A checkpoint or run folder.
        host: The address to listen at; 127.0.0.1 is this machine alone.
        port: 0 takes a free one.
        names: Names under which others may ask, where ``host`` is not this machine alone; None allows all.
        similar: Whether to show the most similar objects of its data set: ``auto`` where it is there.
        cache: The folder where its embeddings are kept.
        threshold: Answers below it are "unsure"; None is the calibration's.
        batch_size: Pictures at a time that the network is asked about.
        device: Where to compute.
        limits: What is accepted.
    """

    ckpt: str
    host: str
    port: Port
    names: list[str] | None
    similar: Literal["auto"] | bool
    cache: str
    threshold: Probability | None
    batch_size: PositiveInt
    device: Device
    limits: Any


def serve(wanted: ServeOptions, limits: Limits) -> None:
    """Serve until somebody presses Ctrl-C.

    Raises:
        HeritageError: Whatever keeps the server from starting.
    """
    require_extra()
    import uvicorn

    from heritage.server.protocol import PatientProtocol

    listener = listen(wanted.host, wanted.port)
    with listener:
        trained = load_checkpoint(wanted.ckpt)
        decision_rule = read_decision_rule(trained.folder).with_threshold(wanted.threshold)
        predictor = Predictor(trained, decision_rule, device=wanted.device)
        app = build_app(predictor, wanted, limits)
        port = listener.getsockname()[1]
        shown = f"[{wanted.host}]" if ":" in wanted.host else wanted.host
        print(f"probabilities: {decision_rule}")
        print(f"open http://{shown}:{port} (Ctrl-C ends)", flush=True)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=5,
            log_config=None,
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            print("stopped")


def build_app(predictor: Predictor, wanted: ServeOptions, limits: Limits) -> Any:
    """Build the application around a network."""
    from heritage.server.app import application
    from heritage.server.examples import find_exhibits
    from heritage.server.metrics import Metrics
    from heritage.server.service import PredictionService

    trained = predictor.trained
    manifest, neighbours = _data(predictor, wanted)
    exhibits = find_exhibits(manifest, trained.classes)
    metrics = Metrics()
    desk = PredictionService(
        predictor, neighbours, limits, metrics, batch_size=wanted.batch_size, readers=available_cores()
    )
    _warm_up(predictor)
    about = _about(predictor, limits, neighbours is not None, len(exhibits.examples))
    return application(desk, exhibits, about, limits, metrics, hosts=allowed_hosts(wanted.host, wanted.names))


def allowed_hosts(host: str, names: list[str] | None) -> frozenset[str] | None:
    """Return the names under which the server may be asked; None allows all."""
    if names is not None:
        return frozenset(name.lower() for name in (*names, host))
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = host == "localhost"
    return frozenset({"localhost", "127.0.0.1", "[::1]", host.lower()}) if alone else None


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket.

    Raises:
        ConfigError: The address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(
            f"no such address ({error.strerror})", where=f"host={host}", remedy="use 127.0.0.1 or 0.0.0.0"
        ) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()  # who comes while the network is loaded waits instead of being turned away
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen there ({error.strerror})",
            where=f"{host}:{port}",
            remedy=f"choose another, port={port + 1}, or port=0 for any",
        ) from error
    return listener


def require_extra() -> None:
    """Make sure that the web server's packages are there.

    Raises:
        MissingDependencyError: One is not.
    """
    for name in _EXTRA:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingDependencyError(
                f"the package {name.replace('_', '-')} is not installed",
                where="heritage serve",
                remedy="pip install 'heritage[serve]'",
            ) from error


def _data(predictor: Predictor, wanted: ServeOptions) -> tuple[Manifest | None, SimilarObjects | None]:
    trained = predictor.trained
    if wanted.similar is False:
        return try_run_manifest(trained), None
    manifest = run_manifest(trained) if wanted.similar is True else try_run_manifest(trained)
    if manifest is None:
        log.warning("the data set is not where it was: no similar objects are shown")
        return None, None
    return manifest, build_neighbours(predictor, manifest, Path(wanted.cache))


def _warm_up(predictor: Predictor) -> None:
    """Ask once, so that the first person does not wait for what happens only the first time."""
    import torch

    size = predictor.image_size
    predictor.predict_batch(torch.zeros(1, size, size, 3, dtype=torch.uint8))


def _about(predictor: Predictor, limits: Limits, similar: bool, examples: int) -> Any:
    from heritage.server.schemas import ModelInfo

    trained, decision_rule = predictor.trained, predictor.decision_rule
    metrics = _record(trained, METRICS_FILE)
    train = _record(trained, DATA_FILE).get("counts", {}).get("train", {})
    mean = sum(train.values()) / max(len(train), 1)
    return ModelInfo(
        classes=list(trained.classes),
        names={name: CIVILISATIONS.get(name, name) for name in trained.classes},
        calibration=str(decision_rule),
        calibrated=decision_rule.fitted,
        crop=trained.crop_pct,
        threshold=decision_rule.threshold,
        macro_f1=metrics.get("macro_avg", {}).get("f1"),
        test_images=metrics.get("images"),
        rare=[name for name, count in train.items() if count < _RARE * mean],
        similar=similar,
        pictures=limits.pictures,
        megabytes=limits.megabytes,
        megapixels=limits.megapixels,
        examples=[f"examples/{number}.jpg" for number in range(examples)],
    )


def _record(trained: TrainedClassifier, name: str) -> dict[str, Any]:
    path = None if trained.folder is None else trained.folder / name
    if path is None or not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        log.warning("%s is unreadable (%s)", path, error)
        return {}
