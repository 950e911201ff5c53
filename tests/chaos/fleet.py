"""Worker groups (a supervisor and its children) as real processes, and what is done to them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ironforge import lifeline
from tests.chaos.ledger import Ledger
from tests.system.processes import ROOT, children_of, environment, ironforge, is_alive
from tests.waiting import eventually, wait_until

TARGET = "tests.chaos.tasks:forge"


@dataclass(slots=True, eq=False)
class Group:
    """One `ironforge worker`, as a host would run it.

    Attributes:
        born: `time.monotonic()` at its start.
        busy: something is being done to it (it is stopped, or asked to leave).
    """

    tied: lifeline.Tied
    log: Path
    born: float = field(default_factory=time.monotonic)
    busy: bool = False

    @property
    def pid(self) -> int:
        return self.tied.process.pid

    @property
    def alive(self) -> bool:
        return self.tied.process.poll() is None

    def children(self) -> list[int]:
        return sorted(pid for pid in children_of(self.pid) if is_alive(pid))

    def signal_all(self, number: signal.Signals) -> list[int]:
        """To its supervisor first, so that it sees nothing, then to each child; the ids of all."""
        children = self.children()
        pids = [self.pid, *children]
        send(pids, number)
        if number == signal.SIGSTOP:  # one may have been started at this very moment
            send(set(self.children()) - set(children), number)
        return pids


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Fleet:
    """The groups that serve one namespace. All end with this process, whatever happens to it.

    Args:
        words: options of `ironforge worker`.
        target: where its tasks are.
        more: environment variables of every group.
    """

    def __init__(
        self,
        url: str,
        namespace: str,
        folder: Path,
        ledger: Ledger,
        words: Sequence[str],
        target: str = TARGET,
        **more: str,
    ) -> None:
        self.groups: list[Group] = []
        self.seen: set[int] = set()
        self._env = environment(url, namespace, LEDGER=str(ledger.path), IRONFORGE_LOG="warning", **more)
        self._folder = folder
        self._ledger = ledger
        self._words = words
        self._target = target
        self._processes = int(words[words.index("--processes") + 1]) if "--processes" in words else 1
        self.started = 0

    def start(self) -> Group:
        """One more group."""
        self.started += 1
        log = self._folder / f"worker-{self.started}.log"
        with log.open("ab") as output:
            tied = lifeline.tie(
                ironforge("worker", self._target, *self._words),
                env=self._env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        group = Group(tied, log)
        self.groups.append(group)
        self.seen.add(group.pid)
        return group

    def is_ready(self, group: Group) -> bool:
        """Nothing is being done to it, it has all of its children, and each of them has begun a job."""
        if group.busy or not group.alive:
            return False
        children = group.children()
        self.seen.update(children)
        complete = len(children) >= self._processes
        return complete and all(self._ledger.has_run(pid, group.born) for pid in children)

    def ready(self) -> list[Group]:
        return [group for group in self.groups if self.is_ready(group)]

    async def await_ready(self, least: int = 1, timeout_s: float = 90) -> list[Group]:
        """Those that are ready, once there are so many."""

        def enough() -> list[Group]:
            self._ledger.read()
            found = self.ready()
            return found if len(found) >= least else []

        return await eventually(enough, timeout_s, f"{least} worker groups are ready")

    def forget(self, group: Group) -> None:
        """One that ended."""
        self.groups.remove(group)
        group.tied.process.wait()
        group.tied.release()

    def kill_host(self, group: Group) -> list[int]:
        """All of it in one moment, as when a host dies; nobody sees it."""
        pids = group.signal_all(signal.SIGKILL)
        self.seen.update(pids)
        self.forget(group)
        return pids

    def kill_supervisor(self, group: Group) -> list[int]:
        """Its children notice, finish what they can in a few seconds, release the rest and leave; their ids."""
        orphans = group.children()
        self.seen.update(orphans)
        group.tied.process.kill()
        self.forget(group)
        return orphans

    def close(self) -> list[int]:
        """Ends what is left; the processes that did not go when they had to, killed now."""
        for group in self.groups:
            self.seen.update([group.pid, *group.children()])
            group.signal_all(signal.SIGCONT)
            group.tied.process.terminate()
        for group in self.groups:
            try:
                group.tied.process.wait(40)
            except subprocess.TimeoutExpired:
                group.signal_all(signal.SIGKILL)
                group.tied.process.wait()
            group.tied.release()
        self.groups.clear()
        with suppress(AssertionError):
            wait_until(lambda: not self._ours(), 15)
        left = self._ours()
        send(left, signal.SIGKILL)
        return left

    def errors(self) -> list[str]:
        """What workers logged as an error of their own, and in which log: none of it has to happen."""
        found: list[str] = []
        for log in sorted(self._folder.glob("worker-*.log")):
            text = log.read_text(errors="replace")
            if (at := text.find("Traceback")) >= 0:
                found.append(f"{log.name}: …{text[max(0, at - 200) : at + 3000]}")
        return found

    def _ours(self) -> list[int]:
        return [pid for pid in self.seen if is_alive(pid) and _is_a_worker(pid)]


def _is_a_worker(pid: int) -> bool:
    """Process ids come back: only what is still a worker of ours counts."""
    try:
        return b"ironforge" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
