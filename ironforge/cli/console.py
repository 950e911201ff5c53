"""`ironforge console` and `ironforge-console`: the terminal console."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from ironforge import __version__, config
from ironforge.errors import ConfigError, StartupError

DESCRIPTION = """The terminal console. Without --url it attaches to the server on BIND_ADDR if one answers there; else it
starts a server, and an embedded Redis where REDIS_URL is not set, and stops them when it ends. Where another program
holds the default address, a free port is taken; an address that was given is not left."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="attach to this server and start nothing")
    parser.add_argument("--demo", action="store_true", help="add a demo worker and steady traffic")
    parser.add_argument("--read-only", action="store_true", help="lock every key that changes something")
    parser.add_argument("--theme", default="", help="forge (default), nord, dracula, ansi-dark, …")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    _arguments(commands.add_parser("console", description=DESCRIPTION))


def console_main(argv: Sequence[str] | None = None) -> int:
    """The entry point `ironforge-console`."""
    parser = argparse.ArgumentParser("ironforge-console", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"ironforge {__version__}")
    _arguments(parser)
    return run(parser.parse_args(argv))


def run(args: argparse.Namespace) -> int:
    _check_terminal()
    settings = config.load(url=args.url)
    only_attach = "url" in settings.explicit
    if args.demo and only_attach:
        given = "--url" if args.url else "IRONFORGE_URL"
        raise ConfigError(
            f"--demo starts a server of its own, and {given} names another; leave one of them out"
        )

    from ironforge.cli.bundle import Bundle
    from ironforge.tui.app import ConsoleApp

    bundle = Bundle(settings, demo=args.demo)

    async def attach(say: Callable[[str], None]) -> str:
        say(f"connecting to {settings.server_url}")
        return settings.server_url

    app = ConsoleApp(
        attach if only_attach else bundle.prepare,
        token=settings.token,
        read_only=args.read_only,
        theme_name=args.theme,
        farewell=bundle.farewell,
    )
    try:
        app.run()
    finally:
        bundle.stop()
    if app.mishap is not None:
        raise StartupError(_noted(app.mishap, settings.data_dir / "logs" / "console.log"))
    return app.return_code or 0


def _noted(mishap: Exception, path: Path) -> str:
    """Keeps the traceback in a file; the sentence that says so."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(mishap)) + "\n")
    return (
        f"the console stumbled and had to end ({type(mishap).__name__}); your jobs are not touched by that. "
        f"Start it again; what happened is in {path}"
    )


def _check_terminal() -> None:
    """Textual takes TERM=dumb for a colour terminal and draws to stderr: both are looked at first."""
    if os.environ.get("TERM", "dumb") in ("", "dumb"):
        raise ConfigError(
            f"the console needs a terminal that can draw, and TERM is {os.environ.get('TERM') or 'not set'}; "
            "use 'ironforge jobs' and 'ironforge queues' here"
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(
            "the console needs a terminal on its input and error output; use 'ironforge jobs' in scripts"
        )
