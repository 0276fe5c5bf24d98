"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """What the server counts, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "heritage_requests_total", "Requests", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "heritage_request_seconds", "From the request's head to the end of its answer", ["path"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self.answers = Counter(
            "heritage_answers_total", "Pictures by answer", ["answer"], registry=self._registry
        )
        self.batches = Histogram(
            "heritage_batch_pictures", "Pictures a batch", buckets=_SIZES, registry=self._registry
        )

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show a value that changes by itself."""
        Gauge(name, what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)
