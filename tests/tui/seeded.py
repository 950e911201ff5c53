"""A namespace that stands still: what a server would tell of it, for screens that must not change by themselves."""

from __future__ import annotations

from typing import Any

from ironforge.tui.api import ApiError

NOW_S = 1_795_500_000.0  # 2026-11-24T06:00:00Z
NOW = "2026-11-24T06:00:00.000Z"


def at(ago_s: float) -> str:
    whole = int(NOW_S * 1000 - ago_s * 1000)
    from ironforge.schemas import instant_text

    return instant_text(whole) or ""


def job_id(number: int) -> str:
    return f"019ab1c2-6d1f-7000-8a2b-{number:012x}"


TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3.11/asyncio/tasks.py", line 490, in wait_for
    return fut.result()
  File "/usr/lib/python3/site-packages/httpx/_client.py", line 1, in post
    raise mapped
  File "/srv/shop/billing.py", line 88, in charge
    response = gateway.post(order.url, body)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/gateway.py", line 41, in post
    return self._client.send(request)
shop.gateway.GatewayTimeout: read timed out after 30 s [/red] [bold]"""


def error(message: str = "read timed out after 30 s [/red]") -> dict[str, str]:
    return {"type": "GatewayTimeout", "message": message, "traceback": TRACE}


def job(number: int, status: str, **more: Any) -> dict[str, Any]:
    dead = status == "dead"
    return {
        "id": job_id(number),
        "kind": ("payment.charge", "email.send", "image.resize")[number % 3],
        "queue": ("default", "mail", "bulk")[number % 3],
        "payload": {"order_id": 8800 + number, "amount": 12.5, "note": "[/b] fine"},
        "priority": ("critical", "high", "medium", "low")[number % 4],
        "status": status,
        "retry_count": 3 if dead else number % 3,
        "max_retries": 3,
        "created_at": at(400 + number),
        "run_at": at(-90 - number) if status in ("scheduled", "retrying") else None,
        "started_at": at(90 - number) if status == "running" else None,
        "finished_at": at(60 + number * 7) if status in ("dead", "completed", "cancelled") else None,
        "worker": "web-1-4182-a1b2c3" if status == "running" else None,
        "last_error": error() if dead or status == "retrying" else None,
        "attempts": [
            {
                "number": n,
                "started_at": at(300 - 60 * n),
                "finished_at": at(270 - 60 * n),
                "worker": "web-1-4182-a1b2c3",
                "outcome": "failed",
                "error": error(),
            }
            for n in range(1, 4)
        ]
        if dead
        else [],
        "result": {"sent": True} if status == "completed" else None,
        "progress": {"fraction": 0.71, "message": "resizing"}
        if status == "running" and number % 3 == 2
        else None,
        **more,
    }


def _queue(name: str, counts: tuple[int, int, int, int, int], **more: Any) -> dict[str, Any]:
    queued, running, scheduled, retrying, dead = counts
    wave = [float((slot * 7 + len(name)) % 11) for slot in range(30)]
    return {
        "name": name, "paused": False, "queue_depth": queued, "queued": queued, "running": running,
        "scheduled": scheduled, "retrying": retrying, "dead": dead, "completed": 1200, "cancelled": 3,
        "oldest_s": 0.1 if queued else None, "in_per_s": 12.25, "out_per_s": 11.5, "failed_per_s": 0.4,
        "eta_s": None, "workers": 2, "spark": wave, **more,
    }  # fmt: skip


QUEUES = [
    _queue("bulk", (498, 12, 88, 30, 15), oldest_s=63.0, eta_s=4.0),
    _queue("critical", (3, 12, 0, 1, 0)),
    _queue("default", (11_902, 40, 1_204, 180, 22), oldest_s=252.0, eta_s=57.0),
    _queue("mail", (1_870, 0, 0, 0, 0), paused=True, oldest_s=760.0, out_per_s=0, workers=0),
    _queue("reports", (0, 0, 14, 0, 0), in_per_s=0, out_per_s=0, failed_per_s=0, spark=[0.0] * 30),
]
STATS = {
    "queue_depth": 14_273, "dlq_depth": 37, "active_jobs": 64, "scheduled": 1_306, "retrying": 211,
    "completed": 812_004, "failed": 9_120, "throughput": 412.0, "failing": 3.2, "workers": 4, "slots": 80,
    "wait_p50_s": 0.4, "wait_p99_s": 8.1,
    "attention": [
        {"rule": "dead_grew", "severity": "bad", "subject": {"type": "group", "name": "7c1e00aa11bb"}, "message": "payment.charge died of GatewayTimeout in the last five minutes; 15 like it are dead", "hint": "3"},
        {"rule": "paused", "severity": "warn", "subject": {"type": "queue", "name": "mail"}, "message": "queue mail is paused and 1,870 jobs wait in it", "hint": "P"},
    ],
}  # fmt: skip
SERIES = {
    "step_s": 10,
    "completed": [float(200 + (slot * 37) % 190) for slot in range(30)],
    "failed": [float(slot % 5) for slot in range(30)],
    "wait_p50_s": [0.4] * 30,
    "wait_p99_s": [float(1 + slot % 9) for slot in range(30)],
}
GROUPS = [
    {"fingerprint": "7c1e00aa11bb", "kind": "payment.charge", "error_type": "GatewayTimeout", "error_message": "read timed out after 30 s [/red]", "where": "/srv/shop/gateway.py:41 post", "queue": "default", "count": 15, "first_at": at(213), "last_at": at(12), "sample_id": job_id(3)},
    {"fingerprint": "a90b00aa11bb", "kind": "email.send", "error_type": "ConnectionError", "error_message": "smtp.example.com closed the connection", "where": "/srv/shop/mail.py:12 send", "queue": "mail", "count": 7, "first_at": at(80_000), "last_at": at(11_000), "sample_id": job_id(6)},
]  # fmt: skip
WORKERS = [
    {"id": "web-1-4182-a1b2c3", "host": "web-1", "pid": 4182, "version": "0.1.0", "queues": ["critical", "default"], "kinds": ["payment.charge"], "concurrency": 10, "state": "running", "started_at": at(260_000), "lease_s": 12.0, "beat_age_s": 0.4, "cpu_pct": 61.0, "rss_bytes": 210 << 20, "busy": 8, "done": 51_204, "failed": 12, "running": [
        {"id": job_id(n), "kind": "payment.charge", "queue": "default", "started_at": at(90 - n), "progress": {"fraction": n / 10} if n % 2 else None} for n in range(8)]},
    {"id": "web-2-77-d4e5f6", "host": "web-2", "pid": 77, "version": "0.1.0", "queues": ["bulk"], "kinds": [], "concurrency": 10, "state": "lost", "started_at": at(900), "lease_s": -41.0, "beat_age_s": 56.0, "busy": 0, "done": 4, "failed": 0, "running": []},
]  # fmt: skip
TASKS = [
    {"kind": "email.send", "queues": ["mail"], "schema": {"properties": {"to": {"type": "string"}, "copies": {"type": "integer", "default": 1, "minimum": 1}}, "required": ["to"], "additionalProperties": False}},
    {"kind": "payment.charge", "queues": ["default"], "schema": {}},
]  # fmt: skip


def hello(seq: int = 0, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "epoch": "e", "api": 1, "namespace": "ironforge", "redis": "valkey 9.1.2", "durability": "everysec", "role": "admin", "now": NOW, **more}  # fmt: skip


def stats(seq: int = 1) -> dict[str, Any]:
    return {"seq": seq, "now": NOW, "stats": STATS, "queues": QUEUES, "series": SERIES}


class SeededApi:
    """Answers as the server would, and writes down what was asked to change: `changes` holds (call, subject, key)."""

    def __init__(self) -> None:
        self.requests = 0
        self.changes: list[tuple[str, str, str]] = []
        self.refuse: dict[str, ApiError] = {}  # by job id; once each

    async def close(self) -> None: ...

    async def jobs(self, cursor: str | None = None, limit: int = 200, **wanted: str | None) -> dict[str, Any]:
        status = wanted.get("status") or "running"
        found = [job(number, status) for number in range(15)]
        return {"jobs": found[:limit], "next_cursor": None, "total": len(found)}

    async def job(self, wanted: str) -> dict[str, Any]:
        return job(int(wanted[-12:], 16), "dead")

    async def groups(self, limit: int = 200) -> list[object]:
        return list(GROUPS)

    async def workers(self) -> list[object]:
        return list(WORKERS)

    async def tasks(self) -> list[dict[str, Any]]:
        return list(TASKS)

    async def _change(self, call: str, subject: str, key: str) -> dict[str, Any]:
        self.changes.append((call, subject, key))
        if error := self.refuse.pop(subject, None):
            raise error
        return {"id": subject, "status": "queued"}

    async def retry(self, wanted: str, key: str) -> dict[str, Any]:
        return await self._change("retry", wanted, key)

    async def run_now(self, wanted: str, key: str) -> dict[str, Any]:
        return await self._change("run", wanted, key)

    async def cancel(self, wanted: str, key: str) -> dict[str, Any]:
        return await self._change("cancel", wanted, key)

    async def delete(self, wanted: str, key: str) -> dict[str, Any]:
        return await self._change("delete", wanted, key)

    async def pause(self, queue: str, key: str, *, resume: bool) -> dict[str, Any]:
        return await self._change("resume" if resume else "pause", queue, key)

    async def submit(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        return await self._change("submit", body["kind"], key)
