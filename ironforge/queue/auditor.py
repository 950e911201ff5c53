"""The auditor: do the books agree? Every rule of rules.py, in bounded steps, on a live namespace. Changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from ironforge.queue.inspecting import Finding, Inspection, Looked
from ironforge.queue.namespace import Namespace


@dataclass(slots=True)
class Audit:
    """What was looked at, and what is wrong. `whole` is False when it stopped at the most findings it may have."""

    looked: Looked = field(default_factory=Looked)
    findings: list[Finding] = field(default_factory=list[Finding])
    whole: bool = True

    @property
    def jobs(self) -> int:
        return self.looked.jobs

    @property
    def entries(self) -> int:
        return self.looked.entries


async def audit(
    queue: Namespace,
    most_findings: int = 1000,
    tell: Callable[[Looked], None] | None = None,
    sample: int | None = None,
) -> Audit:
    """Looks at every key, every job, every index entry, every claim and every dead group.

    Each is judged within one script call, in which nothing can move. A head that should have moved on is looked at twice.

    Args:
        most_findings: it stops there.
        tell: called again and again, with what was looked at so far.
        sample: look at about so many jobs and index entries only.
    """
    found = Audit()
    seen: dict[tuple[str, str, str, int], Finding] = {}
    async for finding in findings(queue, found.looked, sample, tell):
        seen.setdefault((finding.rule, finding.subject, finding.detail, finding.shard), finding)
        if len(seen) >= most_findings:
            found.whole = False
            break
    found.findings = [seen[key] for key in sorted(seen)]
    return found


async def findings(
    queue: Namespace,
    looked: Looked,
    sample: int | None = None,
    tell: Callable[[Looked], None] | None = None,
) -> AsyncIterator[Finding]:
    """What breaks a rule, shard by shard, in the order in which it is met; the same thing may be met twice."""
    shards = await queue.all_shards()
    for at, shard in enumerate(shards):
        share = None if sample is None else looked.jobs + -(-sample // len(shards))
        async for finding in Inspection(shard, at, len(shards), looked, share, tell).findings():
            yield finding
