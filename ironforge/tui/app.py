"""ConsoleApp: the views, the keys, and the stream that feeds them. Loads no HTTP client before the first paint."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.theme import Theme
from textual.widgets import ContentSwitcher, Input, Static

from ironforge.safe_text import safe_text
from ironforge.tui import theme, words
from ironforge.tui.commands import BY_ID, COMMANDS, Command, commands_of
from ironforge.tui.job_list import Difference
from ironforge.tui.store import Store
from ironforge.tui.views.dead import Dead
from ironforge.tui.views.job import JobView
from ironforge.tui.views.jobs import Jobs
from ironforge.tui.views.overview import Overview
from ironforge.tui.views.view import View
from ironforge.tui.views.workers import Workers
from ironforge.tui.widgets.grid import Grid
from ironforge.tui.widgets.prompt import Prompt
from ironforge.tui.widgets.status import Doing, Flash, Header, KeyBar

if TYPE_CHECKING:
    from ironforge.tui.api import Api
    from ironforge.tui.looking import Looking
    from ironforge.tui.stream import Pump

FRAME_S = 0.25
LEAST_WIDTH, LEAST_HEIGHT = 60, 16
RETURNED_S = 4.0
Prepare = Callable[[Callable[[str], None]], Awaitable[str]]


class ConsoleApp(App[int]):
    """The terminal console.

    Args:
        prepare: makes sure that a server is there and gives its URL; told through its argument what it is doing.
        token: sent as a bearer token.
        read_only: locks every capital.
        theme_name: `forge`, or one of Textual's.
        farewell: what leaving ends besides the console, a sentence a line.
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
                priority=command.id == "pane",  # tab moves the focus otherwise
            )
            for command in COMMANDS
            if command.id != "open"  # the grid's own
        ),
        Binding("ctrl+c", "interrupt", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        prepare: Prepare,
        *,
        token: str | None = None,
        read_only: bool = False,
        theme_name: str = "",
        farewell: Callable[[], list[str]] = list,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Under NO_COLOR Textual takes all colours away only from an app of the terminal's own ones.
        super().__init__(ansi_color=True if theme.COLOURLESS else None)
        self.store = Store(read_only=read_only, clock=clock)
        self.time_mode = "relative"
        self.pending: dict[str, str] = {}  # what was asked for a job, by id, until the server answers
        self.api: Api
        self.looking: Looking
        self.farewell = farewell
        self._prepare, self._token, self._wanted_theme = prepare, token, theme_name
        self._pump: Pump | None = None
        self._frozen_since: float | None = None
        self._frozen_changes = 0
        self._interrupted_at = 0.0
        self._returned: tuple[float, float] | None = None  # when, and after how many seconds
        self._asked: list[tuple[float, int]] = []
        self.overview, self.jobs, self.dead = Overview(), Jobs(), Dead()
        self.workers_view, self.job = Workers(), JobView()
        self._views: dict[str, View] = {
            view.key: view for view in (self.overview, self.jobs, self.dead, self.workers_view, self.job)
        }
        self.at = "overview"
        self._header, self._flash, self._keys = Header(id="header"), Flash(id="flash"), KeyBar(id="keys")

    # -- what is on the screen ----------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Static("", id="too-small")
        with Vertical(id="body"):
            yield self._header
            with ContentSwitcher(initial="overview", id="views"):
                yield from self._views.values()
            yield self._flash
            yield Prompt(self._complete, id="prompt")
            yield self._keys

    def on_mount(self) -> None:
        from ironforge.tui.looking import Looking

        self.looking = Looking(self)
        self.register_theme(theme.FORGE_THEME)
        self.theme_changed_signal.subscribe(self, self._follow_theme)
        self.theme = "ansi-dark" if theme.COLOURLESS else "forge"
        if self._wanted_theme and self._wanted_theme not in self.available_themes:
            self.flash(f"no theme {safe_text(self._wanted_theme, 40)!r}; :theme and tab name them", "warn")
        elif self._wanted_theme:
            self.theme = self._wanted_theme
        self.animation_level = "none"
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit, 0)
        self._fit()
        self.view.main().focus()
        self.set_interval(FRAME_S, self.frame)
        self.call_after_refresh(self._feed)

    def _follow_theme(self, chosen: Theme) -> None:
        theme.follow(chosen)
        self.refresh(layout=True)

    @property
    def view(self) -> View:
        return self._views[self.at]

    @property
    def frozen(self) -> bool:
        return self._frozen_since is not None

    def switch(self, name: str) -> None:
        self.at = name
        self.query_one("#views", ContentSwitcher).current = name
        self.view.entered()

    def on_resize(self) -> None:
        self._fit()
        self.call_after_refresh(self._fit)  # during the event `size` may still be the old one

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

    def frame(self) -> None:
        """Four times a second: what arrived meanwhile is drawn, once."""
        if not self._header.is_attached:  # on the way out
            return
        self.store.tick()
        changed = self.store.take_changed()
        if changed:
            for view in self._views.values():
                view.hint(changed)
        frozen = ""
        if self._frozen_since is not None:
            self._frozen_changes += len(changed)
            since = words.age(time.monotonic() - self._frozen_since)
            frozen = f"frozen {since}, {self._frozen_changes} changes waiting (p)"
        elif len(self.screen_stack) == 1:
            self.view.draw()
        self._header.draw(self.store, Doing(self.at, frozen, self._requests_per_s()))
        self._flash.tick(self.view.foot())
        shown = [command for command in commands_of(self.at) if command.footer]
        self._keys.draw([(command, self.reason_against(command)) for command in shown])

    def _requests_per_s(self) -> float:
        now = time.monotonic()
        self._asked = [
            *(one for one in self._asked if now - one[0] < 10),
            (now, self.api.requests if hasattr(self, "api") else 0),
        ]
        (first_at, first), (last_at, last) = self._asked[0], self._asked[-1]
        return (last - first) / max(1.0, last_at - first_at)

    def flash(self, text: str, tone: str = "info", for_s: float = 6.0) -> None:
        self._flash.say(text, tone, for_s)

    # -- the stream ---------------------------------------------------------------------------------------------------

    @work(exclusive=True, group="stream", exit_on_error=False)
    async def _feed(self) -> None:
        """Finds or starts the server, then takes its events for ever."""
        from ironforge.tui.api import Api  # after the first paint: httpx costs 75 ms
        from ironforge.tui.stream import Pump

        def say(text: str) -> None:
            self.store.link_words = text

        try:
            self.store.url = await self._prepare(say)
        except Exception as error:  # a start that failed is a sentence, and the screen stays
            self.store.lost(safe_text(str(error), 300), None)
            self.flash(safe_text(str(error), 300), "bad", 60)
            return
        self.api = Api(self.store.url, self._token)
        self._pump = Pump(self.api)
        while True:
            try:
                await self._take_from(self._pump)
            except Exception as error:  # one bad event must not end the console
                self.store.lost(f"the console stumbled over what came ({type(error).__name__})", 1.0)
                await asyncio.sleep(1.0)

    async def _take_from(self, pump: Pump) -> None:
        from ironforge.tui.stream import Event, Lost, Polled

        async for happened in pump.run():
            before, for_s = self.store.link, self.store.for_s
            match happened:
                case Event(name, data):
                    self.store.apply(name, data)
                case Polled(stats, queues):
                    self.store.polled(stats, queues)
                case Lost(text, next_try_s, denied):
                    self.store.lost(text, next_try_s, denied=denied)
            if before in ("offline", "degraded", "denied") and self.store.reachable:
                self._returned = (time.monotonic(), for_s)
                self.store.changed_queues.add("*")
                self.flash(f"back after {words.age(for_s)}", "ok")

    def arrived(self, difference: Difference) -> None:
        """A list came. The first one after an outage says what changed meanwhile."""
        if self._returned is None:
            return
        (at, for_s), self._returned = self._returned, None
        if time.monotonic() - at < RETURNED_S:
            gone = difference.unlisted_marks
            marks = (
                f"; {gone} marked job{'s are' if gone > 1 else ' is'} not in the list any more"
                if gone
                else ""
            )
            self.flash(f"back after {words.age(for_s)}; {difference.changed} changes here{marks}", "ok")

    def load(self, loading: Coroutine[Any, Any, None], failed: Callable[[str], None]) -> None:
        """Runs a view's request beside the drawing; a failure reaches the view as words."""

        async def run() -> None:
            from ironforge.tui.api import ApiError

            try:
                await loading
            except ApiError as error:
                failed(safe_text(str(error), 300))
            except Exception as error:  # an answer of another shape is no reason to leave
                failed(f"the answer could not be read ({type(error).__name__})")

        if hasattr(self, "api"):
            self.run_worker(run(), exit_on_error=False)
        else:
            loading.close()
            failed("not connected yet")

    def after_change(self) -> None:
        """Something was changed from here: lists are old, marks are spent."""
        self.store.changed_queues.add("*")
        grid = self.view.grid()
        if grid:
            grid.clear_marks()

    def freeze(self) -> None:
        self._frozen_since = None if self._frozen_since is not None else time.monotonic()
        self._frozen_changes = 0

    def refresh_now(self) -> None:
        self.store.changed_queues.add("*")
        if self._pump:
            self._pump.hurry()
        else:
            self._feed()

    # -- commands -----------------------------------------------------------------------------------------------------

    def reason_against(self, command: Command) -> str:
        """Why a command cannot be used now; empty when it can."""
        if self.at not in command.views:
            return "not in this view"
        if command.danger is not None and self.store.locked:
            return self.store.locked
        return self.view.unavailable(command.id)

    def action_run_command(self, command_id: str) -> None:
        self.command(command_id)

    def command(self, command_id: str) -> None:
        """Does a command, or says why not. What asks or changes goes on in the background."""
        command = BY_ID[command_id]
        if len(self.screen_stack) > 1:
            return
        if reason := self.reason_against(command):
            if self.at in command.views:
                self.flash(
                    f"{command.shown} {command.label}: {reason}" if command.danger is not None else reason,
                    "warn",
                )
        elif command.danger is not None:
            self.run_worker(self._change(command_id), exit_on_error=False, group="commands")
        elif not self.view.do(command_id):
            self.looking.do(command_id)

    async def _change(self, command_id: str) -> None:
        from ironforge.tui.actions import Actions
        from ironforge.tui.api import ApiError, new_key

        try:
            await Actions(self, new_key()).do(command_id)
        except ApiError as error:
            self.flash(safe_text(str(error), 200), "bad", 12)

    def action_interrupt(self) -> None:
        """ctrl-c: twice within two seconds leaves."""
        if time.monotonic() - self._interrupted_at < 2:
            self.exit(0)
        self._interrupted_at = time.monotonic()
        self.flash("ctrl-c again leaves the console", "warn", 2)

    def on_grid_opened(self, event: Grid.Opened) -> None:
        if event.grid is self.view.grid():
            self.command("open")

    def on_key_bar_chosen(self, event: KeyBar.Chosen) -> None:
        self.command(event.command_id)

    # -- prompt -------------------------------------------------------------------------------------------------------

    def _complete(self, text: str) -> list[str]:
        from ironforge.tui.command_line import complete

        return list(complete(self, text))

    def on_prompt_changed(self, event: Prompt.Changed) -> None:
        if event.kind == "/" and self.at != "job":
            self.view.find(event.text)

    def on_prompt_done(self, event: Prompt.Done) -> None:
        self.view.main().focus()
        text = (event.text or "").strip()
        if event.kind == ":":
            if text:
                from ironforge.tui.command_line import carry_out

                carry_out(self, text)
            return
        if text:
            self.looking.sought = text
        self.view.find(text)
        if text and self.at == "jobs":
            self.jobs.search_all()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Single keys are commands only where nothing is being typed and no dialog is open."""
        if action == "run_command":
            return len(self.screen_stack) == 1 and not isinstance(self.focused, Input)
        return True

    @property
    def mishap(self) -> Exception | None:
        """The mistake of ours that ended the console; None when none did."""
        return self._exception

    def _fatal_error(self) -> None:
        """Textual would print a traceback with all locals, a token among them; whoever runs us writes it to a file."""
        self._close_messages_no_wait()

    async def on_unmount(self) -> None:
        if hasattr(self, "api"):
            await asyncio.shield(self.api.close())
