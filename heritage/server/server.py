"""The server process: load a network, build the application, listen on a socket."""

from __future__ import annotations

import errno
import importlib
import ipaddress
import logging
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from heritage.core.event_loop import outside_of_loop
from heritage.core.manifest import Manifest
from heritage.core.terminal import print_line
from heritage.core.types import Coverage, PositiveInt, Probability
from heritage.data.module import available_cores
from heritage.errors import ConfigError, MissingDependencyError
from heritage.inference.ensemble import load_members, members_digest
from heritage.inference.test_set import run_manifest, try_run_manifest
from heritage.models.views import Views
from heritage.prediction.predictor import Predictor
from heritage.prediction.read_rule import read_outlier_rule, read_rule
from heritage.server.later_index import LaterIndex
from heritage.server.limits import Limits
from heritage.server.opening import network_line, open_page, page_address
from heritage.server.similar import SimilarObjects
from heritage.server.similar_index import build_index, index_file, open_index

log = logging.getLogger(__name__)

Port = Annotated[int, Field(ge=0, le=65_535)]

_EXTRA = ("starlette", "uvicorn", "python_multipart", "prometheus_client")


@dataclass(frozen=True)
class ServeOptions:
    """Options of `serve`.

    Attributes:
        ckpt: A run folder or checkpoint, or a list of them, whose probabilities are averaged.
        trusted: Functions or classes of the user's own that the checkpoint may name.
        host: The address to listen on; 127.0.0.1 accepts connections from this machine only.
        port: The port; 0 chooses a free one.
        names: Host names that requests may use; None: this machine's for a loopback address, else all.
        similar: Whether to show the most similar objects of the data set; ``auto``: if it is available, and
            at the first start as soon as their index is computed.
        cache: The folder for indices of similar objects, with thumbnails.
        tta: Test-time augmentation.
        prior: The class frequencies of the photographs: ``uniform`` or shares by class; None: of validation.
        threshold: Predictions with a confidence below it are "unsure"; None takes the fitted threshold.
        coverage: Promised coverage of prediction sets; None gives none.
        batch_size: Images per batch at most.
        device: Where to compute.
        limits: Limits of requests.
        open: Whether to open the page in a browser.
        outliers: Whether photographs unlike the training images get no class, if their score was fitted.
        verdicts: The CSV file to which reviewers' verdicts are added; None: the page has none.
    """

    ckpt: str | list[str]
    trusted: list[str]
    host: str
    port: Port
    names: list[str] | None
    similar: Literal["auto"] | bool
    cache: str
    threshold: Probability | None
    batch_size: PositiveInt
    device: str
    limits: Any
    tta: Views = "none"
    coverage: Coverage | None = None
    prior: str | dict[str, Any] | None = None
    open: bool = False
    verdicts: str | None = None
    outputs: str | None = None
    outliers: bool = True


def serve(options: ServeOptions, limits: Limits) -> None:
    """Serve until Ctrl-C.

    Raises:
        HeritageError: The server cannot start.
    """
    require_extra()
    import uvicorn

    from heritage.server.protocol import limited_protocol

    listener = listen(options.host, options.port)
    with listener:
        members = load_members(options.ckpt, options.trusted)
        trained, *others = members
        rule = read_rule(members, options.tta, options.prior).with_threshold(options.threshold)
        sets = rule.with_sets(options.coverage, trained.classes, tta=options.tta)
        if sets.sets is None or sets.sets.thresholds is not None:
            rule = sets
        else:
            print_line(f"Note: {sets.sets.fault}")
        outliers = read_outlier_rule(members, options.tta, wanted=options.outliers)
        predictor = Predictor(
            trained, rule, device=options.device, tta=options.tta, others=others, outliers=outliers
        )
        later = LaterIndex()
        app = build_app(predictor, options, limits, later)
        port = listener.getsockname()[1]
        address = page_address(options.host, port)
        for one in members:
            print_line(network_line(one))
        print_line(f"probabilities: {rule}")
        for note in predictor.notes:
            print_line(f"Note: {note}")
        if options.verdicts is not None:
            print_line(f"verdicts: added to {options.verdicts}")
        print_line(f"open {address} (Ctrl-C stops the server)")
        if options.open:
            open_page(address)
        config = uvicorn.Config(
            app,
            http=limited_protocol(limits.connections_per_address),
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=5,
            log_config=None,
        )
        server = uvicorn.Server(config)
        try:
            with later.running():
                outside_of_loop(
                    lambda: server.run(sockets=[listener]), stop=lambda: setattr(server, "should_exit", True)
                )
        except KeyboardInterrupt:
            print_line("stopped")


def build_app(
    predictor: Predictor, options: ServeOptions, limits: Limits, later: LaterIndex | None = None
) -> Any:
    """Build the application for a network.

    Args:
        predictor: The network.
        options: The options of the server.
        limits: Limits of requests.
        later: Computes an index of similar objects that does not exist yet; None: compute it now.
    """
    from heritage.server.about import model_info, weights_digest
    from heritage.server.app import build_application
    from heritage.server.examples import choose_examples
    from heritage.server.metrics import Metrics
    from heritage.server.service import PredictionService
    from heritage.server.verdicts import VerdictFile

    trained = predictor.trained
    weights = weights_digest(trained)
    manifest, similar = _data_set(predictor, options, weights, wait=later is None)
    examples = choose_examples(manifest, similar, trained.classes)
    identity = members_digest(predictor.networks) or weights
    verdicts = None if options.verdicts is None else VerdictFile(Path(options.verdicts), identity[:12])
    metrics = Metrics()
    service = PredictionService(
        predictor, similar, limits, metrics, batch_size=options.batch_size, decoders=available_cores()
    )
    _warm_up(predictor)
    info = model_info(
        predictor, limits, similar, examples, manifest=manifest, weights=identity,
        verdicts=verdicts is not None,
    )  # fmt: skip
    if later is not None and similar is None and manifest is not None and options.similar == "auto":
        file = index_file(Path(options.cache), weights, trained.fingerprint)

        def attach(index: SimilarObjects) -> None:
            service.similar_objects = index
            info.typical_similarity, info.similar = index.typical_similarity(), True

        later.prepare(partial(build_index, predictor, manifest, file, outputs=options.outputs), attach)
    hosts = allowed_hosts(options.host, options.names)
    names = frozenset(name.lower() for name in options.names or ())
    return build_application(
        service, examples, info, limits, metrics, hosts=hosts, names=names, verdicts=verdicts
    )


def allowed_hosts(host: str, names: list[str] | None) -> frozenset[str] | None:
    """Return the accepted host names; None accepts all.

    Args:
        host: The address that the server listens on.
        names: The names that ``names=`` gives.
    """
    if names is not None:
        return frozenset(name.lower() for name in (*names, host))
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return frozenset({"localhost", "127.0.0.1", "[::1]", host.lower()}) if is_loopback else None


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        ConfigError: The address is not one of this machine, or the port is in use.
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
        listener.listen()  # connections made while the network is loaded wait instead of being refused
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigError(
                "not an address of this machine", where=f"host={host}", remedy="use 127.0.0.1 or 0.0.0.0"
            ) from error
        raise ConfigError(
            f"cannot listen on this port ({error.strerror})",
            where=f"{host}:{port}",
            remedy="choose another, or port=0 for any free one",
        ) from error
    return listener


def require_extra() -> None:
    """Check that the packages of the web server are installed.

    Raises:
        MissingDependencyError: One is missing.
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


def _data_set(
    predictor: Predictor, options: ServeOptions, weights: str, *, wait: bool
) -> tuple[Manifest | None, SimilarObjects | None]:
    trained = predictor.trained
    if options.similar is False:
        return try_run_manifest(trained), None
    manifest = try_run_manifest(trained)
    file = index_file(Path(options.cache), weights, trained.fingerprint)
    if manifest is not None and options.similar == "auto" and not wait and not file.is_file():
        return manifest, None
    if manifest is not None:
        return manifest, build_index(predictor, manifest, file, outputs=options.outputs)
    similar = open_index(file)
    if similar is None:
        if options.similar is True:
            run_manifest(trained)  # its error names the reason
        log.warning("the data set is not available: similar objects are not shown")
    return None, similar


def _warm_up(predictor: Predictor) -> None:
    """Run the network once: the first call is slower, and no user should wait for it."""
    predictor.predict_batch(predictor.inputs.blank())
