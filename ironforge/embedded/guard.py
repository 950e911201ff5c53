"""The guard: one small process per data folder that owns the server, and stops it when nobody uses it any more.

Run as `python -m ironforge.embedded.guard FOLDER BINARY LINGER_S`; standard library only, so that it stays small.

Exit codes: 0 stopped because nobody was left or by SIGTERM, 1 the server does not stay up, 3 another guard owns the
folder. The locks are described at `Folder`.
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

from ironforge.embedded.folder import OWNED_ELSEWHERE, Folder, ask, open_lock, rotate, try_lock, unlock

_TICK_S = 0.1
# A look at guard.lock by somebody else holds it for an instant.
_LOCK_TRIES_S = 0.2
_PREDECESSOR_S = 30.0
_SHORT_LIFE_S = 1.5
_MOST_SHORT_LIVES = 5
_STOP_S = 10.0
_PR_SET_PDEATHSIG = 1


class Guard:
    def __init__(self, folder: Folder, binary: str, linger_s: float) -> None:
        self._folder = folder
        self._binary = binary
        self._linger_s = linger_s
        self._data = -1
        self._server: subprocess.Popen[bytes] | None = None
        self._born = 0.0
        self._short_lives = 0
        self._asked_to_stop = False

    def run(self) -> int:
        own = open_lock(self._folder.guard_lock)
        if not _lock_within(_LOCK_TRIES_S, own):
            return OWNED_ELSEWHERE
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if not self._take_over():
            return 1
        self._start()
        users = open_lock(self._folder.users_lock)
        code = self._watch(users)
        # Both locks are kept while the server stops: newcomers wait, and never talk to a server that is going.
        self._stop()
        return code

    def _take_over(self) -> bool:
        """Waits for the server of a guard that was killed: two on one folder would ruin the data."""
        self._data = open_lock(self._folder.data_lock)
        if try_lock(self._data, exclusive=True):
            return True
        _note("a server without a guard is still there; asking it to stop")
        ask(self._folder.socket, b"SHUTDOWN")
        if _lock_within(_PREDECESSOR_S, self._data):
            return True
        _note(
            f"the server of an earlier guard does not end (its pid is in {self._folder.about}); stop it by hand"
        )
        return False

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
        """Starts a server that died again. One that refuses to start, or dies again and again, is given up."""
        assert self._server
        code = self._server.poll()
        if code is None:
            return True
        short = time.monotonic() - self._born < _SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if short else 0
        if (short and code >= 0) or self._short_lives > _MOST_SHORT_LIVES:
            _note(f"the server ended ({code}) and does not stay up")
            return False
        _note(f"the server ended ({code}); starting it again")
        self._start()
        return True

    def _start(self) -> None:
        rotate(self._folder.server_log)
        with contextlib.suppress(OSError):
            self._folder.socket.unlink()  # safe: only the holder of data.lock gets here
        guard = os.getpid()

        def die_with_guard() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != guard:  # it died before it could be asked for
                    os._exit(1)

        self._server = subprocess.Popen(
            [self._binary, *server_arguments(self._folder)],
            stdin=subprocess.DEVNULL,
            cwd=self._folder.path,
            pass_fds=(self._data,),
            preexec_fn=die_with_guard,
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

    def _stop(self) -> None:
        assert self._server
        self._server.terminate()
        try:
            self._server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        for left in (self._folder.about, self._folder.socket):
            with contextlib.suppress(OSError):
                left.unlink()

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


def _lock_within(seconds: float, descriptor: int) -> bool:
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor, exclusive=True):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _note(text: str) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(Guard(Folder(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])).run())
