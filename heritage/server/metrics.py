"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The server's counters and histograms, in a separate registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "heritage_requests_total", "Requests", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "heritage_request_seconds", "From a request's headers to the end of its response", ["path"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self.predictions = Counter(
            "heritage_predictions_total", "Images by prediction", ["prediction"], registry=self._registry
        )
        self.batches = Histogram(
            "heritage_batch_pictures", "Images per batch", buckets=_SIZES, registry=self._registry
        )

    def gauge(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """Add a metric whose value is computed when it is read."""
        Gauge(name, documentation, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)
