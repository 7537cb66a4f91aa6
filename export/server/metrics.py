"""The server's Prometheus metrics.

Names are TensorFlow Serving's where it has them, times are in microseconds. Rows per batch and
process metrics are added.
"""

import re

import prometheus_client

from export.server.errors import CODES

_PREFIX = ":tensorflow:serving:"


def _exponential(first, factor, count):
    """Upper bounds of buckets, each so many times the one before."""
    return [first * factor**i for i in range(count)]


class Metrics:
    """The counters of one server.

    Args:
        model: the name of the model. Requests for other names count as one, so that a client
            cannot make up labels without end.
    """

    def __init__(self, model):
        self._model = model
        self._registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._registry)
        self._requests = prometheus_client.Counter(
            f"{_PREFIX}request_count",
            "Requests by how they ended.",
            ["model_name", "status"],
            registry=self._registry,
        )
        self._latency = prometheus_client.Histogram(
            f"{_PREFIX}request_latency",
            "Microseconds from the request to its answer.",
            ["model_name", "API", "entrypoint"],
            buckets=_exponential(10, 1.8, 32),
            registry=self._registry,
        )
        self._runtime = prometheus_client.Histogram(
            f"{_PREFIX}runtime_latency",
            "Microseconds of one run of the graph.",
            ["model_name", "API", "runtime"],
            buckets=_exponential(10, 1.8, 32),
            registry=self._registry,
        )
        self._queuing = prometheus_client.Histogram(
            f"{_PREFIX}batching_session:queuing_latency",
            "Microseconds that a request waited for its batch to start.",
            ["thread_pool_name"],
            buckets=_exponential(100, 1.2, 51),
            registry=self._registry,
        )
        self._rows = prometheus_client.Histogram(
            f"{_PREFIX}batching_session:batch_size",
            "Rows of one run of the graph.",
            buckets=_exponential(1, 2, 11),
            registry=self._registry,
        )

    def answered(self, model, code, api=None, entrypoint=None, seconds=None):
        """Counts a request.

        Args:
            model: the name that was asked for.
            code: the canonical code that it ended with, such as "OK".
            api: "predict", …; entrypoint: "REST" or "GRPC"; seconds: how long it took. All three
                for a request that ended well, as TensorFlow Serving does it.
        """
        model = model if model == self._model else "unknown"
        self._requests.labels(model, code if code in CODES else "UNKNOWN").inc()
        if code == "OK" and seconds is not None:
            self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)

    def ran(self, rows, seconds, waits):
        """Counts a run of the graph: its rows, its seconds, the seconds that requests waited."""
        self._runtime.labels(self._model, "Predict", "TF1").observe(seconds * 1e6)
        self._rows.observe(rows)
        for wait in waits:
            self._queuing.labels("batch").observe(max(0.0, wait) * 1e6)

    def page(self):
        """The page, bytes of Prometheus' text format 0.0.4."""
        page = prometheus_client.generate_latest(self._registry).decode()
        # The library adds an ending and a series that TensorFlow Serving does not have.
        page = re.sub(r"(?m)^(# (HELP|TYPE) )?\S+_created\b.*\n", "", page)
        return page.replace("request_count_total", "request_count").encode()
