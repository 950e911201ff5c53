"""EmbeddedRedis: joins the server of a data folder, and starts its guard where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

from ironforge.embedded import guard as guard_module
from ironforge.embedded.find import find_server
from ironforge.embedded.folder import Folder, open_lock, ping, try_lock
from ironforge.errors import StartupError

_POLL_S = 0.01
_GUARD_PATH = Path(guard_module.__file__)


class EmbeddedRedis:
    """A share in the server of one data folder. Any number of processes may have one; any may die.

    Args:
        data_dir: the server's data live in `<data_dir>/redis`.
        linger_s: the server goes on so long after its last user left.
    """

    def __init__(self, data_dir: Path, linger_s: float = 3.0) -> None:
        self.data_dir = Path(data_dir)
        self.folder = Folder(self.data_dir / "redis")
        self._linger_s = linger_s
        self._share: int | None = None

    @property
    def url(self) -> str:
        return "unix://" + quote(str(self.folder.socket))

    def start(self, timeout_s: float = 20.0) -> str:
        """The URL of a server that answers. Blocks; a server that loads its data may take longer than `timeout_s`.

        Raises:
            StartupError: with the reason and the way out.
        """
        try:
            self.folder.make()
            self._share = self._share or open_lock(self.folder.users_lock)
            self._join(time.monotonic() + timeout_s)
            self._await_answer(timeout_s)
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
        guard: subprocess.Popen[bytes] | None = None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            answer = ping(self.folder.socket)
            if answer == "ok":
                return
            if answer == "loading":
                deadline = time.monotonic() + timeout_s  # it lives: count from here
            code = guard.poll() if guard else guard_module.OWNED_ELSEWHERE
            if code == guard_module.OWNED_ELSEWHERE and not answer:
                if guard:
                    time.sleep(0.05)  # another guard owns the folder: it is starting its server, or ending
                guard = self._start_guard()
            elif code is not None and code != guard_module.OWNED_ELSEWHERE:
                raise StartupError(self._why_not())
            time.sleep(_POLL_S)
        raise StartupError(f"the embedded server did not answer within {timeout_s:g} s.\n{self._why_not()}")

    def _start_guard(self) -> subprocess.Popen[bytes]:
        binary, _ = find_server()
        with open(self.folder.guard_log, "ab") as log:
            guard = subprocess.Popen(
                [
                    sys.executable,
                    "-S",
                    "-E",
                    str(_GUARD_PATH),
                    str(self.folder.path),
                    str(binary),
                    str(self._linger_s),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the console, not for the server
                cwd="/",
            )
        # It outlives us as a rule; where it does not, somebody has to collect it.
        threading.Thread(target=guard.wait, name="embedded-guard", daemon=True).start()
        return guard

    def _why_not(self) -> str:
        words = self.folder.last_words()
        if "handle RDB format" in words:
            return (
                f"the data in {self.folder.path} were written by a newer server than the one found here. "
                "Use that version again (IRONFORGE_REDIS_SERVER), or another folder (IRONFORGE_DATA_DIR)"
            )
        return f"the embedded server does not start. The last it said ({self.folder.server_log}):\n{words}"
