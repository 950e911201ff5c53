"""What capitals do: ask where the danger asks for it, change, and say what came of it. Nothing is shown as done before the server says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ironforge.safe_text import safe_text
from ironforge.tui import words
from ironforge.tui.dialogs.confirm import Confirm
from ironforge.tui.dialogs.new_job import NewJob
from ironforge.tui.store import JobRow
from ironforge.tui.views.dead import Dead
from ironforge.tui.views.jobs import Jobs
from ironforge.tui.views.overview import Overview

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp

AT_ONCE = 8
MOST = 200
Change = Callable[[str, str], Awaitable[Any]]


class Actions:
    """The changing half of the console's commands."""

    def __init__(self, console: ConsoleApp) -> None:
        self._console = console

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

    async def _retry(self) -> None:
        api, view = self._console.api, self._console.view
        if isinstance(view, Dead):
            await self._retry_groups(view)
            return
        rows = view.targets()
        waiting = [row for row in rows if row.status in ("retrying", "scheduled")]
        change: Change = api.run_now if waiting and len(waiting) == len(rows) else api.retry
        verb = "run" if change == api.run_now else "retry"
        if len(rows) > 1 and not await self._sure(
            f"{verb.capitalize()} {len(rows)} jobs", self._lines_of(rows), f"{verb.capitalize()} {len(rows)}"
        ):
            return
        await self._each(
            [row.id for row in rows], change, "queued again" if verb == "retry" else "queued now"
        )

    async def _retry_groups(self, view: Dead) -> None:
        groups = view.marked_groups()
        ids = await self._ids_of(groups)
        total = sum(int(group["count"]) for group in groups)
        lines = [
            f"{len(ids)} dead jobs in {len(groups)} group{'s' * (len(groups) > 1)} go back to their queues,"
        ]
        lines.append("their retries counted from 0 again.")
        if total > len(ids):
            lines.append(f"{total - len(ids)} more stay: one action takes at most {MOST}.")
        if ids and await self._sure(f"Retry {len(ids)} jobs", lines, f"Retry {len(ids)}"):
            await self._each(ids, self._console.api.retry, "queued again")

    async def _cancel(self) -> None:
        rows = self._console.view.targets()
        running = sum(row.status == "running" for row in rows)
        lines = self._lines_of(rows)
        if running:
            lines += ["", f"{running} running: the handler is stopped within 2 s. This cannot be undone."]
        many = f"Cancel {len(rows)} jobs" if len(rows) > 1 else "Cancel this job"
        if rows and await self._sure(many, lines, f"Cancel {len(rows)}" if len(rows) > 1 else "Cancel job"):
            await self._each([row.id for row in rows], self._console.api.cancel, "cancelled")

    async def _delete(self) -> None:
        view = self._console.view
        if isinstance(view, Dead):
            ids = await self._ids_of(view.marked_groups())
            lines = [f"{len(ids)} dead jobs are removed for good, with their payloads and errors."]
        else:
            rows = view.targets()
            ids = [row.id for row in rows]
            lines = [*self._lines_of(rows), "", "Removed for good, with payload, attempts and result."]
        verb = f"Delete {len(ids)}" if len(ids) != 1 else "Delete"
        if ids and await self._sure(f"Delete {len(ids)} job{'s' * (len(ids) != 1)}", lines, verb):
            if view.key == "job":
                self._console.command("back")
            await self._each(ids, self._console.api.delete, "deleted")

    async def _pause(self) -> None:
        view = self._console.view
        name = (
            view.pause_queue()
            if isinstance(view, Jobs)
            else view.queue_name
            if isinstance(view, Overview)
            else None
        )
        if name is None:
            return
        paused = bool(self._console.store.queue(name).get("paused"))
        self._console.flash(f"{'resuming' if paused else 'pausing'} {name} …")
        await self._console.api.pause(name, self._console.new_key(), resume=paused)
        self._console.flash(
            f"{name} hands out jobs again"
            if paused
            else f"{name} is paused: what runs goes on, nothing new starts",
            "ok",
        )

    async def _new(self) -> None:
        console = self._console
        tasks: list[dict[str, Any]] = await console.api.tasks()
        view = console.view
        queue = (
            view.queue_name
            if isinstance(view, Overview)
            else view.showing.queue
            if isinstance(view, Jobs)
            else None
        )
        names = [str(known.get("name")) for known in console.store.queues]
        body = await console.push_screen_wait(NewJob(tasks, names, queue or "default"))
        if body is None:
            return
        job = await console.api.submit(body, console.new_key())
        console.flash(
            f"submitted {words.short_id(str(job['id']))} ({safe_text(body['kind'], 64)}, {job['status']})",
            "ok",
        )

    async def _ids_of(self, groups: list[dict[str, Any]]) -> list[str]:
        ids: list[str] = []
        for group in groups:
            page = await self._console.api.jobs(None, MOST, status="dead", error=str(group["fingerprint"]))
            ids += [str(job["id"]) for job in page["jobs"]]
        return list(dict.fromkeys(ids))[:MOST]

    async def _sure(self, title: str, lines: list[str], verb: str) -> bool:
        return bool(await self._console.push_screen_wait(Confirm(title, lines, verb)))

    def _lines_of(self, rows: list[JobRow]) -> list[str]:
        lines = [f"{words.short_id(row.id)}  {row.kind}  {row.status}" for row in rows[:6]]
        return [*lines, f"and {len(rows) - 6} more"] if len(rows) > 6 else lines

    async def _each(self, ids: list[str], change: Change, done_word: str) -> None:
        """The change for each job, a few at a time; the flash line counts, and says at the end what failed and why."""
        from ironforge.tui.api import ApiError

        keys = {job_id: self._console.new_key() for job_id in ids}
        room = asyncio.Semaphore(AT_ONCE)
        failures: Counter[str] = Counter()
        done = 0

        async def one(job_id: str) -> None:
            nonlocal done
            async with room:
                try:
                    await change(job_id, keys[job_id])
                    done += 1
                except ApiError as error:
                    failures[safe_text(str(error).replace(job_id, words.short_id(job_id)), 120)] += 1
                if len(ids) > 1:
                    self._console.flash(f"{done + sum(failures.values())} of {len(ids)} …")

        self._console.flash(f"{words.short_id(ids[0])} …" if len(ids) == 1 else f"0 of {len(ids)} …")
        await asyncio.gather(*(one(job_id) for job_id in ids))
        self._console.after_change()
        subject = words.short_id(ids[0]) if len(ids) == 1 else f"{done} job{'s' * (done != 1)}"
        if failures:
            why, times = failures.most_common(1)[0]
            more = f" (and {sum(failures.values()) - times} for other reasons)" if len(failures) > 1 else ""
            said = f"{done} {done_word}, {sum(failures.values())} not: {why}{more}" if len(ids) > 1 else why
            self._console.flash(said, "bad" if not done else "warn", 12)
        else:
            self._console.flash(f"{subject} {done_word}", "ok")
