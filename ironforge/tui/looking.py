"""What lower case does: where to go, what to open, how it is shown. Nothing here changes the system."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ironforge.tui.commands import COMMANDS, Command, commands_of
from ironforge.tui.dialogs.confirm import Confirm
from ironforge.tui.dialogs.document import Document
from ironforge.tui.dialogs.menu import Help, Menu
from ironforge.tui.models import job_row
from ironforge.tui.views.jobs import Showing
from ironforge.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp

_TIMES = ("relative", "local", "utc")


class Looking:
    """The looking half of the console's commands."""

    def __init__(self, console: ConsoleApp) -> None:
        self._console = console
        self._trail: list[str] = []
        self.sought = ""

    def do(self, command: str) -> None:
        """Carries out a command that only looks."""
        console = self._console
        match command:
            case "view.overview" | "view.jobs" | "view.dead" | "view.workers":
                self._trail = []
                self.go(command.removeprefix("view."))
            case "back":
                self.back()
            case "quit":
                self._up_or_quit()
            case "open":
                self.open_row()
            case "help":
                console.push_screen(Help(console.at, commands_of(console.at)))
            case "menu" | "palette":
                self._menu(COMMANDS if command == "palette" else commands_of(console.at))
            case "line":
                console.query_one(Prompt).ask(":", "")
            case "filter":
                console.query_one(Prompt).ask("/", console.view.sought)
            case "match":
                self._next_match()
            case "freeze":
                console.freeze()
            case "refresh":
                console.refresh_now()
            case "time":
                console.time_mode = _TIMES[(_TIMES.index(console.time_mode) + 1) % len(_TIMES)]
                console.flash(f"times are {console.time_mode}")
            case "copy":
                self._copy()
            case "describe" | "raw":
                self._read("raw" if command == "raw" else "")
            case "pane":
                console.view.next_pane()
            case "zoom":
                alone = console.view.zoom()
                console.flash("this pane alone; z shows all again" if alone else "all panes")
            case _:
                raise LookupError(command)

    # -- moving between views -----------------------------------------------------------------------------------------

    def go(self, name: str) -> None:
        """To a view; the trail remembers where from."""
        console = self._console
        if name != console.at:
            self._trail = [*self._trail[-20:], console.at]
            console.switch(name)
        console.view.main().focus()
        console.frame()

    def back(self) -> bool:
        """One level up; False at the root."""
        console = self._console
        if console.view.go_back():
            return True
        if console.at == "overview":
            return False
        if console.at == "jobs" and console.jobs.showing.group:
            console.jobs.look_at(Showing("dead"))
        target = self._trail.pop() if self._trail else "overview"
        console.switch(target if target != console.at else "overview")
        console.view.main().focus()
        console.frame()
        return True

    def _up_or_quit(self) -> None:
        if not self.back():
            console = self._console
            ask = Confirm("Quit", ["Leave the console?", *console.farewell()], "Quit", calm=True)
            console.push_screen(ask, lambda sure: console.exit(0) if sure else None)

    # -- opening ------------------------------------------------------------------------------------------------------

    def open_row(self) -> None:
        """Drills into what is under the cursor."""
        console = self._console
        grid = console.view.grid()
        row_id = grid.cursor_id if grid else None
        if row_id is None:
            return
        match console.at:
            case "overview":
                self.show_jobs(Showing(self.busiest(row_id), row_id))
            case "jobs":
                self._open_job("")
            case "dead" if console.dead.on_jobs:
                self._open_job("")
            case "dead":
                if not console.dead.focus_jobs():
                    self.show_jobs(Showing("dead", None, row_id))
            case "workers":
                self.show_jobs(Showing("running"))
                console.jobs.find(f"worker:{row_id}")
            case _:
                pass

    def busiest(self, queue: str) -> str:
        """The status to look at first: what runs, else what waits, else what ended."""
        found = self._console.store.queue(queue)
        order = ("running", "queued", "retrying", "scheduled", "dead", "completed", "cancelled")
        return next((status for status in order if found and found.count(status)), "queued")

    def show_jobs(self, showing: Showing) -> None:
        console = self._console
        console.jobs.list.find("")
        console.jobs.sought = ""
        console.jobs.look_at(showing)
        self.go("jobs")

    def _read(self, tab: str) -> None:
        """The job under the cursor in full, or the JSON of what else is there."""
        console = self._console
        document = console.view.document()
        if document:
            console.push_screen(Document(*document))
        else:
            self._open_job(tab)

    def _open_job(self, tab: str) -> None:
        console = self._console
        if console.at == "job":
            console.view.do(tab or "describe")
            return
        if console.at == "dead" and not console.dead.on_jobs:
            if console.dead.group:
                self.find_job(console.dead.group.sample_id, tab)
            return
        row = console.jobs.current if console.at == "jobs" else console.dead.job
        if row:
            console.job.look_at(row, tab)
            self.go("job")

    def find_job(self, job_id: str, tab: str = "") -> None:
        """Opens a job by its id, or by its end when the list on the screen holds it."""
        console = self._console
        known = [name for name in console.jobs.list.loaded if name.endswith(job_id)]
        wanted = known[0] if len(known) == 1 else job_id

        async def fetch() -> None:
            row = job_row(await console.api.job(wanted))
            console.job.look_at(row, tab)
            self.go("job")

        console.load(fetch(), lambda text: console.flash(text, "bad"))

    # -- small things -------------------------------------------------------------------------------------------------

    def _next_match(self) -> None:
        console = self._console
        if not self.sought:
            console.flash("nothing was looked for yet: / first", "warn")
        elif not console.view.next_match(self.sought):
            console.flash(f"no {self.sought!r} here", "warn")

    def _menu(self, commands: Iterable[Command]) -> None:
        console = self._console
        choices = [(command, console.reason_against(command)) for command in commands]
        console.push_screen(Menu(f"actions in {console.at}", choices), self._chosen)

    def _chosen(self, chosen: str | None) -> None:
        if chosen:
            self._console.command(chosen)

    def _copy(self) -> None:
        console = self._console
        targets, grid = console.view.targets(), console.view.grid()
        text = "\n".join(row.id for row in targets) if targets else grid.cursor_id if grid else None
        if text:
            console.copy_to_clipboard(text)
            console.flash(f"copied {text}" if len(targets) < 2 else f"copied {len(targets)} ids", "ok")
