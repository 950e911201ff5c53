"""The guard: one small process per data folder that owns the server, and stops it when nobody uses it any more.

Run as `python guard.py FOLDER BINARY LINGER_S`; standard library only, so that it stays small.

It holds `server.lock`; users hold `users.lock` shared. Exit codes: 0 stopped because nobody was left, 1 the server does
not stay up, 3 another guard owns the folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Run by path, not by `-m`: importing the package would cost each guard memory it keeps for days.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ironforge.embedded.folder import Folder, open_lock, ping, try_lock, unlock

OWNED_ELSEWHERE = 3
_TICK_S = 0.1
_SHORT_LIFE_S = 1.5
_MOST_RESTARTS = 5
_STOP_S = 10.0
_LARGEST_LOG = 2_000_000
_PR_SET_PDEATHSIG = 1


class Guard:
    def __init__(self, folder: Folder, binary: str, linger_s: float) -> None:
        self._folder = folder
        self._binary = binary
        self._linger_s = linger_s
        self._server: subprocess.Popen[bytes] | None = None
        self._born = 0.0
        self._restarts = 0
        self._asked_to_stop = False

    def run(self) -> int:
        owner = open_lock(self._folder.server_lock)
        if not try_lock(owner, exclusive=True):
            return OWNED_ELSEWHERE
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._end_leftover()
        self._start()
        users = open_lock(self._folder.users_lock)
        code = self._watch(users)
        # Kept while the server stops: newcomers wait for it, and never talk to a server that is going.
        self._stop()
        return code

    def _watch(self, users: int) -> int:
        """Until nobody used the folder for `linger_s`. Leaves with `users.lock` held exclusively in that case."""
        idle_since: float | None = None
        while not self._asked_to_stop:
            time.sleep(_TICK_S)
            if not self._keep_alive():
                return 1
            if not try_lock(users, exclusive=True):
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since >= self._linger_s:
                return 0
            unlock(users)
        return 0

    def _keep_alive(self) -> bool:
        assert self._server
        code = self._server.poll()
        if code is None:
            return True
        if time.monotonic() - self._born < _SHORT_LIFE_S or self._restarts >= _MOST_RESTARTS:
            print(f"the server ended ({code}) and does not stay up", flush=True)
            return False
        self._restarts += 1
        print(f"the server ended ({code}); started again ({self._restarts}/{_MOST_RESTARTS})", flush=True)
        self._start()
        return True

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            if self._folder.server_log.stat().st_size > _LARGEST_LOG:
                self._folder.server_log.replace(self._folder.server_log.with_suffix(".log.1"))
        with contextlib.suppress(OSError):
            self._folder.socket.unlink()  # safe: only the holder of server.lock gets here
        self._server = subprocess.Popen(
            [self._binary, *server_arguments(self._folder)],
            stdin=subprocess.DEVNULL,
            cwd=self._folder.path,
            preexec_fn=_die_with_parent,
        )
        self._born = time.monotonic()
        self._write_about(self._server.pid)

    def _write_about(self, pid: int) -> None:
        about = {
            "pid": pid,
            "guard": os.getpid(),
            "socket": str(self._folder.socket),
            "server": self._binary,
            "started": time.time(),
        }
        fresh = self._folder.about.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(about))
        fresh.replace(self._folder.about)

    def _end_leftover(self) -> None:
        """A server whose guard was killed where the kernel does not end it with its parent (macOS)."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            pid = int(json.loads(self._folder.about.read_text())["pid"])
            if not ping(self._folder.socket):
                return
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_S
            while ping(self._folder.socket) and time.monotonic() < deadline:
                time.sleep(0.02)

    def _stop(self) -> None:
        assert self._server
        self._server.terminate()
        try:
            self._server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        with contextlib.suppress(OSError):
            self._folder.about.unlink()

    def _on_sigterm(self, *_: object) -> None:
        self._asked_to_stop = True


def server_arguments(folder: Folder) -> list[str]:
    """AOF each second; without the RDB preamble, which other versions could not read."""
    return [
        "--port", "0", "--unixsocket", str(folder.socket), "--unixsocketperm", "700", "--dir", str(folder.path),
        "--appendonly", "yes", "--appendfsync", "everysec", "--aof-use-rdb-preamble", "no", "--save", "",
        "--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", str(folder.server_log),
        "--hash-max-listpack-value", "512", "--hash-max-listpack-entries", "128",
    ]  # fmt: skip


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(Guard(Folder(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])).run())
