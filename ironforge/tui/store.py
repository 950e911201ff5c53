"""What the console knows, without Textual: the newest snapshot and the connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ironforge.tui.doc import Doc
from ironforge.tui.models import Queue, Series, Stats, queue_of, series_of, stats_of

Link = Literal["starting", "live", "lag", "offline", "degraded", "poll", "denied"]
API = 1
LAG_S = 1.5
LOST_S = 2.5


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers."""

    epoch: str = ""
    namespace: str = ""
    redis: str = ""
    durability: str = ""
    role: str = ""
    api: int = API


@dataclass(slots=True)
class Store:
    """Everything the views draw. `apply` takes one event of the stream; the clock can be another for tests."""

    url: str = ""
    read_only: bool = False
    clock: Callable[[], float] = time.time
    link: Link = "starting"
    link_words: str = "connecting"
    since: float = 0.0
    next_try_at: float | None = None
    last_event: float = 0.0
    hello: Hello = field(default_factory=Hello)
    stats: Stats = field(default_factory=Stats)
    known: bool = False  # a snapshot has come
    queues: list[Queue] = field(default_factory=list[Queue])
    series: Series = field(default_factory=Series)
    told_at_s: float | None = None  # the server's time of the snapshot
    changed_queues: set[str] = field(default_factory=set[str])
    gaps: int = 0
    seen_dead: int | None = None
    _seq: int = -1
    _clock_skew: float = 0.0

    def apply(self, event: str, data: dict[str, Any]) -> bool:
        """Takes one event. False when something before it was missed: what lists show is old then."""
        doc = Doc(data)
        self.last_event = self.clock()
        whole = self._in_sequence(event, doc)
        if not whole:
            self.gaps += 1
            self.changed_queues.add("*")
        if (now_s := doc.at("now")) is not None:
            self._clock_skew = now_s - self.clock()
        match event:
            case "hello":
                self._greeted(doc)
            case "stats":
                self._take(doc)
            case "changed":
                self.changed_queues.add(doc.text("queue", 64))
            case "hb":
                self._judge(doc.text("redis", 10))
            case _:
                pass
        return whole

    def _in_sequence(self, event: str, doc: Doc) -> bool:
        before, self._seq = self._seq, doc.whole("seq")
        return event == "hello" or before < 0 or self._seq == before + 1

    def _greeted(self, doc: Doc) -> None:
        self.hello = Hello(
            epoch=doc.text("epoch", 40),
            namespace=doc.text("namespace", 32),
            redis=doc.text("redis", 40),
            durability=doc.text("durability", 20),
            role=doc.text("role", 20),
            api=doc.whole("api"),
        )
        self.changed_queues.add("*")  # whatever lists are shown are old now

    def _take(self, doc: Doc) -> None:
        self.stats, self.series = stats_of(doc.raw.get("stats")), series_of(doc.raw.get("series"))
        self.queues = [queue_of(found.raw) for found in doc.docs("queues")]
        self.known, self.told_at_s = True, self.server_now_s
        if self.seen_dead is None:
            self.seen_dead = self.stats.dead
        self._judge("ok")

    def _judge(self, redis: str) -> None:
        if redis == "away":
            self.set_link("degraded", "the server is up, its Redis is away; numbers are the last known")
        else:
            self.set_link("live", "")

    def polled(self, stats: object, queues: object) -> None:
        """A snapshot by plain requests: no stream gets through."""
        self.last_event, self._seq = self.clock(), -1
        self._take(Doc({"stats": stats, "queues": queues}))
        self.changed_queues.add("*")
        self.set_link("poll", "the stream does not get through; asking once a second")

    def set_link(self, link: Link, words: str) -> bool:
        """True when the state changed."""
        self.link_words = words
        if link == self.link:
            return False
        self.link, self.since = link, self.clock()
        return True

    def lost(self, words: str, next_try_s: float | None, *, denied: bool = False) -> bool:
        """There is no stream any more. `next_try_s`: None when somebody has to ask for a try."""
        self._seq = -1
        self.next_try_at = None if next_try_s is None else self.clock() + next_try_s
        return self.set_link("denied" if denied else "offline", words)

    def tick(self) -> None:
        """Notices a stream that went quiet."""
        if self.link in ("live", "lag"):
            self.set_link("lag" if self.quiet_s > LAG_S else "live", "")

    @property
    def quiet_s(self) -> float:
        return max(0.0, self.clock() - self.last_event)

    @property
    def for_s(self) -> float:
        """How long the connection has been as it is."""
        return max(0.0, self.clock() - self.since)

    @property
    def server_now_s(self) -> float:
        """The server's clock now."""
        return self.clock() + self._clock_skew

    @property
    def reachable(self) -> bool:
        """Whether it makes sense to ask the server for a list."""
        return self.link in ("live", "lag", "poll")

    @property
    def dimmed(self) -> bool:
        """What is on the screen is not what is."""
        return self.link in ("offline", "denied")

    @property
    def locked(self) -> str:
        """Why nothing can be changed; empty when it can."""
        if self.read_only:
            return "this console is read-only"
        if self.hello.api != API:
            return f"the server speaks version {self.hello.api} of the API; this console can only look"
        return {
            "starting": "not possible before there is a server",
            "offline": "not possible while offline",
            "denied": "not possible while the server refuses this token",
            "degraded": "not possible while Redis is away",
        }.get(self.link, "")

    @property
    def new_dead(self) -> int:
        """How many more are dead than when the Dead view was last looked at."""
        return max(0, self.stats.dead - (self.seen_dead or 0))

    def look_at_dead(self) -> None:
        self.seen_dead = self.stats.dead

    def queue(self, name: str) -> Queue | None:
        return next((queue for queue in self.queues if queue.name == name), None)

    def take_changed(self) -> set[str]:
        changed, self.changed_queues = self.changed_queues, set()
        return changed
