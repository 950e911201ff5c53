"""The built-in demo tasks: what `ironforge worker` runs when no module is given."""

from __future__ import annotations

import asyncio
import random
import time

from ironforge.context import Context
from ironforge.errors import Discard
from ironforge.forge import Forge
from ironforge.job import BackoffPolicy

forge = Forge()
QUEUES = ("critical", "default", "mail", "bulk")
# Short waits, so that a newcomer sees jobs retry and die within the first half minute.
_QUICK = BackoffPolicy(base_s=1.0, cap_s=8.0)


class GatewayTimeout(Exception):
    """The payment gateway did not answer."""


class WebhookRefused(Exception):
    """The receiver of a webhook said no."""


@forge.task("email.send", queue="mail", max_retries=3, timeout_s=30, backoff=_QUICK)
async def send_email(to: str, subject: str = "hello") -> dict[str, str]:
    await asyncio.sleep(random.uniform(0.05, 0.6))
    if random.random() < 0.06:
        raise ConnectionError(f"smtp.example.com closed the connection while sending to {to}")
    return {"delivered_to": to}


@forge.task("sms.send", queue="mail", max_retries=3, timeout_s=30, backoff=_QUICK)
async def send_sms(to: str, text: str) -> str:
    await asyncio.sleep(random.uniform(0.02, 0.2))
    return f"{len(text)} characters to {to}"


@forge.task("payment.charge", queue="critical", max_retries=2, timeout_s=20, backoff=_QUICK)
async def charge(order_id: int, amount: float, gateway: str = "eu-1") -> str:
    await asyncio.sleep(random.uniform(0.1, 0.8))
    if gateway == "eu-2" and random.random() < 0.8:
        raise GatewayTimeout(f"gateway {gateway} did not answer within 5 s for order {order_id}")
    return f"charged {amount:.2f}"


@forge.task("image.resize", queue="bulk", timeout_s=60, backoff=_QUICK)
async def resize(ctx: Context, image: str, width: int = 800) -> str:
    """Tells its progress, step by step."""
    steps = random.randint(6, 20)
    for step in range(steps):
        ctx.progress((step + 1) / steps, f"{image} → {width}px")
        await asyncio.sleep(random.uniform(0.05, 0.25))
    return f"{image}@{width}"


@forge.task("report.generate", queue="bulk", timeout_s=120)
def generate_report(ctx: Context, name: str, rows: int = 10_000) -> dict[str, int]:
    """A plain function: it runs in a thread and looks whether it was cancelled."""
    for done in range(10):
        if ctx.cancelled:
            break
        ctx.progress((done + 1) / 10, name)
        time.sleep(random.uniform(0.05, 0.4))
    return {"rows": rows}


@forge.task("webhook.deliver", queue="default", max_retries=2, timeout_s=15, backoff=_QUICK)
async def deliver(url: str, event: str) -> int:
    await asyncio.sleep(random.uniform(0.05, 0.3))
    if "gone" in url:
        raise Discard(f"{url} answered 410 Gone: the subscription has ended")
    if "broken" in url:
        raise WebhookRefused(f"{url} answered 422: field {event!r} is not allowed")
    if random.random() < 0.1:
        raise TimeoutError("read timed out after 10 s")
    return 200


@forge.task("cache.warm", queue="default", timeout_s=10)
async def warm(key: str) -> None:
    await asyncio.sleep(random.uniform(0.005, 0.05))
