"""The server under load: `python -m benchmarks.http [--json FILE]`. Needs wrk and redis-server.

POST /jobs beside a FastAPI route that validates the same body and does nothing (in turns, wrk with 32 connections);
POST /jobs/batch; /metrics at 200 kinds; /events with 100 listeners.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.machine import await_port, cpu_us, free_port, program, quantile, redis_server
from ironforge import Forge
from ironforge.job import NewJob
from ironforge.queue.readings import Settlement, Turn, WorkerInfo

JOB = {"kind": "email.send", "payload": {"to": "user@example.com", "n": 5}, "priority": "high"}
KINDS = 200
LISTENERS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each run of wrk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    results: dict[str, Any] = {}
    with redis_server() as (url, redis_pid), tempfile.TemporaryDirectory() as folder:
        port, plain_port = free_port(), free_port()
        server = program(
            "-m", "ironforge.cli.main", "server",
            REDIS_URL=url, BIND_ADDR=f"127.0.0.1:{port}", IRONFORGE_DATA_DIR=folder,
        )  # fmt: skip
        with server as ours, program("-m", "benchmarks.plain_app", str(plain_port)) as plain:
            await_port(port)
            await_port(plain_port)
            base = f"http://127.0.0.1:{port}"
            results["post_jobs"] = _posts(
                {"ironforge": (port, ours.pid), "plain": (plain_port, plain.pid)},
                chosen.seconds,
                chosen.rounds,
            )
            results["batches"] = _batches(base, ours.pid, redis_pid)
            asyncio.run(_fill(url))
            results["metrics_ms"] = _metrics(base)
            results["events"] = asyncio.run(_events(base, ours.pid))
    print(json.dumps(results, indent=1))
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1))


def _posts(servers: dict[str, tuple[int, int]], seconds: int, rounds: int) -> dict[str, Any]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            'wrk.method="POST"; wrk.headers["Content-Type"]="application/json"\n'
            f"wrk.body='{json.dumps(JOB)}'\n"
        )
        script.flush()
        for _ in range(rounds):
            for name, (port, pid) in servers.items():
                before = cpu_us(pid)
                told = subprocess.run(
                    ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script.name, f"http://127.0.0.1:{port}/jobs"],
                    capture_output=True, text=True, check=True,
                ).stdout  # fmt: skip
                if "Non-2xx" in told:
                    raise SystemExit(f"{name} refused requests:\n{told}")
                requests = int(re.findall(r"(\d+) requests in", told)[0])
                rate = float(re.findall(r"Requests/sec:\s+([0-9.]+)", told)[0])
                found[name].append((rate, (cpu_us(pid) - before) / requests))
    medians = {name: sorted(runs)[len(runs) // 2] for name, runs in found.items()}
    told_of = {
        name: {"per_s": round(rate), "cpu_us": round(cpu, 1), "runs": [round(run[0]) for run in found[name]]}
        for name, (rate, cpu) in medians.items()
    }
    return {**told_of, "share_of_plain": round(medians["ironforge"][0] / medians["plain"][0], 3)}


def _batches(base: str, pid: int, redis_pid: int, size: int = 10_000, rounds: int = 9) -> dict[str, float]:
    """Jobs a second, and what one takes of the server's CPU and of Redis'. The least of it is told, since other work adds."""
    body = json.dumps({"jobs": [JOB] * size}).encode()
    rates: list[float] = []
    spent: list[tuple[float, float]] = []
    with httpx.Client(timeout=60) as client:
        for _ in range(rounds):
            before, began = (cpu_us(pid), cpu_us(redis_pid)), time.perf_counter()
            answer = client.post(
                f"{base}/jobs/batch", content=body, headers={"content-type": "application/json"}
            )
            rates.append(size / (time.perf_counter() - began))
            answer.raise_for_status()
            spent.append(((cpu_us(pid) - before[0]) / size, (cpu_us(redis_pid) - before[1]) / size))
    server, redis = (round(min(column), 1) for column in zip(*spent, strict=True))
    return {
        "jobs_per_s": round(quantile(rates, 0.5)), "best": round(max(rates)),
        "server_us": server, "redis_us": redis,
    }  # fmt: skip


async def _fill(url: str) -> None:
    """200 kinds, each with completed, failed and retried jobs, so that every series exists."""
    async with Forge(url) as forge:
        queue = forge.queue
        await queue.register("bench", WorkerInfo("bench", 1, 1, "0", ("full",), 600), lease_ms=600_000)
        for outcome in ("completed", "retry", "dead"):
            await queue.enqueue_many([NewJob(f"kind.{at}", queue="full") for at in range(KINDS)])
            claimed = (await queue.turn(Turn("bench", 0, f"1.{outcome}", KINDS, ("full",)))).jobs
            ends = [
                Settlement(job.id, job.fence, outcome, None, "{}", 10**9, f"f{at % 20}")  # type: ignore[arg-type]
                for at, job in enumerate(claimed)
            ]
            await queue.turn(Turn("bench", 0, "", 0, ("full",), ends))


def _metrics(base: str, rounds: int = 30) -> dict[str, float]:
    took: list[float] = []
    with httpx.Client() as client:
        for _ in range(rounds):
            began = time.perf_counter()
            answer = client.get(f"{base}/metrics")
            took.append((time.perf_counter() - began) * 1000)
    return {
        "p50": round(quantile(took, 0.5), 1), "p99": round(quantile(took, 0.99), 1),
        "series": sum(1 for line in answer.text.splitlines() if line and line[0] != "#"),
    }  # fmt: skip


async def _events(base: str, pid: int, seconds: float = 10.0) -> dict[str, float]:
    """Share of a core with 100 listeners while a job is submitted ten times a second."""
    async with httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=LISTENERS + 5)) as client:
        received = 0

        async def listen() -> None:
            nonlocal received
            async with client.stream("GET", f"{base}/events") as stream:
                async for chunk in stream.aiter_raw():
                    received += len(chunk)

        listeners = [asyncio.create_task(listen()) for _ in range(LISTENERS)]
        await asyncio.sleep(3)
        before, began, received = cpu_us(pid), time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            await client.post(f"{base}/jobs", json=JOB)
            await asyncio.sleep(0.1)
        spent = (cpu_us(pid) - before) / 1e6 / (time.perf_counter() - began)
        for task in listeners:
            task.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return {
        "listeners": LISTENERS,
        "core_share": round(spent, 3),
        "kib_per_s": round(received / 1024 / seconds, 1),
    }


if __name__ == "__main__":
    main()
