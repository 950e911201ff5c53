"""`:` commands, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironforge.tui.theme import STATUSES
from ironforge.tui.views.jobs import Showing

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp


def carry_out(console: ConsoleApp, text: str) -> None:
    """Does what the line says, or flashes why not."""
    verb, *rest = text.split()
    match verb:
        case "jobs" | "queue":
            _jobs(console, rest)
        case "search":
            console.show_jobs(
                Showing(console.jobs.showing.status, console.jobs.showing.queue, None, " ".join(rest))
            )
        case "dead" if rest:
            console.looking.show_jobs(Showing("dead", None, rest[0]))
        case "dead" | "overview" | "workers":
            console.go(verb)
        case "job" if rest:
            console.looking.find_job(rest[0])
        case "theme" if rest:
            if rest[0] in console.available_themes:
                console.theme = rest[0]
            else:
                console.flash(
                    f"no theme {rest[0]!r}; there are {', '.join(sorted(console.available_themes))}",
                    "bad",
                    12,
                )
        case "readonly":
            console.store.read_only = True
            console.flash("read-only: capitals are locked", "ok")
        case "q" | "quit":
            console.exit(0)
        case _:
            console.flash(f"no command {text!r}; ? lists them", "bad")


def _jobs(console: ConsoleApp, rest: list[str]) -> None:
    names = {str(queue.get("name")) for queue in console.store.queues}
    status, queue, words = "", None, list[str]()
    for word in rest:
        if word in STATUSES and not status:
            status = word
        elif word in names and queue is None:
            queue = word
        else:
            words.append(word)
    console.looking.show_jobs(Showing(status or console.jobs.showing.status, queue), " ".join(words))
