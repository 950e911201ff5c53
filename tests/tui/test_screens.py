"""Every main view as text at three sizes, from a namespace that stands still. UPDATE_GOLDENS=1 writes them anew."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ironforge.tui.api import ApiError
from ironforge.tui.app import ConsoleApp
from ironforge.tui.command_line import carry_out
from ironforge.tui.dialogs.new_job import NewJob
from tests.tui import seeded
from tests.tui.conftest import fed_console
from tests.tui.screen import screen_text
from tests.waiting import eventually

GOLDENS = Path(__file__).parent / "goldens"
SIZES = ((80, 24), (120, 30), (200, 50))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    NewJob.draft = {}
    yield
    monkeypatch.undo()
    time.tzset()


@asynccontextmanager
async def still_console(
    size: tuple[int, int], *, read_only: bool = False
) -> AsyncIterator[tuple[ConsoleApp, Pilot[int], seeded.SeededApi]]:
    app = fed_console(clock=lambda: seeded.NOW_S, read_only=read_only)
    api = seeded.SeededApi()
    async with app.run_test(size=size) as pilot:
        app.api = api  # type: ignore[assignment]
        app.store.apply("hello", seeded.hello())
        app.store.apply("stats", seeded.stats())
        await _settled(app, pilot)
        yield app, pilot, api


async def _settled(app: ConsoleApp, pilot: Pilot[int]) -> str:
    """The screen once it no longer changes."""
    texts = [""]

    async def still() -> bool:
        app.frame()
        await pilot.pause()
        texts.append(screen_text(app))
        return texts[-1] == texts[-2]

    await eventually(still, 10, "the screen stands still")
    return texts[-1]


async def _press(app: ConsoleApp, pilot: Pilot[int], *keys: str) -> None:
    await pilot.press(*keys)
    await _settled(app, pilot)


def _check(name: str, text: str) -> None:
    path = GOLDENS / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; look at it, then UPDATE_GOLDENS=1 if it is right"


WAYS: dict[str, tuple[str, ...]] = {
    "overview": (),
    "running": ("2",),
    "dead-jobs": ("2", "l", "l", "l", "space", "space"),
    "job": ("2", "l", "l", "l", "enter"),
    "dead": ("3",),
    "workers": ("4",),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_main_views_look_as_they_did(size: tuple[int, int]) -> None:
    async with still_console(size) as (app, pilot, _):
        for name, keys in WAYS.items():
            await _press(app, pilot, "1", *keys)
            _check(f"{name}-{size[0]}x{size[1]}", await _settled(app, pilot))
            app.jobs.main().clear_marks()
            app.jobs.look_at(type(app.jobs.showing)())


async def test_dialogs_and_the_lost_server_look_as_they_did() -> None:
    async with still_console((80, 24)) as (app, pilot, _):
        await _press(app, pilot, "3")
        await pilot.press("R")
        await eventually(lambda: len(app.screen_stack) == 2)
        _check("confirm-80x24", await _settled(app, pilot))
        await _press(app, pilot, "n", "question_mark")
        _check("help-80x24", await _settled(app, pilot))
        await _press(app, pilot, "escape", "m")
        _check("menu-80x24", await _settled(app, pilot))
        await _press(app, pilot, "escape", "N")
        await eventually(lambda: len(app.screen_stack) == 2)
        await _press(app, pilot, *"email.send")
        _check("new-job-80x24", await _settled(app, pilot))
        await _press(app, pilot, "escape", "2")
        app.store.lost("connection refused", 4.0)
        _check("offline-80x24", await _settled(app, pilot))


async def test_every_answer_of_an_action_is_told_and_keys_are_made_once() -> None:
    async with still_console((120, 30)) as (app, pilot, api):
        await _press(app, pilot, "2", "l", "l", "l", "a")
        first, second, third = (seeded.job_id(number) for number in range(3))
        api.refuse = {first: ApiError("the job is queued, not dead", 409), second: ApiError("no answer", 0)}
        await pilot.press("R")
        await eventually(lambda: len(app.screen_stack) == 2)
        assert api.changes == [], "nothing is sent before y"
        await pilot.press("y")
        await eventually(lambda: "14 queued again, 1 not: the job is queued" in screen_text(app))
        keys = {
            subject: [key for _, of, key in api.changes if of == subject] for _, subject, _ in api.changes
        }
        assert len(keys[second]) == 2 and len(set(keys[second])) == 1, (
            "no answer: asked again under the same key"
        )
        assert len(keys[third]) == 1 and len({key for found in keys.values() for key in found}) == 15
        assert app.pending == {} and app.jobs.main().marks == set()


async def test_nothing_looks_done_before_the_server_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with still_console((120, 30)) as (app, pilot, api):
        await _press(app, pilot, "2", "l", "l", "l")
        import asyncio

        answer = asyncio.Event()
        change = api._change

        async def slow(call: str, subject: str, key: str) -> dict[str, object]:
            await answer.wait()
            return await change(call, subject, key)

        monkeypatch.setattr(api, "_change", slow)
        await pilot.press("R")
        assert "retry…" in await _settled(app, pilot)
        assert "queued again" not in screen_text(app)
        answer.set()
        await eventually(lambda: "queued again" in screen_text(app) and "retry…" not in screen_text(app))


async def test_to_delete_very_many_the_word_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironforge.tui.actions.TYPED_DELETE", 10)
    async with still_console((120, 30)) as (app, pilot, api):
        await _press(app, pilot, "3")
        await pilot.press("D")
        await eventually(lambda: len(app.screen_stack) == 2)
        await pilot.press(*"yes", "enter")
        await eventually(lambda: len(app.screen_stack) == 1)
        assert api.changes == []
        await _press(app, pilot, "D")
        await eventually(lambda: len(app.screen_stack) == 2)
        await pilot.press(*"delete", "enter")
        await eventually(lambda: len(api.changes) == 15)
        assert {call for call, *_ in api.changes} == {"delete"}


async def test_a_lock_stops_every_capital_and_says_why() -> None:
    async with still_console((120, 30)) as (app, pilot, api):
        await _press(app, pilot, "2", "l", "l", "l")

        async def locked(*keys: str) -> None:
            reason = app.store.locked
            assert reason
            for key in keys:
                await pilot.press(key)
                await eventually(lambda: reason in screen_text(app), 5, f"{key} says why: {reason}")
                assert len(app.screen_stack) == 1
                app.flash("", for_s=0)
                await pilot.pause()

        app.store.lost("why", None)
        await locked("R", "C", "D", "P", "N", "ctrl+d")
        app.store.lost("why", None, denied=True)
        await locked("R")
        app.store.apply("stats", seeded.stats())
        app.store.apply("hb", {"seq": 2, "redis": "away"})
        await locked("R")
        app.store.apply("hello", seeded.hello(3, api=7))
        app.store.apply("stats", seeded.stats(4))
        await locked("R")
        app.store.apply("hello", seeded.hello(5))
        assert app.store.locked == ""
        carry_out(app, "readonly")
        await locked("R")
        assert api.changes == []


async def test_one_pane_alone_and_back() -> None:
    async with still_console((200, 50)) as (app, pilot, _):
        await _press(app, pilot, "3")
        whole = screen_text(app)
        await _press(app, pilot, "tab", "z")
        assert "traceback" not in screen_text(app) and app.dead._jobs.size.height > 40
        await _press(app, pilot, "z")
        await pilot.press("tab", "tab", "tab")
        app.flash("", for_s=0)
        assert (await _settled(app, pilot)) == whole


async def test_rubbish_from_the_server_is_no_reason_to_leave() -> None:
    async with still_console((200, 50)) as (app, pilot, api):

        async def rubbish(*_: object, **__: object) -> object:
            return {"jobs": [{}, {"id": 5, "last_error": 3, "attempts": "x", "payload": {"a": 10**300}}]}

        for name in ("jobs", "groups", "workers", "job", "tasks"):
            setattr(api, name, rubbish)
        app.store.apply(
            "stats", {"seq": 2, "stats": {"attention": [3, {}]}, "queues": [1, {"name": None, "spark": "x"}]}
        )
        for view in ("1", "2", "3", "4"):
            await pilot.press(view)
            await _settled(app, pilot)
        assert app.return_code is None
