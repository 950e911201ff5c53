"""The console against a real server and a real Redis: every capital, and what it must not do."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ironforge.job import JobStatus, NewJob
from ironforge.queue.backend import RedisQueue
from ironforge.queue.readings import JobFilter
from ironforge.tui.app import ConsoleApp
from ironforge.tui.command_line import carry_out
from ironforge.tui.commands import COMMANDS
from ironforge.tui.models import job_row
from ironforge.tui.widgets.prompt import Prompt
from tests.queue.state import Lane, dead_job
from tests.server.conftest import Served
from tests.tui.conftest import ServedAgain, console_of
from tests.tui.screen import screen_text
from tests.waiting import eventually

SIZE = (120, 36)


async def _live(app: ConsoleApp) -> None:
    await eventually(lambda: app.store.link == "live" and app.store.known, 10, "the console is live")


async def _shows(app: ConsoleApp, pilot: Pilot[int], text: str) -> None:
    def shown() -> bool:
        return text in screen_text(app)

    await eventually(shown, 10, f"the screen shows {text!r}")


async def _status(queue: RedisQueue, job_id: str, status: JobStatus) -> None:
    async def is_so() -> bool:
        return (await queue.get(job_id)).status is status

    await eventually(is_so, 10, f"the job is {status}")


def _queued(app: ConsoleApp) -> int:
    queue = app.store.queue("default")
    return queue.count("queued") if queue else 0


async def _rows(app: ConsoleApp, count: int) -> None:
    await eventually(lambda: app.view.grid() and len(app.view.grid().ids) == count, 10, f"{count} rows")  # type: ignore[union-attr]


async def test_the_overview_names_every_queue_and_default_always(queue: RedisQueue, served: Served) -> None:
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await _shows(app, pilot, "default")
        await queue.enqueue(NewJob("greet", queue="mail"))
        await _shows(app, pilot, "mail")
        await _shows(app, pilot, "no worker serves")


async def test_R_retries_the_dead_job_under_the_cursor_at_once(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    job = await dead_job(queue, lane)
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("3")
        await _rows(app, 1)
        await pilot.press("enter")
        await eventually(lambda: app.jobs.main().cursor_id == job.id, 10, "the group's job is listed")
        await pilot.press("R")
        await _status(queue, job.id, JobStatus.QUEUED)
        await _shows(app, pilot, f"{job.id[-12:]} queued again")
        assert (await queue.get(job.id)).generation == 1


async def test_R_on_a_group_asks_first_and_cancel_has_the_focus(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    jobs = [await dead_job(queue, lane) for _ in range(3)]
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("3")
        await _rows(app, 1)
        await pilot.press("R")
        await _shows(app, pilot, "Retry 3 (y)")
        await pilot.press("enter")
        await eventually(lambda: len(app.screen_stack) == 1)
        assert [(await queue.get(job.id)).status for job in jobs] == [JobStatus.DEAD] * 3, "enter is cancel"
        await pilot.press("R")
        await _shows(app, pilot, "Retry 3 (y)")
        await pilot.press("y")
        for job in jobs:
            await _status(queue, job.id, JobStatus.QUEUED)
        await _shows(app, pilot, "3 jobs queued again")


async def test_marked_jobs_are_retried_together_and_what_fails_is_told(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    jobs = [await dead_job(queue, lane) for _ in range(3)]
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("3")
        await _rows(app, 1)
        await pilot.press("enter")
        await _rows(app, 3)
        await pilot.press("p")  # frozen: the row stays, though its job is deleted behind it
        await queue.delete(jobs[0].id)
        await pilot.press("a", "R")
        await _shows(app, pilot, "Retry 3 (y)")
        await pilot.press("y")
        await _shows(app, pilot, "2 queued again, 1 not")


async def test_D_asks_and_deletes(queue: RedisQueue, served: Served) -> None:
    job = await queue.enqueue(NewJob("greet"))
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await eventually(lambda: app.overview.queue_name == "default" and _queued(app) == 1)
        await pilot.press("enter")
        await eventually(lambda: app.jobs.main().cursor_id == job.id, 10, "the queue's job is listed")
        await pilot.press("D")
        await _shows(app, pilot, "Delete (y)")
        await pilot.press("n")
        assert (await queue.get(job.id)).status is JobStatus.QUEUED
        await pilot.press("D")
        await _shows(app, pilot, "Delete (y)")
        await pilot.press("y")
        await _shows(app, pilot, "deleted")
        assert await queue.client.exists(queue.keys.job(job.id)) == 0


async def test_C_cancels_a_waiting_job_after_a_question(queue: RedisQueue, served: Served) -> None:
    job = await queue.enqueue(NewJob("greet", delay_ms=60_000))
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("2")
        app.command("status.next")
        await eventually(lambda: app.jobs.main().cursor_id == job.id, 10, "the scheduled job is listed")
        await pilot.press("C")
        await _shows(app, pilot, "Cancel job (y)")
        await pilot.press("y")
        await _status(queue, job.id, JobStatus.CANCELLED)


async def test_P_pauses_and_resumes_the_queue_at_once(queue: RedisQueue, served: Served) -> None:
    await queue.enqueue(NewJob("greet"))
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await eventually(lambda: app.overview.queue_name == "default")
        await pilot.press("P")
        await _shows(app, pilot, "‖paused")
        assert (await queue.read_queue("default")).paused_ms is not None
        await pilot.press("P")
        await _shows(app, pilot, "hands out jobs again")
        assert (await queue.read_queue("default")).paused_ms is None


async def test_N_submits_what_was_typed_and_refuses_what_is_wrong(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("N")
        await _shows(app, pilot, "name the task")
        await pilot.press("ctrl+s")
        assert len(app.screen_stack) == 2, "nothing is sent while something is wrong"
        await pilot.press(*"greet")
        await _shows(app, pilot, "ironforge submit greet")
        await pilot.press("ctrl+s")
        await _shows(app, pilot, "submitted")
    page = await queue.list_jobs(JobFilter())
    assert [job.kind for job in page.jobs] == ["greet"]


async def test_read_only_locks_every_capital(queue: RedisQueue, served: Served) -> None:
    await queue.enqueue(NewJob("greet"))
    app = console_of(served, read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await eventually(lambda: app.overview.queue_name == "default")
        for key in ("P", "N"):
            await pilot.press(key)
            await _shows(app, pilot, "this console is read-only")
        assert (await queue.read_queue("default")).paused_ms is None


async def test_a_filter_narrows_what_is_loaded_and_esc_clears_it(queue: RedisQueue, served: Served) -> None:
    await queue.enqueue_many([NewJob("greet", b'{"order":1}'), NewJob("bill", b'{"order":2}')])
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await eventually(lambda: app.overview.queue_name == "default" and _queued(app) == 2)
        await pilot.press("enter")
        await _rows(app, 2)
        await pilot.press("slash", *"bill")
        await _rows(app, 1)
        await pilot.press("enter", "escape")
        await _rows(app, 2)


async def test_enter_in_a_filter_asks_the_server_for_what_is_not_loaded(
    queue: RedisQueue, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ironforge.tui.views.jobs.PAGE", 5)
    await queue.enqueue_many([NewJob("greet", b'{"order":%d}' % at) for at in range(100, 120)])
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await eventually(lambda: app.overview.queue_name == "default" and _queued(app) == 20)
        await pilot.press("enter")
        await _shows(app, pilot, "loaded, more below")
        await pilot.press("slash", *"119")
        await _shows(app, pilot, "enter searches all")
        await pilot.press("enter")
        await _rows(app, 1)
        await _shows(app, pilot, '"order": 119')
        await pilot.press("escape", "escape")
        await eventually(lambda: len(app.jobs.list.loaded) >= 5, 10, "the whole list is back")


async def test_a_mixed_choice_changes_those_it_fits_each_in_its_way(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    dead = await dead_job(queue, lane)
    later = await queue.enqueue(NewJob("greet", delay_ms=600_000))
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("2")
        for command in ("status.next", "status.next", "status.next"):
            app.command(command)
        await eventually(lambda: app.jobs.main().cursor_id == dead.id, 10, "the dead job is listed")
        row = app.jobs.list.loaded[dead.id]
        app.freeze()
        await eventually(lambda: not app.jobs._fetching.open)
        app.jobs.list.replace([row, job_row({"id": later.id, "status": "scheduled"})], None, 2)
        app.jobs.main().show_ids([dead.id, later.id], app.jobs._row)
        await pilot.press("a", "R")
        await _shows(app, pilot, "Retry 2 (y)")
        await pilot.press("y")
        await _status(queue, dead.id, JobStatus.QUEUED)
        await _status(queue, later.id, JobStatus.QUEUED)


async def test_freeze_holds_the_screen_and_counts_what_waits(queue: RedisQueue, served: Served) -> None:
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await _shows(app, pilot, "default")
        await pilot.press("p")
        await queue.enqueue(NewJob("greet", queue="other"))
        await eventually(lambda: app.store.queue("other"), 10, "the news has come")
        await _shows(app, pilot, "frozen")
        assert "other" not in screen_text(app)
        await pilot.press("p")
        await _shows(app, pilot, "other")


async def test_a_lost_server_locks_and_dims_and_its_return_keeps_cursor_and_marks(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    jobs = [await dead_job(queue, lane) for _ in range(3)]
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("2")
        for _ in range(3):
            app.command("status.next")
        await _rows(app, 3)
        await pilot.press("j", "space", "k")
        held, marked = app.jobs.main().cursor_id, set(app.jobs.main().marks)
        await served.stop()
        await _shows(app, pilot, "OFFLINE")
        await pilot.press("R")
        await _shows(app, pilot, "not possible while offline")
        assert app.jobs.main().dimmed and len(app.jobs.main().ids) == 3, "dimmed, and still there"
        again = ServedAgain(served)
        try:
            await pilot.press("r")
            await _live(app)
            await _shows(app, pilot, "back after")
            assert app.jobs.main().cursor_id == held and app.jobs.main().marks == marked
            await pilot.press("R")
            await _shows(app, pilot, "Retry job (y)")
            await pilot.press("y")
            await _status(queue, next(iter(marked)), JobStatus.QUEUED)
        finally:
            await again.stop()
    assert {job.id for job in jobs} >= marked


async def test_the_command_line_goes_completes_and_remembers(queue: RedisQueue, served: Served) -> None:
    await queue.enqueue(NewJob("greet", queue="mail"))
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await eventually(lambda: app.store.queue("mail"))
        await pilot.press("colon", *"jo")
        await pilot.press("tab", *"mai", "tab", *"queu", "tab", "enter")
        await eventually(lambda: app.jobs.showing[:2] == ("queued", "mail") and app.jobs.main().ids)
        await pilot.press("colon", *"wo", "tab", "enter")
        await _shows(app, pilot, "No worker")
        await pilot.press("colon", "up", "up")
        assert app.query_one(Prompt).query_one(Input).value.split() == ["jobs", "mail", "queued"]
        await pilot.press("escape")
        carry_out(app, "nonsense")
        await _shows(app, pilot, "no command 'nonsense'")
        carry_out(app, "theme nord")
        await eventually(lambda: app.theme == "nord")


async def test_no_key_crashes_an_empty_console(served: Served) -> None:
    app = console_of(served)
    async with app.run_test(size=(80, 24)) as pilot:
        await _live(app)
        for view in ("1", "2", "3", "4"):
            await pilot.press(view)
            for command in COMMANDS:
                if command.id not in ("quit", "new"):
                    app.command(command.id)
                    await eventually(lambda: app.return_code is None)
                    while len(app.screen_stack) > 1:
                        await pilot.press("escape")
                    if app.focused is not None and isinstance(app.focused, Input):
                        await pilot.press("escape")
    assert app.return_code in (None, 0)


async def test_R_on_a_single_mark_asks_though_the_cursor_is_elsewhere(
    queue: RedisQueue, served: Served, lane: Lane
) -> None:
    jobs = [await dead_job(queue, lane) for _ in range(2)]
    app = console_of(served)
    async with app.run_test(size=SIZE) as pilot:
        await _live(app)
        await pilot.press("3")
        await _rows(app, 1)
        await pilot.press("enter")
        await _rows(app, 2)
        await pilot.press("space", "R")
        await _shows(app, pilot, "(y)")
        assert [(await queue.get(job.id)).status for job in jobs] == [JobStatus.DEAD] * 2
        await pilot.press("y")
        marked = jobs[1]  # the newest is on top
        await _status(queue, marked.id, JobStatus.QUEUED)
        assert (await queue.get(jobs[0].id)).status is JobStatus.DEAD
