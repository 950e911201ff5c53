"""A Forge for programs without an event loop: one runs in a thread behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ironforge.job import Job, NewJob

if TYPE_CHECKING:
    from ironforge.forge import Forge

T = TypeVar("T")


class SyncForge:
    """`forge.sync`: the same calls, each waiting for its answer. Safe to use from several threads."""

    def __init__(self, forge: Forge) -> None:
        # A client belongs to one loop: this one is not shared with the loop of the forge itself.
        from ironforge.forge import Client

        self._client = Client(settings=forge.settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ironforge-sync", daemon=True)
        self._thread.start()

    def enqueue(self, kind: str, payload: Mapping[str, Any] | None = None, **options: Any) -> Job:
        return self._wait(self._client.enqueue(kind, payload, **options))

    def enqueue_many(self, jobs: Iterable[NewJob | tuple[str, Mapping[str, Any]]]) -> list[Job]:
        return self._wait(self._client.enqueue_many(jobs))

    def get(self, job_id: str) -> Job:
        return self._wait(self._client.get(job_id))

    def close(self) -> None:
        """Closes connections and ends the thread."""
        self._wait(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
