"""EmbeddedRedis: joins the server of a data folder, and starts its guard where there is none."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from ironforge.embedded.find import find_server
from ironforge.embedded.folder import OWNED_ELSEWHERE, Folder, open_lock, ping, rotate, try_lock, unlock
from ironforge.errors import StartupError

log = logging.getLogger("ironforge.embedded")

_POLL_S = 0.01
_SLOW_POLL_S = 0.1
_AGAIN_S = 2.0
_PACKAGES = Path(__file__).resolve().parents[2]


class EmbeddedRedis:
    """A share in the server of one data folder. Any number of processes may have one; any may die.

    Args:
        data_dir: the server's data live in `<data_dir>/redis`.
        linger_s: the server goes on so long after its last user left.
        server: path of the binary; None looks for one, see `find_server`.
    """

    def __init__(self, data_dir: Path, linger_s: float = 3.0, server: str | None = None) -> None:
        self.data_dir = Path(data_dir)
        self.folder = Folder(self.data_dir / "redis")
        self._linger_s = linger_s
        self._server = server
        self._share: int | None = None
        self._line: socket.socket | None = None
        self._left = threading.Event()

    @property
    def url(self) -> str:
        return "unix://" + quote(str(self.folder.socket))

    def start(self, timeout_s: float = 20.0) -> str:
        """The URL of a server that answers. Blocks; a server that loads its data may take longer than `timeout_s`.

        Raises:
            StartupError: with the reason and the way out.
        """
        if self._share is not None:
            return self.url
        try:
            self.folder.make()
            self._share = open_lock(self.folder.users_lock)
            self._left = threading.Event()  # the one of an earlier share stays set for its thread
            self._join(time.monotonic() + timeout_s)
            self._await_answer(timeout_s)
            self._hold_the_line()
        except OSError as error:
            self.stop()
            raise StartupError(
                f"the embedded server's folder {self.folder.path} cannot be used ({error.strerror or error}). "
                "Set IRONFORGE_DATA_DIR to a folder you may write to, or REDIS_URL to a Redis of your own"
            ) from None
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Lets go of the share; the guard stops the server when nobody has one. May be called again."""
        self._left.set()
        line = self._line
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        if self._share is not None:
            os.close(self._share)
            self._share = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _join(self, deadline: float) -> None:
        """Takes a share. While a server stops, its guard keeps newcomers out."""
        assert self._share is not None
        while not try_lock(self._share, exclusive=False):
            if time.monotonic() > deadline:
                raise StartupError(
                    "the embedded server is stopping and does not finish. "
                    f"Its log is {self.folder.server_log}; try again in a moment"
                )
            time.sleep(_POLL_S)

    def _await_answer(self, timeout_s: float) -> None:
        """Until a guarded server answers, or nobody wants it any more. Starts a guard whenever there is none."""
        guard: subprocess.Popen[bytes] | None = None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not self._left.is_set():
            answer = ping(self.folder.socket)
            guarded = self._is_guarded()
            if answer == "ok" and guarded:
                return
            if answer == "loading":
                deadline = time.monotonic() + timeout_s  # it lives: count from here
            code = guard.poll() if guard else OWNED_ELSEWHERE
            if code not in (None, 0, OWNED_ELSEWHERE):
                raise StartupError(self._why_not())
            if code is not None and not guarded:
                guard = self._start_guard()
            time.sleep(_SLOW_POLL_S if answer else _POLL_S)
        if not self._left.is_set():
            raise StartupError(
                f"the embedded server did not answer within {timeout_s:g} s.\n{self._why_not()}"
            )

    def _is_guarded(self) -> bool:
        """Where the kernel does not end a server with its guard (macOS), one that answers may have none."""
        lock = open_lock(self.folder.guard_lock)
        try:
            if not try_lock(lock, exclusive=False):
                return True
            unlock(lock)
            return False
        finally:
            os.close(lock)

    def _start_guard(self) -> subprocess.Popen[bytes]:
        binary, _ = find_server(self._server)
        rotate(self.folder.guard_log)
        words = [str(self.folder.path), str(binary), str(self._linger_s)]
        with open(self.folder.guard_log, "ab") as output:
            guard = subprocess.Popen(
                # Without `site` it is half as large; an editable install is then found by its path only.
                [sys.executable, "-S", "-P", "-m", "ironforge.embedded.guard", *words],
                env={**os.environ, "PYTHONPATH": str(_PACKAGES)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal is for the console, not for the server
                cwd="/",
            )
        # It outlives us as a rule; where it does not, somebody has to collect it.
        threading.Thread(target=guard.wait, name="embedded-guard", daemon=True).start()
        return guard

    def _hold_the_line(self) -> None:
        """Keeps an idle connection: its end is how we notice at once that the server died, maybe with its guard."""
        threading.Thread(
            target=self._watch_the_line, args=(self._left,), name="embedded-line", daemon=True
        ).start()

    def _watch_the_line(self, left: threading.Event) -> None:
        while not left.is_set():
            self._wait_for_hangup(left)
            if left.is_set():
                return
            log.warning("the embedded server is gone; waiting for it, or starting it again")
            try:
                self._await_answer(timeout_s=20.0)
            except (StartupError, OSError) as error:
                log.error("%s", error)
                left.wait(_AGAIN_S)

    def _wait_for_hangup(self, left: threading.Event) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as line:
            self._line = line
            try:
                line.connect(str(self.folder.socket))
                while not left.is_set() and line.recv(64):
                    pass  # it says nothing unasked
            except OSError:
                return
            finally:
                self._line = None

    def _why_not(self) -> str:
        words = self.folder.last_words()
        if "handle RDB format" in words:
            return (
                f"the data in {self.folder.path} were written by a newer server than the one found here. "
                "Use that version again (IRONFORGE_REDIS_SERVER), or another folder (IRONFORGE_DATA_DIR)"
            )
        return f"the embedded server does not start. The last it said ({self.folder.server_log}):\n{words}"
