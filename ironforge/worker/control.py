"""What a supervisor and its child say to each other: JSON lines over a socket pair.

child -> supervisor   {"hello": {…}}  its settings and kinds, once its module is loaded; or {"error": "…"}
supervisor -> child   {"go": "<worker id>"}  it is registered, and may claim
supervisor -> child   {"stop": 1 | 2}  how far down the ladder: drain, or release what runs. Not a signal: service
                      managers send their own to every process at once, which must not count twice
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironforge.config import Settings
from ironforge.task import TaskRegistry
from ironforge.worker.failure import policies_of

# Exit codes of a child that ends as it means to.
DONE, MISUSED, RECYCLE, LEASE_LOST = 0, 2, 76, 77


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """How a child is to work, passed as one JSON argument."""

    control_fd: int
    board_fd: int
    target: str
    concurrency: int
    queues: tuple[str, ...]
    shutdown_timeout_s: float
    grace_s: float
    log: str
    log_format: str

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def from_json(cls, text: str) -> ChildOrder:
        fields: dict[str, Any] = json.loads(text)
        fields["queues"] = tuple(fields["queues"])
        return cls(**fields)


def hello(settings: Settings, tasks: TaskRegistry) -> dict[str, Any]:
    return {
        "hello": {
            "redis_url": settings.redis_url,
            "namespace": settings.namespace,
            "shards": settings.shards,
            "data_dir": str(settings.data_dir),
            "durability": settings.durability,
            "kinds": tasks.about(),
            "policies": policies_of(tasks),
        }
    }


def settings_of(said: dict[str, Any]) -> Settings:
    """The settings a child's Forge uses, for the supervisor that never loads the user's module."""
    return Settings(
        redis_url=said["redis_url"],
        namespace=said["namespace"],
        shards=said["shards"],
        data_dir=Path(said["data_dir"]),
        durability=said["durability"],
    )


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next message; None when the other end is gone."""
    line = b""
    while not line.endswith(b"\n"):
        part = channel.recv(65_536)
        if not part:
            return None
        line += part
    return json.loads(line)
