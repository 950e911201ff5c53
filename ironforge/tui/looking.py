"""What lower case does: go, open, ask for words, show help. Nothing here changes the system."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ironforge.tui.commands import COMMANDS, Command, commands_of
from ironforge.tui.dialogs.confirm import Confirm
from ironforge.tui.dialogs.menu import Help, Menu
from ironforge.tui.store import job_row
from ironforge.tui.views.jobs import Showing
from ironforge.tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp

_TIMES = ("relative", "local", "utc")
# What to look at first in a queue: what runs, else what waits, else what ended.
_FIRST_LOOK = ("running", "queued", "retrying", "scheduled", "dead", "completed")


class Looking:
    """The looking half of the console's commands; the changing one is `Actions`."""

    def __init__(self, console: ConsoleApp) -> None:
        self._console = console

    def do(self, command_id: str) -> None:
        """Carries out a command that no view knew."""
        console = self._console
        verb, _, rest = command_id.partition(".")
        match verb:
            case "view":
                console.go(rest)
            case "back":
                console.go_back()
            case "quit":
                self._up_or_quit()
            case "help":
                console.push_screen(Help(console.at, commands_of(console.at)))
            case "menu":
                self._menu(commands_of(console.at))
            case "palette":
                self._menu(COMMANDS)
            case "line":
                console.query_one(Prompt).ask(":", "")
            case "filter":
                console.query_one(Prompt).ask("/", console.jobs.words)
            case "freeze":
                console.toggle_freeze()
            case "refresh":
                console.look_again()
            case "time":
                console.time_mode = _TIMES[(_TIMES.index(console.time_mode) + 1) % len(_TIMES)]
                console.flash(f"times are {console.time_mode}")
            case "copy":
                self._copy()
            case "describe" | "raw":
                self._open_job("raw" if verb == "raw" else "")
            case "pane":
                console.screen.focus_next()
            case _:
                raise LookupError(command_id)

    def open(self, row_id: str) -> None:
        """What enter opens in each view."""
        match self._console.at:
            case "overview":
                found = self._console.store.queue(row_id)
                status = next((status for status in _FIRST_LOOK if found.get(status)), "queued")
                self.show_jobs(Showing(status, row_id))
            case "jobs":
                self._open_job("")
            case "dead":
                self.show_jobs(Showing("dead", None, row_id))
            case _:
                self.show_jobs(Showing("running"), f"worker:{row_id}")

    def show_jobs(self, showing: Showing, words: str = "") -> None:
        """The jobs view on other jobs, with a filter over what is loaded."""
        jobs = self._console.jobs
        jobs.words = words
        jobs.look_at(showing)
        self._console.go("jobs", drilled=True)

    def find_job(self, job_id: str) -> None:
        """Opens a job by its id."""
        console = self._console

        async def fetch() -> None:
            console.job.look_at(job_row(await console.api.job(job_id)))
            console.go("job", drilled=True)

        console.load(fetch(), lambda text: console.flash(text, "bad"))

    def _open_job(self, tab: str) -> None:
        console = self._console
        if console.at == "dead":
            group = console.dead.group
            if group and group.get("sample_id"):
                self.find_job(str(group["sample_id"]))
            return
        row = console.jobs.row_under_cursor()
        if row:
            console.job.look_at(row, tab)
            console.go("job", drilled=True)

    def _up_or_quit(self) -> None:
        console = self._console
        if not console.go_back():
            question = Confirm("Quit", ["Leave the console?"], "Quit")
            console.push_screen(question, lambda sure: console.exit(0) if sure else None)

    def _menu(self, commands: Iterable[Command]) -> None:
        console = self._console
        choices = [(command, console.reason_against(command)) for command in commands]
        console.push_screen(Menu(f"actions in {console.at}", choices), self._chosen)

    def _chosen(self, chosen: str | None) -> None:
        grid = self._console.view.grid()
        if chosen == "open":
            if grid and grid.cursor_id:
                self.open(grid.cursor_id)
        elif chosen:
            self._console.command(chosen)

    def _copy(self) -> None:
        console = self._console
        targets, grid = console.view.targets(), console.view.grid()
        text = targets[0].id if targets else grid.cursor_id if grid else None
        if text:
            console.copy_to_clipboard(text)
            console.flash(f"copied {text}", "ok")
