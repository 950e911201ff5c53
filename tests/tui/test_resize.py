"""A terminal that becomes too small is told so, and the console is back when it grows."""

from __future__ import annotations

from tests.tui.conftest import fed_console
from tests.tui.screen import screen_text
from tests.waiting import eventually


async def test_too_small_and_large_again() -> None:
    app = fed_console()
    async with app.run_test(size=(100, 30)) as pilot:
        await eventually(lambda: "Overview" in screen_text(app))
        await pilot.resize_terminal(50, 12)
        await eventually(lambda: "50×12" in screen_text(app) and "60×16" in screen_text(app))
        assert "Overview" not in screen_text(app)
        await pilot.resize_terminal(80, 24)
        await eventually(lambda: "Overview" in screen_text(app))
