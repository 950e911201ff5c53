"""The data folder of the embedded server: its files, its locks, and the path of its socket. Standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import stat
from contextlib import closing
from pathlib import Path

# The exit code of a guard that found another one at its place.
OWNED_ELSEWHERE = 3

# Linux takes 107 bytes, macOS 103.
_LONGEST_SOCKET_PATH = 100
_LARGEST_LOG = 2_000_000
_TMP = Path("/tmp")


class Folder:
    """`<data dir>/redis`: the server's data, logs, locks and `server.json`.

    Three locks, all let go by the kernel when their holders die: `users.lock` is shared by those who use the server,
    `guard.lock` held by the guard, `data.lock` by whoever may write the data: the guard, and through it the server,
    which keeps it for as long as it lives should the guard be killed.
    """

    def __init__(self, path: Path) -> None:
        # Two spellings of one folder have to give one socket, and the guard runs in another directory.
        path = path.resolve()
        self.path = path
        self.users_lock = path / "users.lock"
        self.guard_lock = path / "guard.lock"
        self.data_lock = path / "data.lock"
        self.about = path / "server.json"
        self.server_log = path / "redis.log"
        self.guard_log = path / "guard.log"

    def make(self) -> None:
        """Makes the folder, for its owner alone. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o700)

    @property
    def socket(self) -> Path:
        """In the folder, or where that path is too long, in a private one under /tmp."""
        beside = self.path / "redis.sock"
        if len(os.fsencode(beside)) <= _LONGEST_SOCKET_PATH:
            return beside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return _private_tmp() / f"{digest}.sock"

    def last_words(self, lines: int = 5) -> str:
        """The end of both logs, for an error message."""
        found: list[str] = []
        for log in (self.server_log, self.guard_log):
            try:
                found += log.read_text(errors="replace").splitlines()[-lines:]
            except OSError:
                continue
        return "\n".join(f"  {line[:200]}" for line in found) or "  (nothing)"


def rotate(log: Path) -> None:
    """Moves a log that grew large out of the way. Only while nobody writes to it."""
    try:
        if log.stat().st_size > _LARGEST_LOG:
            log.replace(log.with_name(f"{log.name}.1"))
    except OSError:
        return


def _private_tmp() -> Path:
    folder = _TMP / f"ironforge-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a private folder of yours; remove it")
    return folder


def open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Whether the lock was taken. The kernel lets go of it with the last process that holds the descriptor."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def ask(path: Path, command: bytes, timeout_s: float = 0.5) -> bytes:
    """The beginning of the server's answer to a command without arguments; nothing if nobody answers."""
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(str(path))
            client.sendall(command + b"\r\n")
            return client.recv(64)
        except OSError:
            return b""


def ping(path: Path) -> str:
    """How the server on this socket answers: ok, loading, other, or '' for nobody."""
    answer = ask(path, b"PING")
    if not answer:
        return ""
    if answer.startswith(b"+PONG"):
        return "ok"
    return "loading" if answer.startswith(b"-LOADING") else "other"
