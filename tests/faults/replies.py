"""Replies are cut while actors do everything the queue can do: the run that the short test and the scenario share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from pathlib import Path
from random import Random

from ironforge.config import Settings
from ironforge.forge import Forge
from ironforge.queue.backend import RedisQueue
from ironforge.queue.scripts import script
from tests.chaos.pacing import during
from tests.faults.actor import Actor, act_all
from tests.faults.book import Verdict, judge
from tests.faults.proxy import FaultProxy, some_replies
from tests.faults.races import transport
from tests.faults.web import Web

SHARE = 0.2
ACTORS = 12
# They change nothing, or only what an operator asks to be corrected while nobody works.
NOT_ASKED = frozenset(
    {
        "read_page",
        "read_queues",
        "raw",
        "inspect_job",
        "read_ledger",
        "inspect_key",
        "ledger",
        "repair",
        "repair_key",
    }
)


def script_names() -> dict[str, str]:
    """Digest → name of every script that callers run."""
    folder = files("ironforge.queue") / "lua"
    names = [entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")]
    return {script(name).digest: name for name in names if not name.startswith("_")}


_NAMES = script_names()


def script_of(request: list[bytes]) -> str:
    """The script's name for a call of one, else the command's."""
    if request[0] == b"EVALSHA":
        return _NAMES.get(request[1].decode("latin-1"), "?")
    if request[0] == b"EVAL":
        return _NAMES.get(sha1(request[1], usedforsecurity=False).hexdigest(), "?")
    return request[0].decode()


def unused_scripts(counted: Counter[str]) -> list[str]:
    """Scripts that change something and are not among these."""
    return sorted(set(_NAMES.values()) - NOT_ASKED - counted.keys())


@dataclass(slots=True)
class Outcome:
    """What a run did, and what it came to."""

    operations: Counter[str]
    sent: int
    seen: Counter[str]
    cut: Counter[str]
    verdict: Verdict


async def run_actors(
    url: str,
    namespace: str,
    folder: Path,
    operations: int,
    seed: int,
    tell: Callable[[str], None] | None = None,
) -> Outcome:
    """So many operations through a proxy that cuts a fifth of the exchanges.

    Args:
        folder: for the proxy's socket.
        tell: hears now and then how far it is.
    """
    async with FaultProxy(url, folder, seed=seed) as proxy, RedisQueue(proxy.url, namespace) as queue:
        proxy.decide, proxy.name_of = some_replies(SHARE), script_of
        rng = Random(seed)
        forge = Forge(settings=Settings(redis_url=proxy.url, namespace=namespace))
        web = Web(transport(forge))
        actors = [Actor(at, queue, web, Random(rng.random())) for at in range(ACTORS)]
        telling = asyncio.create_task(_tell(actors, operations, tell)) if tell else None
        try:
            await act_all(actors, operations)
        finally:
            if telling:
                telling.cancel()
            await web.aclose()
            await forge.aclose()
    async with RedisQueue(url, namespace) as direct:
        verdict = await judge(direct, [actor.book for actor in actors])
    done = sum((actor.done for actor in actors), Counter[str]())
    return Outcome(done, sum(actor.sent for actor in actors), proxy.seen, proxy.cut, verdict)


async def _tell(actors: list[Actor], operations: int, tell: Callable[[str], None]) -> None:
    while True:
        await during(5)
        tell(f"replies: {sum(actor.done.total() for actor in actors):,} of {operations:,} operations")
