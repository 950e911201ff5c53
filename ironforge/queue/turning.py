"""A turn: settle what finished, claim for free slots. In one round trip, or one per shard that has to be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ironforge.job import Job, JobStatus
from ironforge.queue.codec import job_from_hash, pairs
from ironforge.queue.connection import store_errors
from ironforge.queue.keys import by_shard
from ironforge.queue.namespace import Namespace, shard_at
from ironforge.queue.readings import Settlement, Turn, TurnReply
from ironforge.queue.scripts import Argument
from ironforge.queue.shard import Shard

# Due jobs that one claim promotes per queue and status at most.
PROMOTED_PER_CLAIM = 200


@dataclass(slots=True)
class _Claims:
    """What the shards answered to one claim: sent again, it goes on where it broke off."""

    order: list[int]
    replies: dict[int, TurnReply] = field(default_factory=dict[int, TurnReply])

    @property
    def taken(self) -> int:
        return sum(len(reply.jobs) for reply in self.replies.values())


class Turning(Namespace):
    _claims: dict[str, _Claims] | None = None  # of each token that was not answered yet
    _rotation = 0

    async def turn(self, turn: Turn) -> TurnReply:
        """Settles, then claims. Safe to send again as it is: see settle.lua and claim.lua.

        With several shards each is asked for the slots that those before left free; which is first goes around.
        """
        shards = self.shards or await self.all_shards()
        if len(shards) == 1:
            return await _turn_in(shards[0], turn)
        claiming = asyncio.ensure_future(self._claim_across(shards, turn))
        settling = asyncio.ensure_future(_settle_across(shards, turn))
        await asyncio.wait({claiming, settling})
        settling.exception()  # it is heard too when the claim failed as well
        reply = claiming.result()
        return replace(reply, settled=settling.result())

    async def _claim_across(self, shards: list[Shard], turn: Turn) -> TurnReply:
        if not turn.slots:
            return TurnReply([], "ok", [], [], None)
        queues = by_shard(turn.queues, len(shards))
        claims = self._claims_of(turn.token, list(queues))
        for at in claims.order:
            free = turn.slots - claims.taken
            if at not in claims.replies and free > 0:
                part = replace(turn, slots=free, queues=tuple(queues[at]), settlements=())
                claims.replies[at] = await _turn_in(shards[at], part)
        if self._claims:
            self._claims.pop(turn.token, None)
        return _merged(list(claims.replies.values()))

    def _claims_of(self, token: str, served: list[int]) -> _Claims:
        if self._claims is None:
            self._claims = {}
        found = self._claims.get(token)
        if found is None:
            first = self._rotation % len(served)
            self._rotation += 1
            found = self._claims[token] = _Claims(served[first:] + served[:first])
        return found


async def _settle_across(shards: list[Shard], turn: Turn) -> list[str]:
    """The words in the order of the settlements; a job of a shard that does not exist is refused."""
    words = ["refused"] * len(turn.settlements)
    parts: dict[int, list[int]] = {}
    for number, settlement in enumerate(turn.settlements):
        at = shard_at(settlement.job_id, len(shards))
        if at is not None:
            parts.setdefault(at, []).append(number)

    async def settle(at: int, numbers: list[int]) -> None:
        chosen = [turn.settlements[number] for number in numbers]
        reply = await _turn_in(shards[at], replace(turn, slots=0, settlements=chosen))
        for number, word in zip(numbers, reply.settled, strict=True):
            words[number] = word

    await asyncio.gather(*(settle(at, numbers) for at, numbers in parts.items()))
    return words


def _merged(replies: list[TurnReply]) -> TurnReply:
    if any(reply.word == "gone" for reply in replies):
        return TurnReply([], "gone", [], [], None)
    dues = [reply.next_due_ms for reply in replies if reply.next_due_ms is not None]
    return TurnReply(
        [],
        "late" if any(reply.word == "late" for reply in replies) else "ok",
        [job for reply in replies for job in reply.jobs],
        [order for reply in replies for order in reply.orders],
        min(dues, default=None),
    )


async def _turn_in(shard: Shard, turn: Turn) -> TurnReply:
    pipeline = shard.pipeline()
    if turn.settlements:
        pipeline.add(shard.script("settle"), *_settle_arguments(turn.settlements))
    if turn.slots:
        pipeline.add(shard.script("claim"), *claim_arguments(turn))
    with store_errors():
        replies = await pipeline.run()
    settled = _in_their_order(turn.settlements, words_of(replies.pop(0))) if turn.settlements else []
    if not turn.slots:
        return TurnReply(settled, "ok", [], [], None)
    return claim_reply(turn, settled, replies[0])


def claim_arguments(turn: Turn) -> list[Argument]:
    return [turn.wid, turn.lane, turn.token, turn.slots, PROMOTED_PER_CLAIM, *turn.queues]


def claim_reply(turn: Turn, settled: list[str], claimed: Sequence[Any]) -> TurnReply:
    if claimed[0] == b"gone":
        return TurnReply(settled, "gone", [], [], None)
    word, orders, due_ms, jobs = claimed
    return TurnReply(
        settled,
        "late" if word == b"late" else "ok",
        _claimed_jobs(turn.wid, jobs),
        words_of(orders),
        None if due_ms < 0 else due_ms,
    )


def words_of(reply: Sequence[bytes]) -> list[str]:
    return [word.decode() for word in reply]


def _settle_arguments(settlements: Sequence[Settlement]) -> list[Argument]:
    arguments: list[Argument] = [sum(one.outcome == "completed" for one in settlements)]
    for one in settlements:
        if one.outcome == "completed":
            arguments += (one.job_id, one.fence, one.result_json or b"")
    for one in settlements:
        if one.outcome != "completed":
            arguments += (
                one.job_id,
                one.fence,
                one.outcome,
                one.error_json or "",
                one.delay_ms,
                one.fingerprint or "unknown",
                one.reason or "",
            )
    return arguments


def _in_their_order(settlements: Sequence[Settlement], words: list[str]) -> list[str]:
    """settle.lua answers for those that completed first."""
    done, others = iter(words), iter(words[sum(one.outcome == "completed" for one in settlements) :])
    return [next(done) if one.outcome == "completed" else next(others) for one in settlements]


def _claimed_jobs(wid: str, reply: Sequence[Any]) -> list[Job]:
    jobs: list[Job] = []
    for at in range(0, len(reply), 4):
        job = job_from_hash(reply[at].decode(), pairs(reply[at + 3]))
        # The hash was read just before the claim was written into it.
        job.status, job.worker, job.progress_json = JobStatus.RUNNING, wid, None
        job.fence, job.started_ms = reply[at + 1].decode(), reply[at + 2]
        jobs.append(job)
    return jobs
