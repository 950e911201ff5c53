"""The last question to a server: do the books of every namespace agree?"""

from __future__ import annotations

from ironforge.queue.auditor import audit
from ironforge.queue.backend import RedisQueue
from tests.chaos.scorecard import Row

# Who was killed may still have a lease: a job that came due since is late for a reason.
FORGIVEN = {"overdue"}


async def disagreements(url: str, namespaces: list[str] | None = None) -> tuple[list[str], int]:
    """What the auditor finds, in words, and in how many jobs.

    Args:
        namespaces: all of that server, when None.
    """
    if namespaces is None:
        async with RedisQueue(url, "none") as queue:
            keys = [key.decode() async for key in queue.client.scan_iter("*:meta", count=1000)]
        namespaces = sorted(key.removesuffix(":meta") for key in keys if "{" not in key)
    found: list[str] = []
    jobs = 0
    for name in namespaces:
        async with RedisQueue(url, name) as queue:
            looked = await audit(queue)
        jobs += looked.jobs
        found += [
            f"{name}: {one.rule}: {one.subject} {one.detail}"
            for one in looked.findings
            if one.rule not in FORGIVEN
        ]
    return found, jobs


async def closing_row(url: str) -> Row:
    found, jobs = await disagreements(url)
    words = "".join(f"\n{one}" for one in found[:3])
    return Row("what the auditor finds", f"{len(found):,} in {jobs:,} jobs{words}", "0", not found)
