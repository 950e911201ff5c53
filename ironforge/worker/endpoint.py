"""`--metrics-addr`: what this worker process knows of itself, for Prometheus.

Jobs are counted on the server's /metrics, true for all workers; here are only this host's processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ironforge.config import split_address
from ironforge.errors import ConfigError, StartupError

Readings = Callable[[], dict[str, float]]
_HELP = {
    "children": "Worker processes that run now.",
    "children_wanted": "Worker processes that should run.",
    "crashes": "Worker processes that died by themselves since this supervisor started.",
    "rss_bytes": "Resident memory of the worker processes.",
}


class _Collector:
    def __init__(self, read: Readings) -> None:
        self._read = read

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, value in self._read().items():
            family = CounterMetricFamily if name == "crashes" else GaugeMetricFamily
            metric = family(f"ironforge_worker_{name}", _HELP[name])
            metric.add_metric([], value)
            yield metric


def serve_metrics(address: str, read: Readings) -> Callable[[], None]:
    """Answers on the address from a thread; gives the way to stop it. Raises ConfigError, StartupError."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError:
        raise ConfigError("--metrics-addr needs prometheus-client: pip install 'ironforge[server]'") from None
    host, port = split_address(address)
    registry = CollectorRegistry()
    registry.register(_Collector(read))  # pyright: ignore[reportArgumentType]
    try:
        server, thread = start_http_server(port, host or "127.0.0.1", registry)
    except OSError as error:
        raise StartupError(f"--metrics-addr {address} cannot be used: {error.strerror}") from None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)

    return stop
