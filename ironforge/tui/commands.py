"""Every command once: its key, its words, when it can be used, how dangerous it is. Keys, help, menu and palette read this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# 0 nothing asked; 1 asks yes or no; 2 asks with the count. None: it only looks.
Danger = Literal[0, 1, 2] | None
View = Literal["overview", "jobs", "dead", "workers", "job"]
ALL: tuple[View, ...] = ("overview", "jobs", "dead", "workers", "job")
LISTS: tuple[View, ...] = ("overview", "jobs", "dead", "workers")


@dataclass(frozen=True, slots=True)
class Command:
    """A thing an operator can do. `keys` are Textual's names; the first is shown as `shown`."""

    id: str
    keys: tuple[str, ...]
    shown: str
    title: str
    views: tuple[View, ...] = ALL
    danger: Danger = None
    footer: bool = False
    brief: str = ""  # for the line of keys, where the title is too long

    @property
    def label(self) -> str:
        return self.brief or self.title


COMMANDS: tuple[Command, ...] = (
    Command("view.overview", ("1",), "1", "overview"),
    Command("view.jobs", ("2",), "2", "jobs"),
    Command("view.dead", ("3",), "3", "dead jobs by error"),
    Command("view.workers", ("4",), "4", "workers"),
    Command("open", ("enter",), "enter", "open", LISTS, footer=True),
    Command("back", ("escape",), "esc", "close filter, clear marks, one level up"),
    Command("retry", ("R",), "R", "retry", ("jobs", "dead", "job"), danger=0, footer=True),
    Command("cancel", ("C",), "C", "cancel", ("jobs", "job"), danger=1, footer=True),
    Command("delete", ("D", "ctrl+d"), "D", "delete", ("jobs", "dead", "job"), danger=1, footer=True),
    Command("pause", ("P",), "P", "pause or resume the queue", ("overview", "jobs"), 0, True, "pause/resume"),
    Command("new", ("N",), "N", "new job", ALL, danger=0, footer=True),
    Command("status.next", ("l", "right"), "l", "next status or tab", ("jobs", "job"), footer=False),
    Command("status.previous", ("h", "left"), "h", "previous status or tab", ("jobs", "job")),
    Command("mark", ("space",), "space", "mark", ("jobs", "dead"), footer=True),
    Command("mark.range", ("v",), "v", "mark a range", ("jobs", "dead")),
    Command("mark.all", ("a",), "a", "mark all loaded", ("jobs", "dead")),
    Command("mark.clear", ("ctrl+backslash",), "ctrl-\\", "clear marks", ("jobs", "dead")),
    Command("filter", ("slash",), "/", "filter", ("jobs",), footer=True),
    Command("sort", ("s",), "s", "sort by the next column", ("jobs",)),
    Command("sort.reverse", ("o",), "o", "reverse the order", ("jobs",)),
    Command("wide", ("w",), "w", "more columns", ("jobs",)),
    Command("time", ("t",), "t", "times: relative, local, UTC"),
    Command("describe", ("d",), "d", "describe", ("jobs", "dead")),
    Command("raw", ("y",), "y", "raw JSON", ("jobs", "dead", "job")),
    Command("copy", ("c",), "c", "copy the id", ("jobs", "dead", "workers", "job")),
    Command("fold", ("f",), "f", "fold or unfold library frames", ("job",), None, True, "fold"),
    Command("next", ("right_square_bracket",), "]", "next job", ("job",)),
    Command("previous", ("left_square_bracket",), "[", "previous job", ("job",)),
    Command("freeze", ("p",), "p", "freeze the display"),
    Command("refresh", ("r",), "r", "refresh, or reconnect now"),
    Command("line", ("colon",), ":", "command line", footer=True, brief="command"),
    Command("menu", ("m",), "m", "all actions here", footer=True, brief="actions"),
    Command("help", ("question_mark",), "?", "help", footer=True),
    Command("pane", ("tab",), "tab", "next pane"),
    Command("palette", ("ctrl+p",), "ctrl-p", "all commands"),
    Command("quit", ("q",), "q", "one level up; at the root, quit"),
)
BY_ID = {command.id: command for command in COMMANDS}


def commands_of(view: str) -> list[Command]:
    return [command for command in COMMANDS if view in command.views]


MOVES: tuple[tuple[str, str], ...] = (
    ("j k ↓ ↑", "move"),
    ("g G", "top, bottom"),
    ("ctrl-f ctrl-b", "page"),
)
