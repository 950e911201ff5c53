"""A worker with one task. Run `python examples/simple_worker.py`, then `python examples/submit_jobs.py`.

REDIS_URL names the Redis to use; without it both share the embedded server.
"""

from __future__ import annotations

import asyncio

from ironforge import Forge, Worker

forge = Forge()


@forge.task("greet", max_retries=3, timeout_s=30)
async def greet(name: str, greeting: str = "Hello") -> str:
    await asyncio.sleep(0.05)
    print(f"{greeting}, {name}!", flush=True)
    return f"{greeting}, {name}!"


if __name__ == "__main__":
    Worker(forge, concurrency=4).run()
