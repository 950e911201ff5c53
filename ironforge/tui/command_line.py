"""`:` commands, one line each, and how they go on when tab is pressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ironforge.tui.theme import STATUSES
from ironforge.tui.views.jobs import Showing

if TYPE_CHECKING:
    from ironforge.tui.app import ConsoleApp

# Each form with what it does; the help lists them.
FORMS: tuple[tuple[str, str], ...] = (
    (":jobs QUEUE STATUS WORDS", "jobs of a queue (or all), a status, a filter"),
    (":queue NAME", "jobs of this queue"),
    (":dead", "dead jobs by error"),
    (":dead GROUP", "the jobs of one group; the beginning of its name is enough"),
    (":job ID", "one job"),
    (":search WORDS", "asks the server, beyond what is loaded"),
    (":overview  :workers", "these views"),
    (":theme NAME", "another theme, for example nord"),
    (":readonly", "lock all changes"),
    (":q", "quit"),
)
VERBS = (
    "jobs",
    "job",
    "dead",
    "queue",
    "workers",
    "overview",
    "search",
    "theme",
    "readonly",
    "help",
    "quit",
    "q",
)


def carry_out(console: ConsoleApp, text: str) -> None:
    """Does what the line says, or flashes why not."""
    verb, *rest = text.split() or [""]
    match verb:
        case "":
            return
        case "jobs":
            _jobs(console, rest)
        case "queue" if rest:
            _queue(console, rest[0])
        case "search" if rest:
            now = console.jobs.showing
            console.looking.show_jobs(Showing(now.status, now.queue, None, " ".join(rest)))
        case "dead" if rest:
            _group(console, rest[0])
        case "dead" | "overview" | "workers":
            console.looking.go(verb)
        case "job" if rest:
            console.looking.find_job(rest[0])
        case "theme" if rest:
            _theme(console, rest[0])
        case "readonly":
            console.store.read_only = True
            console.flash("read-only: capitals are locked", "ok")
        case "help":
            console.command("help")
        case "q" | "quit":
            console.exit(0)
        case "queue" | "search" | "job" | "theme":
            console.flash(f":{verb} needs a word more; ? shows the forms", "bad")
        case _:
            console.flash(f"no command {text!r}; ? lists them", "bad")


def complete(console: ConsoleApp, text: str) -> Sequence[str]:
    """Ways to go on with the last word of the line, the whole line each."""
    *before, last = text.split(" ")
    if not before:
        choices: Sequence[str] = VERBS
    else:
        sources: dict[str, Callable[[], Sequence[str]]] = {
            "jobs": lambda: [*(queue.name for queue in console.store.queues), *STATUSES],
            "queue": lambda: [queue.name for queue in console.store.queues],
            "dead": lambda: console.dead.main().ids,
            "job": lambda: console.jobs.main().ids,
            "theme": lambda: sorted(console.available_themes),
        }
        choices = sources.get(before[0], list)()
    return [" ".join([*before, choice]) for choice in choices if choice.startswith(last) and choice != last]


def _jobs(console: ConsoleApp, rest: list[str]) -> None:
    names = {queue.name for queue in console.store.queues}
    status, queue, words = "", None, list[str]()
    for word in rest:
        if word in STATUSES and not status:
            status = word
        elif word in names and queue is None:
            queue = word
        else:
            words.append(word)
    console.looking.show_jobs(Showing(status or console.jobs.showing.status, queue))
    console.jobs.find(" ".join(words))


def _queue(console: ConsoleApp, name: str) -> None:
    if console.store.queue(name) is None:
        console.flash(f"there is no queue {name!r}", "bad")
    else:
        console.looking.show_jobs(Showing(console.looking.busiest(name), name))


def _group(console: ConsoleApp, beginning: str) -> None:
    known = [name for name in console.dead.main().ids if name.startswith(beginning)]
    console.looking.show_jobs(Showing("dead", None, known[0] if known else beginning))


def _theme(console: ConsoleApp, name: str) -> None:
    if name in console.available_themes:
        console.theme = name
    else:
        console.flash(
            f"no theme {name!r}; there are {', '.join(sorted(console.available_themes))}", "bad", 12
        )
