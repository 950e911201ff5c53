"""Redis servers on free loopback ports: alone, behind Sentinels, and in a Cluster. Each owner stops what it started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.forms.lag import SlowLine
from tests.system.processes import await_port, free_port
from tests.waiting import wait_until

QUIET = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError)


class Node:
    """One server process. `options` are its configuration, line by line; TLS options make its client speak TLS."""

    def __init__(
        self,
        folder: Path,
        binary: str,
        options: Sequence[str] = (),
        *,
        client_options: dict[str, Any] | None = None,
        before: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        sentinel: bool = False,
    ) -> None:
        self.port = free_port()
        self.folder = folder / f"{'sentinel' if sentinel else 'node'}-{self.port}"
        self.folder.mkdir(parents=True)
        self.url = f"redis://127.0.0.1:{self.port}"
        self._client_options = client_options or {}
        self._environment = environment
        self._config = self.folder / "node.conf"  # a Sentinel and a Cluster node write to theirs
        self._sentinel = sentinel
        self.configure([f"port {self.port}", *options])
        self._command = [*before, binary, str(self._config), *(["--sentinel"] if sentinel else [])]
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, options: Sequence[str]) -> None:
        """For its next start."""
        lines = [f"dir {self.folder}", f"logfile {self.folder / 'log'}", "bind 127.0.0.1", *options]
        if not self._sentinel:
            lines += ['save ""']
        self._config.write_text("\n".join(lines) + "\n")

    def start(self, *, wait: bool = True) -> Node:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, cwd=self.folder, env=self._environment
        )
        if wait:
            wait_until(self.answers, 20, f"the server on port {self.port} answers")
        return self

    @contextmanager
    def client(self, **more: Any) -> Iterator[Any]:
        found = redis.Redis(
            port=self.port, protocol=3, legacy_responses=False, decode_responses=True, socket_timeout=5,
            **self._client_options, **more,
        )  # fmt: skip
        try:
            yield found
        finally:
            found.close()

    def ask(self, *command: Any) -> Any:
        with self.client() as client:
            return client.execute_command(*command)

    def answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except QUIET:
            return False

    def await_port(self) -> None:
        await_port(self.port)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As hard as it gets: nothing of it is wanted any more."""
        if self.process and self.process.poll() is None:
            self.kill()


class Watched:
    """A master with two replicas, watched by three Sentinels."""

    SERVICE = "forge"

    def __init__(
        self,
        folder: Path,
        binary: str,
        *,
        down_after_ms: int = 1000,
        options: Sequence[str] = (),
        lag_ms: int = 0,
    ) -> None:
        """Args:
        lag_ms: of every line between two of them, and from clients to them; each way.
        """
        self.nodes = [Node(folder, binary, options) for _ in range(3)]
        self._lines = [SlowLine(node.port, lag_ms) for node in self.nodes] if lag_ms else []
        self._ports = {node: node.port for node in self.nodes}
        for node, line in zip(self.nodes, self._lines, strict=False):
            self._ports[node] = line.port
            announced = ("replica-announce-ip 127.0.0.1", f"replica-announce-port {line.port}")
            node.configure([f"port {node.port}", *announced, *options])
        self._down_after_ms = down_after_ms
        monitored = self._sentinel_options(self._ports[self.nodes[0]])
        self.sentinels = [Node(folder, binary, monitored, sentinel=True) for _ in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.SERVICE}"

    def start(self) -> Watched:
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            wait_until(node.answers, 20, "the server answers")
        for node in self.nodes[1:]:
            node.ask("REPLICAOF", "127.0.0.1", self._ports[self.nodes[0]])
        for sentinel in self.sentinels:
            sentinel.start(wait=False)
        wait_until(self.is_whole, 30, "the Sentinels know one another and both replicas")
        return self

    def master(self) -> Node:
        """As the Sentinels see it. The first that answers is asked."""
        for sentinel in self.sentinels:
            if sentinel.runs and sentinel.answers():
                _, port = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.SERVICE)
                return next(node for node in self.nodes if self._ports[node] == int(port))
        raise AssertionError("no Sentinel answers")

    def is_whole(self) -> bool:
        """Every Sentinel sees one master that is up, two replicas linked to it, and the two others."""
        try:
            return all(self._sees_all(sentinel) for sentinel in self.sentinels)
        except (*QUIET, redis.ResponseError):
            return False

    def fail_over(self) -> None:
        """By the Sentinels, with the master alive."""
        old = self.master()
        wait_until(self._asked_to_fail_over, 40, "a replica is good enough to be the master")
        wait_until(lambda: self.master() is not old, 30, "the Sentinels chose another master")

    def _asked_to_fail_over(self) -> bool:
        try:
            self.sentinels[0].ask("SENTINEL", "FAILOVER", self.SERVICE)
        except redis.ResponseError:
            return False  # it has not looked at its replicas again yet, or is at it
        return True

    def await_new_master(self, old: Node) -> Node:
        wait_until(lambda: self.master() is not old, 30, "the Sentinels chose another master")
        return self.master()

    def stop(self) -> None:
        for one in (*self.sentinels, *self.nodes, *self._lines):
            one.stop()

    def _sees_all(self, sentinel: Node) -> bool:
        with sentinel.client() as client:
            master = _flat(client.execute_command("SENTINEL", "MASTER", self.SERVICE))
            replicas = [_flat(one) for one in client.execute_command("SENTINEL", "REPLICAS", self.SERVICE)]
        return (
            master["flags"] == "master"
            and master["num-other-sentinels"] == "2"
            and len(replicas) == 2
            and all(one["flags"] == "slave" and one["master-link-status"] == "ok" for one in replicas)
            and all(one["master-port"] == master["port"] for one in replicas)
        )

    def _sentinel_options(self, port: int) -> list[str]:
        return [
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {port} 2",
            f"sentinel down-after-milliseconds {self.SERVICE} {self._down_after_ms}",
            f"sentinel failover-timeout {self.SERVICE} 3000",
            f"sentinel parallel-syncs {self.SERVICE} 2",
        ]


class Cluster:
    """Three masters, each with a replica."""

    def __init__(
        self, folder: Path, binary: str, *, node_timeout_ms: int = 1000, options: Sequence[str] = ()
    ) -> None:
        self._ids: dict[str, Node] = {}
        self.nodes = [
            Node(
                folder,
                binary,
                [
                    "cluster-enabled yes",
                    f"cluster-node-timeout {node_timeout_ms}",
                    "cluster-replica-validity-factor 0",
                    f"cluster-port {free_port()}",
                    *options,
                ],
            )
            for _ in range(6)
        ]

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[1].port}"

    def start(self) -> Cluster:
        for node in self.nodes:
            node.start(wait=False)
        for at, node in enumerate(self.nodes):
            wait_until(node.answers, 20, "the node answers")
            self._ids[node.ask("CLUSTER", "MYID")] = node
            if at < 3:
                first, last = at * 16384 // 3, (at + 1) * 16384 // 3 - 1
                node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
                node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, _bus_port(self.nodes[0]))
        wait_until(lambda: all(len(self.known(node)) == 6 for node in self.nodes), 30, "the nodes have met")
        for at, node in enumerate(self.nodes[3:]):
            wait_until(lambda node=node, at=at: self._follows(node, self.nodes[at]), 20, "it is a replica")
        wait_until(self.is_whole, 30, "the Cluster is whole")
        return self

    def id_of(self, node: Node) -> str:
        return next(node_id for node_id, one in self._ids.items() if one is node)

    def known(self, node: Node) -> list[list[str]]:
        """The lines of CLUSTER NODES, in words."""
        return [line.split() for line in node.ask("CLUSTER", "NODES").splitlines()]

    def owner(self, slot: int) -> Node:
        """As most of the nodes that run see it."""
        votes: list[str] = []
        for node in self.nodes:
            if node.runs and node.answers():
                for first, last, master, *_ in node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        votes.append(master[2])
        return self._ids[max(set(votes), key=votes.count)]

    def replica_of(self, master: Node) -> Node:
        wanted = self.id_of(master)
        for node_id, node in self._ids.items():
            if node.runs and node.answers() and node is not master:
                role = node.ask("ROLE")
                if role[0] == "slave" and int(role[2]) == master.port:
                    return self._ids[node_id]
        raise AssertionError(f"{wanted} has no replica")

    def is_whole(self) -> bool:
        return all(
            "cluster_state:ok" in node.ask("CLUSTER", "INFO") and self._all_linked(node)
            for node in self.nodes
            if node.runs
        )

    def masters(self) -> list[Node]:
        return [
            node for node in self.nodes if node.runs and node.answers() and node.ask("ROLE")[0] == "master"
        ]

    def move_slot(self, slot: int, to: Node) -> int:
        """As `redis-cli --cluster reshard` does it; the number of keys moved."""
        return sum(self.moving(slot, to))

    def moving(self, slot: int, to: Node, step: int = 10) -> Iterator[int]:
        """The same in steps of so many keys, each counted; the slot lies on both nodes meanwhile."""
        source = self.owner(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(to))
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, step):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            yield len(keys)
        for node in (to, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(to))
        for node in self.masters():
            if node not in (to, source):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(to))

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _follows(self, node: Node, master: Node) -> bool:
        try:
            node.ask("CLUSTER", "REPLICATE", self.id_of(master))
        except redis.ResponseError:
            return False  # it has not heard of that node yet
        return True

    def _all_linked(self, node: Node) -> bool:
        role = node.ask("ROLE")
        return role[0] != "slave" or role[3] == "connected"


def _flat(reply: Any) -> dict[str, str]:
    """A map of RESP 3, or the list of names and values that Sentinels of 7.0 give."""
    if isinstance(reply, dict):
        return {str(name): str(value) for name, value in reply.items()}
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _bus_port(node: Node) -> int:
    return int(node.ask("CONFIG", "GET", "cluster-port")["cluster-port"])
