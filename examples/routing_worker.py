"""One handler object that routes by kind: e-mail, SMS, reports. An unknown kind is taken, with a warning.

Run `ironforge worker routing_worker:forge` in this folder, or `python examples/routing_worker.py`.
A payload with {"fail": true} fails on purpose, to watch retries and the DLQ.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ironforge import Forge, Job, Worker

log = logging.getLogger("routing")
forge = Forge()


class MultiTaskHandler:
    """What the handler returns is the job's result; what it raises is retried, then dead."""

    async def handle(self, job: Job) -> Any:
        if job.payload.get("fail"):
            raise RuntimeError("asked to fail")
        match job.kind:
            case "email.send":
                return await self.send_email(job)
            case "sms.send":
                return await self.send_sms(job)
            case "report.generate":
                return await self.generate_report(job)
            case _:
                log.warning("unknown job type", extra={"kind": job.kind, "job_id": job.id})
                return None

    async def send_email(self, job: Job) -> dict[str, str]:
        to = job.payload["to"]  # a missing address is an error like any other
        await asyncio.sleep(0.05)
        log.info("email sent", extra={"job_id": job.id})
        return {"delivered_to": to}

    async def send_sms(self, job: Job) -> dict[str, str]:
        await asyncio.sleep(0.02)
        return {"sent_to": job.payload["to"]}

    async def generate_report(self, job: Job) -> dict[str, int]:
        await asyncio.sleep(0.1)
        return {"rows": int(job.payload.get("rows", 1000))}


forge.handler(MultiTaskHandler())

if __name__ == "__main__":
    Worker(forge, concurrency=8).run()
