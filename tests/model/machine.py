"""Carries out rules on the real scripts and on the model at once, and compares everything after every call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from tests.model.clocked import ClockedQueue, clocked_script, script_names
from tests.model.invariants import broken
from tests.model.mirror import CLOCK, PREFIX, Mirror
from tests.model.model import Model
from tests.model.model_working import ClaimReply
from tests.model.step import Call, History, Places, Step
from tests.model.wire import Hop, Wire

START_US = 1_790_000_000_000_000  # 2026-09-21
# An end is set by the server's own clock, which goes on by itself: a run of one server's state is shorter than this.
TTL_SLACK_MS = 100_000
READING = frozenset(
    {
        "HGETALL", "HMGET", "HGET", "SMEMBERS", "SISMEMBER", "SCARD", "SSCAN", "ZCARD", "ZSCORE", "ZMSCORE", "ZSCAN", "ZRANGE",
        "ZREVRANGE", "GET", "MGET", "SCAN", "SCRIPT", "TIME", "TYPE", "PTTL", "EXISTS",
    }
)  # fmt: skip
READING_SCRIPTS = frozenset({"read_queues", "read_page", "read_ledger", "inspect_job", "inspect_key"})

ENDED = Call("", ())  # what `Machine.call` is when a verb has no further call

Expected = Generator[Any, None, Any]


@dataclass(frozen=True, slots=True)
class Raises:
    """What a verb ends with when it may not have its effect; `or_gives`: or with a result of which that holds."""

    kind: type[Exception]
    or_gives: Callable[[Any], bool] | None = None


@dataclass(slots=True)
class Verb:
    """One thing that a program asks of the queue.

    Attributes:
        words: how it reads in a report.
        start: makes the call of the product; its commands come out as hops.
        expect: yields, at each script call or write of it, what the server has to answer, changing the model; returns
            what the call has to end with: Raises, a predicate of its result, or None for anything.
        together: so many of its first commands belong to one moment; nobody comes between.
        reads_at_once: nobody comes between a change and the reads that follow it.
    """

    words: str
    start: Callable[[], Coroutine[Any, Any, Any]]
    expect: Callable[[], Expected]
    together: int = 0
    reads_at_once: bool = False


@dataclass(slots=True)
class Client:
    """A call on its way: where it stands between two commands."""

    verb: Verb
    running: Coroutine[Any, Any, Any]
    expected: Expected
    hop: Hop | None = None


class Failure(AssertionError):
    """The scripts and the model disagree, or an invariant is broken.

    Attributes:
        numbers: of the broken invariants; empty when only the model disagrees.
    """

    def __init__(self, message: str, numbers: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.numbers = numbers


@dataclass(slots=True)
class Counts:
    transitions: int = 0
    readings: int = 0
    clock_steps: int = 0
    rules: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class Memory:
    """Names that rules use again, also of what is gone by now."""

    job_ids: list[str] = field(default_factory=list[str])
    wids: list[str] = field(default_factory=list[str])
    given: list[tuple[str, str]] = field(
        default_factory=list[tuple[str, str]]
    )  # (job id, fence) of each claim
    sent: list[Verb] = field(default_factory=list[Verb])


class Machine:
    """One server, emptied by `reset`; the product's client on it; the model beside it.

    Args:
        lua: a folder of scripts to use instead of the shipped ones.
        compares: False leaves the comparison with the model out, and what calls answer: only invariants are judged.
    """

    def __init__(self, wire: Wire, lua: Path | None = None, *, compares: bool = True) -> None:
        self.wire, self.lua, self.compares = wire, lua, compares
        self.mirror = Mirror(wire)
        self.counts = Counts()
        self.call = ENDED
        self._names: dict[Any, str] = {}
        if lua:
            clocked_script.cache_clear()  # what the folder held before does not count
        self._load_scripts()
        self.reset()

    def reset(self) -> None:
        """An empty server and an empty model."""
        self.close()
        if self._forgetful:
            self._load_scripts()  # a sequence must not depend on what those before it sent
        self.wire.command("FLUSHALL")
        self.mirror.reset()
        self.queue = ClockedQueue(self.lua)
        self.model = Model(START_US)
        self.places, self.history = Places(), History()
        self.waiting: list[Client] = []
        self.memory = Memory()
        self.told: list[str] = []
        self.numbers = 0
        self._set_clock()

    def close(self) -> None:
        """Calls that were never answered end here."""
        for client in getattr(self, "waiting", []):
            client.running.close()

    def number(self) -> int:
        """The next of this run's own ids and tokens."""
        self.numbers += 1
        return self.numbers

    # --- calls ---

    def tell(self, words: str) -> None:
        self.told.append(words)

    def do(self, verb: Verb) -> Any:
        """The whole call, nothing between its commands."""
        client = self.begin(verb)
        while client.hop is not None:
            self.answer(client)
        return client

    def begin(self, verb: Verb) -> Client:
        """Starts a call, up to its first command."""
        client = Client(verb, verb.start(), verb.expect())
        self._advance(client, lambda: client.running.send(None))
        for _ in range(verb.together):
            if client.hop is not None:
                self.answer(client)
        return client

    def answer(self, client: Client, *, lose_reply: bool = False) -> None:
        """Carries out the command the call waits for, and goes on to its next."""
        assert client.hop is not None
        try:
            reply = self._carry_out(client, client.hop.arguments)
        except Exception as error:
            if isinstance(error, AssertionError):
                raise
            self._advance(client, partial(client.running.throw, error))
            return
        if lose_reply:
            self.fail(client)
            return
        self._advance(client, lambda: client.running.send(reply))
        if client.verb.reads_at_once and client.hop is not None and client.hop.arguments[0] == "HGETALL":
            self.answer(client)

    def fail(self, client: Client) -> None:
        """The connection breaks; the caller does not know what was done."""
        client.hop = None
        try:
            client.running.throw(RedisConnectionError("cut by the test"))
        except Exception as error:
            if type(error).__name__ != "StoreUnavailable":
                raise Failure(f"{client.verb.words}: a lost connection came out as {error!r}") from error
        else:
            raise Failure(f"{client.verb.words}: a lost connection was not told to the caller")

    def _advance(self, client: Client, go: Callable[[], Any]) -> None:
        client.hop = None
        try:
            hop = go()
        except StopIteration as stop:
            self._finished(client, stop.value, None)
        except AssertionError:
            raise
        except Exception as error:
            self._finished(client, None, error)
        else:
            assert isinstance(hop, Hop)
            client.hop = hop

    def _finished(self, client: Client, result: Any, error: Exception | None) -> None:
        self.call = ENDED
        try:
            next(client.expected)
        except StopIteration as stop:
            wanted = stop.value
        else:
            raise Failure(f"{client.verb.words}: ended early with {result!r} {error!r}")
        if not self.compares:
            return
        if isinstance(wanted, Raises):
            gives = error is None and wanted.or_gives is not None and wanted.or_gives(result)
            if type(error) is not wanted.kind and not gives:
                raise Failure(
                    f"{client.verb.words}: ended with {error or result!r}, not {wanted.kind.__name__}"
                )
        elif error is not None:
            raise Failure(f"{client.verb.words}: raised {error!r}") from error
        elif wanted is not None and not wanted(result):
            raise Failure(f"{client.verb.words}: gave {result!r}")

    # --- one command ---

    def _carry_out(self, client: Client, arguments: tuple[Any, ...]) -> Any:
        call = self._call_of(arguments)
        if call is None:
            self.counts.readings += 1
            reply = self.wire.command(*arguments)
            self._unchanged(arguments)
            return reply
        reply = self.wire.command(*arguments)
        self.call = call
        try:
            wanted = next(client.expected)
        except StopIteration:
            raise Failure(f"{client.verb.words}: sent {call.name}, which it should not") from None
        self.check(call, reply, wanted, client.verb.words)
        return reply

    def _call_of(self, arguments: tuple[Any, ...]) -> Call | None:
        """The script call or write; None for what only reads."""
        command = arguments[0]
        if command in ("EVALSHA", "EVAL"):
            name = self._names[arguments[1]]
            return None if name in READING_SCRIPTS else Call(name, arguments[4:])
        return None if command in READING else Call(command, arguments[1:])

    def _load_scripts(self) -> None:
        for name in script_names(self.lua):
            made = clocked_script(name, self.lua)
            self._names[made.digest] = self._names[made.text] = name
            self.wire.command("SCRIPT", "LOAD", made.text)
        self._forgetful = False

    def judge(self, call: Call, reply: Any) -> list[tuple[int, str]]:
        """Reads what changed since the last time: the invariants that do not hold any more, each with what is wrong."""
        self.mirror.refresh()
        now_us, keys, before, ttls = self.model.now_us, self.mirror.keys, self.mirror.before, self.mirror.ttls
        step = Step(call, reply, now_us, keys, before, ttls, self.places)
        problems = broken(step, self.history)
        self.history.note(step)
        return problems

    def check(self, call: Call, reply: Any, wanted: Any, words: str) -> None:
        """The whole state after a call: every invariant, then the model, key by key."""
        self.counts.transitions += 1
        problems = self.judge(call, reply)
        disagreements = self._disagreements(reply, wanted) if self.compares else []
        if problems or disagreements:
            told = (f"invariant {number}: {what}" for number, what in problems)
            message = "\n  ".join([f"{words} ({call.name})", *told, *disagreements])
            raise Failure(message, tuple(sorted({number for number, _ in problems})))

    def _disagreements(self, reply: Any, wanted: Any) -> list[str]:
        found = [] if _agree(wanted, reply) else [f"answered {reply!r}, the model {wanted!r}"]
        keys, ttls = self.model.render(), self.model.ttls()
        if keys != self.mirror.keys:
            found += _differences(keys, self.mirror.keys)
        for name, left in self.mirror.ttls.items():
            whole = ttls.get(name, 0)
            if not whole - TTL_SLACK_MS < left <= whole:
                found.append(f"{name.decode()} ends in {left} ms, the model says {whole}")
        if ttls.keys() != self.mirror.ttls.keys():
            found.append(f"keys with an end: {sorted(self.mirror.ttls)}, the model {sorted(ttls)}")
        return found

    def _unchanged(self, arguments: tuple[Any, ...]) -> None:
        if changed := self.wire.changed - {CLOCK}:
            raise Failure(f"{arguments[0]} only reads, and changed {sorted(changed)}")

    # --- time, and the server itself ---

    def move_clock(self, us: int) -> None:
        """The scripts see another time; what is over then is removed, as the server would."""
        over = self.model.move_clock(us)
        self.counts.clock_steps += 1
        self._set_clock()
        if over:
            self.wire.command("DEL", *(PREFIX + name.encode() for name in over))
            self.check(Call("clock", (us,)), None, None, f"clock {us:+} µs")
            self.counts.transitions -= 1

    def flush_scripts(self) -> None:
        self.wire.command("SCRIPT", "FLUSH")
        self._forgetful = True

    def impose(self) -> None:
        """Makes the server's state what the model says: for a past that would take too long to live through."""
        wanted = self.model.render()
        for name in wanted.keys() | self.mirror.keys.keys():
            if wanted.get(name) != self.mirror.keys.get(name):
                self._rewrite(PREFIX + name, wanted.get(name))
        self.mirror.refresh()
        for name, value in self.mirror.before.items():
            self.places.move(name, value, self.mirror.keys.get(name))
        for job in self.model.jobs.values():
            self.history.fences.setdefault(job.id.encode(), set()).add((job.fence or "").encode())

    def _rewrite(self, key: bytes, value: Any) -> None:
        self.wire.command("DEL", key)
        if isinstance(value, dict):
            self.wire.command("HSET", key, *(part for pair in value.items() for part in pair))
        elif isinstance(value, list):
            self.wire.command("ZADD", key, *(part for member, score in value for part in (score, member)))

    def verify_mirror(self) -> None:
        """That nothing was missed: everything read afresh is what was kept."""
        keys, ttls = self.mirror.read_all()
        if keys != self.mirror.keys or ttls.keys() != self.mirror.ttls.keys():
            raise Failure("\n  ".join(["the mirror missed a change", *_differences(self.mirror.keys, keys)]))

    def _set_clock(self) -> None:
        self.wire.command("SET", CLOCK, self.model.now_us)


def _agree(wanted: Any, reply: Any) -> bool:
    if isinstance(wanted, ClaimReply):
        return wanted.agrees(reply)
    if isinstance(wanted, list) and len(wanted) == 2 and isinstance(wanted[1], list):
        return isinstance(reply, list) and reply[0] == wanted[0] and sorted(reply[1]) == wanted[1]
    return bool(reply == wanted)


def _differences(model: dict[bytes, Any], server: dict[bytes, Any]) -> list[str]:
    found: list[str] = []
    for name in sorted(model.keys() | server.keys()):
        ours, theirs = model.get(name), server.get(name)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            fields = sorted(
                field for field in ours.keys() | theirs.keys() if ours.get(field) != theirs.get(field)
            )
            parts = (
                f"{field.decode()}: server {theirs.get(field)}, model {ours.get(field)}" for field in fields
            )
            found.append(f"{name.decode()}: {'; '.join(parts)}")
        else:
            found.append(f"{name.decode()}: server {theirs}, model {ours}")
    return found
