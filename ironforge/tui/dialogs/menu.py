"""m: every action here, with the reason where one cannot be used; ? : the same as help; ctrl-p: all of them, to type."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from ironforge.tui.command_line import FORMS
from ironforge.tui.commands import MOVES, Command
from ironforge.tui.theme import EMBER, FADED, FAINT, GOLD, INK, style
from ironforge.tui.widgets.grid import Column, Grid, Row
from ironforge.tui.widgets.lines import Line, Pane

Choice = tuple[Command, str]


class Menu(ModalScreen[str | None]):
    """Gives the id of the command chosen."""

    DEFAULT_CSS = """
    Menu { align: center middle; }
    Menu > Vertical { width: 76; max-width: 96%; height: 80%; border: round $primary; background: $surface; padding: 0 1;
        border-title-color: $primary; border-title-style: bold; border-subtitle-color: $text-muted; }
    Menu Input { margin: 0 0 1 0; background: $panel; }
    Menu Grid { background: $surface; }
    """
    BINDINGS = [Binding("escape", "leave", "close")]

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._choices = title, list(choices)
        columns = (
            Column("key", "KEY", 8),
            Column("title", "ACTION", 30, grows=1),
            Column("why", "", 28, grows=1),
        )
        self._grid = Grid(columns, empty=("nothing fits",))

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title, box.border_subtitle = (
            Content(self._title),
            "type to find · enter does it · esc closes",
        )
        with box:
            yield Input(placeholder="find an action", compact=True)
            yield self._grid

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._show("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def on_input_submitted(self) -> None:
        self._choose(self._grid.cursor_id)

    def on_grid_opened(self, event: Grid.Opened) -> None:
        self._choose(event.row_id)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down"):
            self._grid.move(1 if event.key == "down" else -1)
            event.stop()

    def action_leave(self) -> None:
        self.dismiss(None)

    def _show(self, wanted: str) -> None:
        parts = wanted.lower().split()
        rows = [
            Row(
                command.id,
                {
                    "key": (command.shown, style(FAINT if why else EMBER, bold=True)),
                    "title": (command.title, style(FAINT if why else INK)),
                    "why": (
                        why or ("changes the system" if command.danger is not None else ""),
                        style(FAINT if why else GOLD),
                    ),
                },
            )
            for command, why in self._choices
            if all(part in f"{command.title} {command.shown} {command.id}".lower() for part in parts)
        ]
        self._grid.show(rows)

    def _choose(self, command_id: str | None) -> None:
        if command_id and not next((why for command, why in self._choices if command.id == command_id), ""):
            self.dismiss(command_id)


class Help(ModalScreen[None]):
    """All keys of the view, from the same table that binds them."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > Vertical { width: 76; max-width: 96%; height: 90%; border: round $primary; background: $surface; padding: 1 2;
        border-title-color: $primary; border-title-style: bold; border-subtitle-color: $text-muted; }
    """
    BINDINGS = [Binding("escape,q,question_mark,enter", "leave", "close")]

    def __init__(self, view: str, commands: Sequence[Command]) -> None:
        super().__init__()
        self._view, self._commands = view, commands
        self._pane = Pane()

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title, box.border_subtitle = Content(f"keys of {self._view}"), "j k move · esc closes"
        with box:
            yield self._pane

    def on_mount(self) -> None:
        self._pane.show(help_lines(self._commands))
        self._pane.focus()

    def action_leave(self) -> None:
        self.dismiss(None)


def help_lines(commands: Sequence[Command]) -> list[Line]:
    lines: list[Line] = [[("Capitals change the system; everything else only looks.", style(INK))], []]
    for title, changes in (("CHANGE", True), ("LOOK", False)):
        lines.append([(title, style(GOLD, bold=True))])
        for command in commands:
            if (command.danger is not None) is changes:
                asks = "  (asks first)" if command.danger else ""
                lines.append(_entry(command.shown, command.title, asks))
        lines.append([])
    lines.append([("MOVE", style(GOLD, bold=True))])
    lines += [_entry(keys, what) for keys, what in MOVES]
    lines += [[], [("COMMAND LINE (:)", style(GOLD, bold=True))]]
    lines += [[(f"  {form:<26}", style(EMBER)), (what, style(INK))] for form, what in FORMS]
    lines += [[], [("FILTER (/)", style(GOLD, bold=True))]]
    lines += [[(f"  {form:<26}", style(EMBER)), (what, style(INK))] for form, what in FILTERS]
    return lines


FILTERS = (
    ("word word", "both in id, kind, error, worker or payload"),
    ("kind:email  queue:mail", "in that field; also worker: error: id: payload:"),
    ("!word", "not this"),
)


def _entry(keys: str, what: str, more: str = "") -> Line:
    return [(f"  {keys:<16}", style(EMBER, bold=True)), (what, style(INK)), (more, FADED)]
