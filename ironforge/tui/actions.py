"""What capitals do: ask where the danger asks for it, change, and say what came of it. Nothing is shown as done before the server says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ironforge.safe_text import safe_text
from ironforge.tui import words
from ironforge.tui.api import ApiError
from ironforge.tui.dialogs.confirm import Confirm
from ironforge.tui.dialogs.new_job import NewJob
from ironforge.tui.models import Group, JobRow
from ironforge.tui.theme import STATUS_GLYPH
from ironforge.tui.views.dead import Dead
from ironforge.tui.views.jobs import Jobs, wrong_status
from ironforge.tui.views.overview import Overview

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp

AT_ONCE = 8
MOST = 200
TRIES = 3
# More than so many deleted at once, or changed in any way: the word has to be typed.
TYPED_DELETE, TYPED_ANY = 100, 1_000
Change = Callable[[str, str], Awaitable[Any]]


class Actions:
    """The changing half of the console's commands.

    Args:
        key: made when the key was pressed; each job's Idempotency-Key begins with it.
    """

    def __init__(self, console: ConsoleApp, key: str) -> None:
        self._console, self._key = console, key

    async def do(self, command: str) -> None:
        """Carries out a command that changes the system."""
        match command:
            case "retry":
                await self._retry()
            case "cancel":
                await self._cancel()
            case "delete":
                await self._delete()
            case "pause":
                await self._pause()
            case "new":
                await self._new()
            case _:
                raise LookupError(command)

    # -- jobs ---------------------------------------------------------------------------------------------------------

    async def _retry(self) -> None:
        """Dead and cancelled jobs are queued again; retrying and scheduled ones do not wait any longer."""
        api, view = self._console.api, self._console.view
        if isinstance(view, Dead) and not view.on_jobs:
            await self._retry_groups(view)
            return
        rows = self._suitable("retry")
        waiting = {row.id for row in rows if row.status in ("retrying", "scheduled")}
        verb = "Run" if len(waiting) == len(rows) else "Retry"
        grid = view.grid()
        # A mark may be far from the cursor, and one forgets it.
        asks = len(rows) > 1 or bool(grid and grid.marks)
        if not rows or (asks and not await self._sure_of(verb, rows)):
            return

        async def change(job_id: str, key: str) -> None:
            await (api.run_now if job_id in waiting else api.retry)(job_id, key)

        await self._each(
            [row.id for row in rows], change, "retry", "queued again" if verb == "Retry" else "queued now"
        )

    async def _retry_groups(self, view: Dead) -> None:
        groups = view.marked_groups()
        ids = await self._ids_of(groups)
        many = f" in {len(groups)} groups" if len(groups) > 1 else f" of group {groups[0].fingerprint}"
        lines = [
            f"{len(ids)} dead job{'s' * (len(ids) != 1)}{many} {'go' if len(ids) != 1 else 'goes'} back to",
            "the queue, retries counted from 0 again.",
            *self._left_over(groups, ids),
        ]
        if ids and await self._sure(f"Retry {_jobs(len(ids))}", lines, f"Retry {len(ids)}", len(ids)):
            await self._each(ids, self._console.api.retry, "retry", "queued again")

    async def _cancel(self) -> None:
        rows = self._suitable("cancel")
        running = sum(row.status == "running" for row in rows)
        more = (
            ["", f"{running} running: the handler is stopped within 2 s. This cannot be undone."]
            if running
            else []
        )
        if rows and await self._sure_of("Cancel", rows, more):
            done = "asked to stop" if running == len(rows) else "cancelled"
            await self._each([row.id for row in rows], self._console.api.cancel, "cancel", done)

    async def _delete(self) -> None:
        view = self._console.view
        if isinstance(view, Dead) and not view.on_jobs:
            groups = view.marked_groups()
            ids = await self._ids_of(groups)
            lines = [f"{_jobs(len(ids), 'dead ')} with payload and error.", *self._left_over(groups, ids)]
        else:
            rows = self._suitable("delete")
            ids, lines = [row.id for row in rows], _lines_of(rows)
        lines += ["", "Removed for good. This cannot be undone."]
        verb = f"Delete {len(ids)}" if len(ids) != 1 else "Delete"
        if ids and await self._sure(f"Delete {_jobs(len(ids))}", lines, verb, len(ids), deletes=True):
            if view.key == "job":
                self._console.command("back")
            await self._each(ids, self._console.api.delete, "delete", "deleted")

    def _suitable(self, command: str) -> list[JobRow]:
        """The marked jobs, or the one under the cursor, that are in a state for it."""
        rows = self._console.view.targets()
        return [row for row in rows if not wrong_status(command, row.status)][:MOST]

    def _left_over(self, groups: list[Group], ids: list[str]) -> list[str]:
        total = sum(group.count for group in groups)
        return [f"{total - len(ids)} more stay: one action takes at most {MOST}."] if total > len(ids) else []

    async def _ids_of(self, groups: list[Group]) -> list[str]:
        ids: list[str] = []
        for group in groups:
            page = await self._console.api.jobs(None, MOST, status="dead", error=group.fingerprint)
            ids += [str(job["id"]) for job in page["jobs"]]
        return list(dict.fromkeys(ids))[:MOST]

    async def _sure_of(self, verb: str, rows: list[JobRow], more: list[str] | None = None) -> bool:
        button = f"{verb} {len(rows)}" if len(rows) > 1 else f"{verb} job"
        left = len(self._console.view.targets()) - len(rows)
        skipped = (
            ["", f"{left} more {'are' if left > 1 else 'is'} marked, in no state for this."] if left else []
        )
        lines = [*_lines_of(rows), *skipped, *(more or [])]
        return await self._sure(f"{verb} {_jobs(len(rows))}", lines, button, len(rows))

    async def _sure(
        self, title: str, lines: list[str], verb: str, count: int, *, deletes: bool = False
    ) -> bool:
        typed = verb.split()[0].lower() if count > TYPED_ANY or (deletes and count > TYPED_DELETE) else ""
        return bool(
            await self._console.push_screen_wait(
                Confirm(title, lines, verb, typed, calm=verb.startswith(("Retry", "Run")))
            )
        )

    async def _each(self, ids: list[str], change: Change, verb: str, done_word: str) -> None:
        """The change for each job, a few at a time; the flash line counts, and says at the end what failed and why."""
        console = self._console
        room = asyncio.Semaphore(AT_ONCE)
        failures: Counter[str] = Counter()
        done = 0

        async def one(job_id: str) -> None:
            nonlocal done
            async with room:
                try:
                    await self._insist(change, job_id, verb)
                    done += 1
                except ApiError as error:
                    failures[safe_text(str(error).replace(job_id, words.short_id(job_id)), 120)] += 1
                if len(ids) > 1:
                    console.flash(f"{done + failures.total()} of {len(ids)} …")

        console.pending.update((job_id, f"{verb}…") for job_id in ids)
        console.flash(f"{verb} {words.short_id(ids[0])} …" if len(ids) == 1 else f"0 of {len(ids)} …")
        try:
            await asyncio.gather(*(one(job_id) for job_id in ids))
        finally:
            for job_id in ids:
                console.pending.pop(job_id, None)
        console.after_change()
        _tell(console, ids, done, failures, done_word)

    async def _insist(self, change: Change, job_id: str, verb: str) -> None:
        """Where no answer came, the same call again under the same key: it happens once at most."""
        for left in range(TRIES - 1, -1, -1):
            try:
                return await change(job_id, f"{self._key}.{job_id}")
            except ApiError as error:
                if error.status or not left:
                    raise
                self._console.pending[job_id] = f"{verb}: ?"
                await asyncio.sleep(1.0)
        return None

    # -- queues, new jobs ---------------------------------------------------------------------------------------------

    async def _pause(self) -> None:
        console, view = self._console, self._console.view
        name = (
            view.pause_queue()
            if isinstance(view, Jobs)
            else view.queue_name
            if isinstance(view, Overview)
            else None
        )
        queue = console.store.queue(name or "")
        if name is None or queue is None:
            return
        console.flash(f"{'resuming' if queue.paused else 'pausing'} {name} …")
        await console.api.pause(name, self._key, resume=queue.paused)
        told = (
            "hands out jobs again"
            if queue.paused
            else "is paused: what runs goes on, nothing new starts; P resumes"
        )
        console.flash(f"{name} {told}", "ok")

    async def _new(self) -> None:
        console, view = self._console, self._console.view
        tasks = await console.api.tasks()
        queue = (
            view.queue_name
            if isinstance(view, Overview)
            else view.showing.queue
            if isinstance(view, Jobs)
            else None
        )
        names = [known.name for known in console.store.queues]
        body = await console.push_screen_wait(NewJob(tasks, names, queue or "default"))
        if body is None:
            return
        job = await console.api.submit(body, self._key)
        status = safe_text(str(job.get("status")), 20)
        console.flash(
            f"submitted {words.short_id(str(job.get('id')))} ({safe_text(body['kind'], 64)}, {status})", "ok"
        )


def _lines_of(rows: list[JobRow]) -> list[str]:
    lines = [
        f"{words.short_id(row.id)}  {row.kind:<18} {STATUS_GLYPH.get(row.status, ' ')} {row.status}"
        for row in rows[:6]
    ]
    return [*lines, f"and {len(rows) - 6} more"] if len(rows) > 6 else lines


def _jobs(count: int, what: str = "") -> str:
    return f"{count} {what}job{'' if count == 1 else 's'}"


def _tell(console: ConsoleApp, ids: list[str], done: int, failures: Counter[str], done_word: str) -> None:
    if not failures:
        console.flash(f"{words.short_id(ids[0]) if len(ids) == 1 else _jobs(done)} {done_word}", "ok")
        return
    why, times = failures.most_common(1)[0]
    more = f" (and {failures.total() - times} for other reasons)" if len(failures) > 1 else ""
    said = f"{done} {done_word}, {failures.total()} not: {why}{more}" if len(ids) > 1 else why
    console.flash(said, "warn" if done else "bad", 12)
