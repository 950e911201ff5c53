"""Steady traffic for the demo: about a dozen jobs a second. `python -m ironforge.demo.traffic`."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from typing import Any

from ironforge import lifeline
from ironforge.demo.tasks import forge
from ironforge.errors import StoreUnavailable

JOBS_PER_S = 12.0
_NAMES = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "ken", "radia")

Draw = tuple[str, dict[str, Any], dict[str, Any]]


def _email() -> Draw:
    return (
        "email.send",
        {"to": f"{random.choice(_NAMES)}@example.com", "subject": "Your order"},
        {"queue": "mail"},
    )


def _sms() -> Draw:
    return (
        "sms.send",
        {"to": f"+49151{random.randint(10**6, 10**7)}", "text": "on its way"},
        {"queue": "mail"},
    )


def _charge() -> Draw:
    payload = {
        "order_id": random.randint(1000, 9999),
        "amount": round(random.uniform(3, 300), 2),
        "gateway": random.choice(("eu-1", "eu-1", "eu-1", "us-1", "eu-2")),
    }
    return "payment.charge", payload, {"queue": "critical", "priority": "critical", "max_retries": 2}


def _resize() -> Draw:
    return (
        "image.resize",
        {"image": f"img-{random.randint(1, 999)}.png", "width": 640},
        {"queue": "bulk", "priority": "low"},
    )


def _report() -> Draw:
    return "report.generate", {"name": random.choice(("daily", "weekly", "audit"))}, {"queue": "bulk"}


def _webhook() -> Draw:
    host = random.choice(("hooks.example.com",) * 7 + ("broken.example.com", "gone.example.com"))
    payload = {"url": f"https://{host}/v1", "event": random.choice(("order.paid", "order.sent"))}
    return "webhook.deliver", payload, {"max_retries": 2}


def _warm() -> Draw:
    return (
        "cache.warm",
        {"key": f"product:{random.randint(1, 500)}"},
        {"priority": random.choice(("high", "medium"))},
    )


_DRAWS: tuple[tuple[Callable[[], Draw], int], ...] = (
    (_email, 24), (_sms, 10), (_charge, 12), (_resize, 9), (_report, 4), (_webhook, 14), (_warm, 27),
)  # fmt: skip


def draw() -> Draw:
    """Kind, payload and options of one random job; one in twelve is due later."""
    makers, weights = zip(*_DRAWS, strict=True)
    kind, payload, options = random.choices(makers, weights)[0]()
    if random.random() < 0.08:
        options["delay_s"] = random.uniform(3, 40)
    return kind, payload, options


async def run() -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    while not stopping.is_set():
        try:
            kind, payload, options = draw()
            await forge.enqueue(kind, payload, **options)
            pause_s = random.expovariate(JOBS_PER_S)
        except StoreUnavailable:
            pause_s = 1.0
        try:
            await asyncio.wait_for(stopping.wait(), pause_s)
        except TimeoutError:
            continue
    await forge.aclose()


if __name__ == "__main__":
    lifeline.watch()
    asyncio.run(run())
