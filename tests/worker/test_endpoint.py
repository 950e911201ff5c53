"""`--metrics-addr`: what cannot be served is said in one sentence."""

from __future__ import annotations

import socket
import sys
import urllib.request

import pytest

from ironforge.errors import ConfigError, StartupError
from ironforge.worker.endpoint import serve_metrics


def test_an_address_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StartupError, match="cannot be used"):
            serve_metrics(f"127.0.0.1:{taken.getsockname()[1]}", dict)


def test_without_the_package_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match="pip install"):
        serve_metrics("127.0.0.1:0", dict)


def test_its_port_is_free_again_after_the_stop() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = serve_metrics(f"127.0.0.1:{port}", lambda: {"children": 2.0, "crashes": 1.0})
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    assert "ironforge_worker_children 2.0" in text and "ironforge_worker_crashes_total 1.0" in text
    stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
