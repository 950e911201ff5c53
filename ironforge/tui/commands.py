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
    Command("retry", ("R",), "R", "retry; run now what waits", ("jobs", "dead", "job"), 0, True, "retry"),
    Command("cancel", ("C",), "C", "cancel", ("jobs", "job"), danger=1, footer=True),
    Command("delete", ("D", "ctrl+d"), "D", "delete", ("jobs", "dead", "job"), danger=1, footer=True),
    Command("pause", ("P",), "P", "pause or resume the queue", ("overview", "jobs"), 0, True, "pause/resume"),
    Command("new", ("N",), "N", "new job", ALL, danger=0, footer=True),
    Command("status.previous", ("h", "left"), "h ←", "previous status or tab", ("jobs", "job")),
    Command(
        "status.next", ("l", "right"), "l →", "next status or tab", ("jobs", "job"), None, True, "next tab"
    ),
    Command("mark", ("space",), "space", "mark or unmark", ("jobs", "dead"), None, True, "mark"),
    Command("mark.range", ("v",), "v", "mark a range: once at each end", ("jobs", "dead")),
    Command("mark.all", ("a",), "a", "mark all loaded that match", ("jobs", "dead")),
    Command("mark.clear", ("ctrl+backslash",), "ctrl-\\", "clear marks", ("jobs", "dead")),
    Command("fold", ("f",), "f", "fold or unfold library frames", ("job", "dead"), None, True, "fold"),
    Command("next", ("right_square_bracket",), "]", "next job of the list", ("job",)),
    Command("previous", ("left_square_bracket",), "[", "previous job of the list", ("job",)),
    Command("describe", ("d",), "d", "describe"),
    Command("raw", ("y",), "y", "raw JSON"),
    Command("copy", ("c",), "c", "copy the id"),
    Command("filter", ("slash",), "/", "filter, or find in a text", footer=True, brief="filter"),
    Command("match", ("n",), "n", "next match"),
    Command("sort", ("s",), "s", "sort by the next column", ("jobs",)),
    Command("sort.reverse", ("o",), "o", "reverse the order", ("jobs",)),
    Command("wide", ("w",), "w", "all columns, however narrow", ("jobs",)),
    Command("time", ("t",), "t", "times: relative, local, UTC"),
    Command("freeze", ("p",), "p", "freeze the display"),
    Command("zoom", ("z",), "z", "the focused pane alone, or all"),
    Command("pane", ("tab",), "tab", "next pane; of a job, next tab"),
    Command("refresh", ("r",), "r", "refresh, or reconnect now"),
    Command("line", ("colon",), ":", "command line", footer=True, brief="cmd"),
    Command("menu", ("m",), "m", "all actions here", footer=True, brief="actions"),
    Command("palette", ("ctrl+p",), "ctrl-p", "all commands"),
    Command("help", ("question_mark",), "?", "help", footer=True),
    Command("back", ("escape",), "esc", "close filter, clear marks, one level up"),
    Command("quit", ("q",), "q", "one level up; at the root, quit"),
)
BY_ID = {command.id: command for command in COMMANDS}


def commands_of(view: str) -> list[Command]:
    return [command for command in COMMANDS if view in command.views]


MOVES: tuple[tuple[str, str], ...] = (
    ("j k ↓ ↑", "move"),
    ("g G", "top, bottom"),
    ("ctrl-f ctrl-b", "page down, page up"),
    ("shift-↓ shift-↑", "mark and move"),
)
