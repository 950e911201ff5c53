"""TLS: verified by default, and each way it can fail is one plain sentence and exit code 3."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job import NewJob
from ironforge.queue import tls
from ironforge.queue.backend import RedisQueue
from tests.forms.certificates import Authority, Pair, self_signed
from tests.forms.nodes import Node
from tests.needs import needs
from tests.system.processes import environment, ironforge

# The embedded server has no TLS built in; Debian's has.
pytestmark = needs("redis-server", "openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pairs(authority: Authority) -> dict[str, Pair]:
    return {
        "good": authority.pair("good"),
        "wrong name": authority.pair("wrong", "DNS:redis.example"),
        "expired": authority.pair("expired", days=-1),
        "client": authority.pair("client"),
        "self-signed": self_signed(authority.root.parent, "self"),
    }


@pytest.fixture
def served(authority: Authority, pairs: dict[str, Pair], tmp_path: Path) -> Iterator[dict[str, str]]:
    """URLs without options: `<certificate>` and `asks`, which wants a certificate of its clients too."""
    nodes: list[Node] = []

    def serve(pair: Pair, clients: str) -> str:
        node = Node(
            tmp_path,
            "redis-server",
            [],
            client_options={"ssl": True, "ssl_ca_certs": str(authority.root)},
        )
        nodes.append(node)
        return _configured(node, pair, authority, clients)

    urls = {name: serve(pairs[name], "no") for name in ("good", "wrong name", "expired", "self-signed")}
    urls["asks"] = serve(pairs["good"], "yes")
    yield urls
    for node in nodes:
        node.stop()


def _configured(node: Node, pair: Pair, authority: Authority, clients: str, more: Sequence[str] = ()) -> str:
    lines = [
        *more,
        "port 0", f"tls-port {node.port}", f"tls-cert-file {pair.certificate}", f"tls-key-file {pair.key}",
        f"tls-ca-cert-file {authority.root}", f"tls-auth-clients {clients}",
    ]  # fmt: skip
    node.configure(lines)
    node.start(wait=False)
    node.await_port()
    return f"rediss://127.0.0.1:{node.port}"


async def test_a_verified_server_and_a_client_certificate(
    served: dict[str, str], authority: Authority, pairs: dict[str, Pair]
) -> None:
    trusted = f"?ssl_ca_certs={authority.root}"
    client = pairs["client"]
    for url in (
        served["good"] + trusted,
        served["wrong name"] + trusted + "&ssl_check_hostname=false",
        f"{served['asks']}{trusted}&ssl_certfile={client.certificate}&ssl_keyfile={client.key}",
    ):
        async with RedisQueue(url, "t") as queue:
            job = await queue.enqueue(NewJob("greet"))
            assert (await queue.get(job.id)).kind == "greet"


async def test_over_tls_to_a_sentinel_and_to_its_master(
    served: dict[str, str], authority: Authority, pairs: dict[str, Pair], tmp_path: Path
) -> None:
    monitored = served["good"].rpartition(":")[2]
    sentinel = Node(
        tmp_path, "redis-server", sentinel=True, client_options={"ssl": True, "ssl_ca_certs": str(authority.root)}
    )  # fmt: skip
    lines = ["tls-replication yes", f"sentinel monitor forge 127.0.0.1 {monitored} 1"]
    try:
        url = _configured(sentinel, pairs["good"], authority, "no", lines)
        place = f"{url.removeprefix('rediss://')}/forge?ssl_ca_certs={authority.root}"
        async with RedisQueue(f"rediss+sentinel://{place}", "t") as queue:
            assert (await queue.get((await queue.enqueue(NewJob("greet"))).id)).kind == "greet"
    finally:
        sentinel.stop()


REFUSED = {
    "good": ("", "its issuer is not known here|signed by an issuer nobody here trusts"),
    "self-signed": ("", "it is self-signed"),
    "wrong name": ("?ssl_ca_certs={root}", "it is for another address"),
    "expired": ("?ssl_ca_certs={root}", "it has expired"),
    "asks": ("?ssl_ca_certs={root}", "wants a TLS certificate of its clients"),
}


async def test_what_cannot_be_verified_is_refused_in_one_sentence(
    served: dict[str, str], authority: Authority
) -> None:
    for name, (options, words) in REFUSED.items():
        url = served[name] + options.format(root=authority.root)
        for _ in range(20):
            queue = RedisQueue(url, "t")
            with pytest.raises(StoreUnavailable) as refused:
                await queue.open()
            await queue.close()
            assert "127.0.0.1" not in str(refused.value)
            # A server that closes at once may do so before its reason was read.
            if str(refused.value) != "Redis cannot be reached":
                break
        assert re.search(words, str(refused.value))


async def test_no_verification_is_possible_and_said_loudly(
    served: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    tls._warned.clear()
    with caplog.at_level(logging.WARNING, "ironforge.redis"):
        async with RedisQueue(served["expired"] + "?ssl_cert_reqs=none", "t") as queue:
            await queue.enqueue(NewJob("greet"))
    (record,) = caplog.records
    assert "NOT verified" in record.message and record.levelno == logging.WARNING


def test_commands_end_with_3_and_one_sentence(served: dict[str, str], tmp_path: Path) -> None:
    # A server and a worker wait for a Redis that cannot be used now: certificates get renewed.
    for words in (["doctor"], ["bench", "--jobs", "100"]):
        found = subprocess.run(
            ironforge(*words),
            env=environment(served["self-signed"], "t", BIND_ADDR="127.0.0.1:0"),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        assert found.returncode == 3, (words, found.returncode, found.stderr)
        sentences = [line for line in found.stderr.splitlines() if line.startswith("ironforge: ")]
        assert len(sentences) == 1 and "it is self-signed" in sentences[0], found.stderr
        assert "Traceback" not in found.stderr
