"""ConsoleApp: the views, the keys, and the pump that feeds them. Loads no HTTP client before the first paint."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import ContentSwitcher, Input, Static

from ironforge.tui import words
from ironforge.tui.commands import BY_ID, COMMANDS, Command, commands_of
from ironforge.tui.looking import Looking
from ironforge.tui.store import Store
from ironforge.tui.theme import FORGE_THEME
from ironforge.tui.views.dead import Dead
from ironforge.tui.views.job import JobView
from ironforge.tui.views.jobs import Jobs, Showing
from ironforge.tui.views.overview import Overview
from ironforge.tui.views.view import View
from ironforge.tui.views.workers import Workers
from ironforge.tui.widgets.grid import Grid
from ironforge.tui.widgets.lines import Pane
from ironforge.tui.widgets.prompt import Prompt
from ironforge.tui.widgets.status import Flash, Header, KeyBar

if TYPE_CHECKING:
    from ironforge.tui.api import Api
    from ironforge.tui.stream import Pump

FRAME_S = 0.25
LEAST_WIDTH, LEAST_HEIGHT = 60, 16
Prepare = Callable[[Callable[[str], None]], Awaitable[str]]


class ConsoleApp(App[int]):
    """The terminal console.

    Args:
        prepare: makes sure that a server is there and gives its URL; told through its argument what it is doing.
        token: sent as a bearer token.
        read_only: locks every capital.
    """

    CSS_PATH = "console.tcss"
    TITLE = "IronForge"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall"), (44, "-huge")]
    BINDINGS: ClassVar[list[Any]] = [
        *(
            Binding(
                ",".join(command.keys),
                f"run_command('{command.id}')",
                command.title,
                id=command.id,
                show=False,
            )
            for command in COMMANDS
            if command.id not in ("open",)
        ),
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
    ]

    def __init__(
        self, prepare: Prepare, *, token: str | None = None, read_only: bool = False, theme: str = ""
    ) -> None:
        super().__init__()
        self.store = Store(read_only=read_only)
        self.time_mode = "relative"
        self.api: Api
        self._prepare, self._token, self._wanted_theme = prepare, token, theme
        self._pump: Pump | None = None
        self._frozen_since: float | None = None
        self._frozen_changes = 0
        self._interrupted_at = 0.0
        self._trail: list[str] = []
        self.overview, self.jobs, self.dead = Overview(), Jobs(), Dead()
        self.workers_view, self.job = Workers(), JobView()
        self._views: dict[str, View] = {
            view.key: view for view in (self.overview, self.jobs, self.dead, self.workers_view, self.job)
        }
        self._at = "overview"
        self.looking = Looking(self)

    # -- what is on the screen ------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Static("", id="too-small")
        with Vertical(id="body"):
            yield Header(id="header")
            with ContentSwitcher(initial="overview", id="views"):
                yield from self._views.values()
            yield Flash(id="flash")
            yield Prompt(id="prompt")
            yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.register_theme(FORGE_THEME)
        self.theme = self._wanted_theme if self._wanted_theme in self.available_themes else "forge"
        self.animation_level = "none"
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit, 0)
        self._fit()
        self.view.main().focus()
        self.set_interval(FRAME_S, self._frame)
        self.call_after_refresh(self._connect)

    @property
    def view(self) -> View:
        return self._views[self._at]

    def on_resize(self, event: events.Resize) -> None:
        self._fit()

    def _fit(self) -> None:
        width, height = self.size
        small = width < LEAST_WIDTH or height < LEAST_HEIGHT
        notice = self.query_one("#too-small", Static)
        notice.display = small
        self.query_one("#body").display = not small
        notice.update(
            f"The terminal has {width}×{height};\nthe console needs {LEAST_WIDTH}×{LEAST_HEIGHT}.\nMake it larger."
            if small
            else ""
        )

    def _frame(self) -> None:
        """Four times a second: what arrived meanwhile is drawn, once."""
        self.store.tick()
        changed = self.store.take_changed()
        if changed:
            for view in self._views.values():
                view.hint(changed)
        frozen = ""
        if self._frozen_since is not None:
            self._frozen_changes += len(changed)
            frozen = f"frozen {words.age(time.monotonic() - self._frozen_since)}, {self._frozen_changes} changes waiting (p)"
        elif len(self.screen_stack) == 1:
            self.view.draw()
        self.query_one(Header).draw(self.store, self._at, frozen)
        self.query_one(Flash).tick(self.view.foot())
        self._draw_keys()

    def _draw_keys(self) -> None:
        shown = [command for command in commands_of(self._at) if command.footer]
        self.query_one(KeyBar).draw([(command, self.reason_against(command)) for command in shown])

    def flash(self, text: str, tone: str = "info", for_s: float = 6.0) -> None:
        self.query_one(Flash).say(text, tone, for_s)

    # -- the stream ---------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="stream", exit_on_error=False)
    async def _connect(self) -> None:
        from ironforge.tui.api import Api  # after the first paint: httpx costs 75 ms
        from ironforge.tui.stream import Event, Lost, Pump

        def say(text: str) -> None:
            self.store.link_words = text

        try:
            self.store.url = await self._prepare(say)
        except Exception as error:  # a start that failed is a sentence, and the screen stays
            self.store.lost(str(error), None)
            self.flash(str(error), "bad", 60)
            return
        self.api = Api(self.store.url, self._token)
        self._pump = Pump(self.api)
        async for happened in self._pump.run():
            match happened:
                case Event(name, data):
                    self._take(name, data)
                case Lost(text, next_try_s, denied):
                    self.store.lost(text, next_try_s)
                    if denied:
                        self.store.set_link("denied", text)

    def _take(self, name: str, data: dict[str, Any]) -> None:
        before, since = self.store.link, self.store.since
        if not self.store.apply(name, data):
            self.store.changed_queues.add("*")
        if before in ("offline", "degraded") and self.store.link == "live":
            self.flash(f"back after {words.age(time.monotonic() - since)}", "ok")
            self.store.changed_queues.add("*")

    def load(self, loading: Coroutine[Any, Any, None], failed: Callable[[str], None]) -> None:
        """Runs a view's request beside the drawing; a failure reaches the view as words."""

        async def run() -> None:
            from ironforge.safe_text import safe_text
            from ironforge.tui.api import ApiError

            try:
                await loading
            except ApiError as error:
                failed(safe_text(str(error), 300))

        if hasattr(self, "api"):
            self.run_worker(run(), exit_on_error=False)
        else:
            loading.close()
            failed("not connected yet")

    @staticmethod
    def new_key() -> str:
        from ironforge.tui.api import new_key

        return new_key()

    def after_change(self) -> None:
        """Something was changed from here: lists are old, marks are spent."""
        self.store.changed_queues.add("*")
        grid = self.view.grid()
        if grid:
            grid.clear_marks()

    # -- commands -------------------------------------------------------------------------------------------------------

    def reason_against(self, command: Command) -> str:
        """Why a command cannot be used now; empty when it can."""
        if self._at not in command.views:
            return "not in this view"
        if command.danger is not None and (locked := self.store.can_change):
            return locked
        return self.view.unavailable(command.id)

    def action_run_command(self, command_id: str) -> None:
        self.command(command_id)

    def command(self, command_id: str) -> None:
        """Does a command, or says why not. What asks or changes goes on in the background."""
        command = BY_ID[command_id]
        if len(self.screen_stack) > 1:
            return
        if reason := self.reason_against(command):
            if command.danger is not None or command.id == "open":
                self.flash(reason, "warn")
            return
        if command.danger is not None:
            self.run_worker(self._change(command_id), exit_on_error=False, group="commands")
        elif not self.view.do(command_id):
            self.looking.do(command_id)

    async def _change(self, command_id: str) -> None:
        from ironforge.safe_text import safe_text
        from ironforge.tui.actions import Actions
        from ironforge.tui.api import ApiError

        try:
            await Actions(self).do(command_id)
        except ApiError as error:
            self.flash(safe_text(str(error), 200), "bad", 12)

    @property
    def at(self) -> str:
        """The key of the view that is seen."""
        return self._at

    def go(self, name: str, *, drilled: bool = False) -> None:
        """To a view. `drilled`: into something of this one, so that going back comes here again."""
        if name != self._at:
            self._trail = [*self._trail, self._at] if drilled else []
            self._at = name
            self.query_one("#views", ContentSwitcher).current = name
            self.view.entered()
        self.view.main().focus()
        self._frame()

    def go_back(self) -> bool:
        """Within the view, else to where we came from, else to the overview; False at the root."""
        if self.view.go_back():
            return True
        if self._at == "jobs" and self.jobs.showing.group:
            self.jobs.look_at(Showing("dead"))
        if not self._trail and self._at == "overview":
            return False
        *trail, target = self._trail or ["overview"]
        self.go(target)
        self._trail = trail
        return True

    def toggle_freeze(self) -> None:
        self._frozen_changes = 0
        self._frozen_since = time.monotonic() if self._frozen_since is None else None

    def look_again(self) -> None:
        """Refreshes everything, or tries the connection now."""
        self.store.changed_queues.add("*")
        if self._pump:
            self._pump.hurry()
        else:
            self._connect()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        if event.grid is self.view.grid():
            self.looking.open(event.row_id)

    def action_interrupt(self) -> None:
        """ctrl-c: twice within two seconds leaves."""
        if time.monotonic() - self._interrupted_at < 2:
            self.exit(0)
        self._interrupted_at = time.monotonic()
        self.flash("ctrl-c again leaves the console", "warn", 2)

    # -- prompt and lists -----------------------------------------------------------------------------------------------------

    def on_prompt_changed(self, event: Prompt.Changed) -> None:
        if event.kind == "/":
            self.jobs.words = event.text
            self.jobs.draw()

    def on_prompt_done(self, event: Prompt.Done) -> None:
        self.view.main().focus()
        if event.kind == "/" and event.text is None:
            self.jobs.words = ""
        elif event.kind == ":" and event.text:
            from ironforge.tui.command_line import carry_out

            carry_out(self, event.text)
        self.view.draw()

    def on_key(self, event: events.Key) -> None:
        focused = self.focused
        if isinstance(focused, Pane) and event.key in (
            "j",
            "k",
            "down",
            "up",
            "g",
            "G",
            "ctrl+f",
            "ctrl+b",
            "pagedown",
            "pageup",
        ):
            if event.key in ("g", "G"):
                focused.move_end(event.key == "G")
            elif event.key in ("ctrl+f", "ctrl+b", "pagedown", "pageup"):
                focused.move_page(1 if event.key in ("ctrl+f", "pagedown") else -1)
            else:
                focused.move(1 if event.key in ("j", "down") else -1)
            event.stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Single keys are commands only where nothing is being typed and no dialog is open."""
        if action == "run_command":
            return len(self.screen_stack) == 1 and not isinstance(self.focused, Input)
        return True

    async def on_unmount(self) -> None:
        if hasattr(self, "api"):
            await asyncio.shield(self.api.close())
