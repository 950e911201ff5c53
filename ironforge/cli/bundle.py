"""What the console starts when nothing is there: a server, and for the demo a worker and traffic. All end with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from ironforge import lifeline
from ironforge.config import Settings
from ironforge.errors import StartupError

START_S = 30.0
STOP_S = 6.0
_LARGEST_LOG = 5_000_000


class Bundle:
    """Finds or starts the server.

    Args:
        settings: with the address to look at and to bind.
        demo: also a demo worker and traffic.
    """

    def __init__(self, settings: Settings, *, demo: bool) -> None:
        self._settings = settings
        self._demo = demo
        self._started: list[tuple[str, lifeline.Tied]] = []
        self._logs = settings.data_dir / "logs"

    async def prepare(self, say: Callable[[str], None]) -> str:
        """The URL of a server that answers. Raises StartupError."""
        url = self._settings.server_url
        say(f"looking for a server at {url}")
        found = await asyncio.to_thread(who_answers, url)
        environment = dict(os.environ)
        if found == "":
            say("starting the server and its Redis")
            url = await self._start_server(url, environment)
        elif found != "ironforge":
            url = self._elsewhere(url, environment)
            say(f"{self._settings.bind_addr} is taken by another program; starting at {url}")
            url = await self._start_server(url, environment)
        if self._demo:
            say("starting the demo worker and its traffic")
            worker = [
                sys.executable,
                "-m",
                "ironforge.cli.main",
                "worker",
                "--concurrency",
                "8",
                "--shutdown-timeout",
                "2",
            ]
            self._start("worker", worker, environment)
            self._start("traffic", [sys.executable, "-m", "ironforge.demo.traffic"], environment)
        return url

    def farewell(self) -> list[str]:
        """What leaving the console ends besides it."""
        alive = [name for name, tied in self._started if tied.process.poll() is None]
        if not alive:
            return []
        rest = f"{', '.join(alive[:-1])} and {alive[-1]}" if len(alive) > 1 else alive[0]
        return [f"What it started ends with it: {rest}. All jobs are kept."]

    def stop(self) -> None:
        """Ends what was started, the last one first: traffic, then the worker, then the server it may speak to."""
        if self.farewell():
            print("ending what the console started …", file=sys.stderr, flush=True)
        for _, tied in reversed(self._started):
            tied.release()
            try:
                tied.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                tied.process.kill()
                tied.process.wait()
        self._started.clear()

    def _elsewhere(self, url: str, environment: dict[str, str]) -> str:
        if "bind_addr" in self._settings.explicit:
            raise StartupError(
                f"{self._settings.bind_addr} is taken by a program that is not IronForge; set BIND_ADDR to a free address"
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment["BIND_ADDR"] = f"127.0.0.1:{port}"
        return f"http://127.0.0.1:{port}"

    async def _start_server(self, url: str, environment: dict[str, str]) -> str:
        tied = self._start("server", [sys.executable, "-m", "ironforge.cli.main", "server"], environment)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if await asyncio.to_thread(who_answers, url) == "ironforge":
                return url
            if tied.process.poll() is not None:
                raise StartupError(f"the server did not start: {self._last_words('server')}")
            await asyncio.sleep(0.05)
        raise StartupError(
            f"the server did not answer within {START_S:g} s; its log is {self._logs / 'server.log'}"
        )

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> lifeline.Tied:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._logs / f"{name}.log"
        with contextlib.suppress(OSError):
            if path.stat().st_size > _LARGEST_LOG:
                path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            # A session of its own: Ctrl-C and a closing terminal reach the console, which ends it in order.
            tied = lifeline.tie(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        self._started.append((name, tied))
        return tied

    def _last_words(self, name: str) -> str:
        """The last line of a log, as a sentence."""
        try:
            lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        if not lines:
            return "it said nothing"
        with contextlib.suppress(ValueError, TypeError):
            return str(json.loads(lines[-1])["message"])
        return lines[-1][-300:]


def who_answers(url: str) -> str:
    """`ironforge`, `other`, or '' for nobody."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health/live", timeout=1.5) as answer:
            document = json.loads(answer.read(10_000))
            return (
                "ironforge" if isinstance(document, dict) and document.get("status") == "alive" else "other"
            )
    except urllib.error.HTTPError as error:
        return "ironforge" if "problem+json" in error.headers.get("Content-Type", "") else "other"
    except urllib.error.URLError as error:
        return "" if isinstance(error.reason, ConnectionError | TimeoutError | OSError) else "other"
    except (TimeoutError, ConnectionError):
        return ""
    except Exception:  # whatever speaks there, it is not our HTTP
        return "other"
