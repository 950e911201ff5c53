"""The commands `ironforge` and `ironforge-console`: finds the command, runs it, and turns errors into sentences."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from ironforge import __version__
from ironforge.errors import ConfigError, InvalidJob, IronForgeError, StoreUnavailable

DONE, FAILED, MISUSED, UNREACHABLE = 0, 1, 2, 3
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
VERSION = f"ironforge {__version__}"
EXTRAS = {
    "fastapi": "server",
    "uvicorn": "server",
    "starlette": "server",
    "prometheus_client": "server",
    "textual": "console",
}
_SURROGATE = re.compile("[\\ud800-\\udfff]")
# Each is a module of this package with `add_parser` and `run`; the words are for the list of commands.
COMMANDS = {
    "console": "the terminal console",
    "server": "run the REST server",
    "worker": "run jobs",
    "submit": "submit jobs",
    "jobs": "list, show and change jobs",
    "dlq": "dead jobs: groups, list, retry, delete",
    "queues": "list, pause and resume queues",
    "workers": "list workers and the kinds they run",
    "doctor": "check Redis and the books",
    "bench": "measure throughput, latency and priority order",
}


def main(argv: Sequence[str] | None = None) -> int:
    """`ironforge COMMAND …`. Returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(given))


def console_main(argv: Sequence[str] | None = None) -> int:
    """`ironforge-console …`."""

    def run() -> int:
        from ironforge.cli import console

        return console.console_main(argv)

    return guarded(run)


def _run(given: list[str]) -> int:
    for word in given:
        if _SURROGATE.search(word):
            raise ConfigError(f"the argument {word!a} is not UTF-8")
    parser = argparse.ArgumentParser("ironforge", description="A job scheduler on Redis.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    named = next((word for word in given if not word.startswith("-")), None)
    if named in COMMANDS:  # only its module is loaded
        module = importlib.import_module(f"ironforge.cli.{named}")
        module.add_parser(commands)
        commands.choices[named].set_defaults(run=module.run)
        commands.choices[named].add_argument("--version", action="version", version=VERSION)
    else:
        for name, words in COMMANDS.items():
            commands.add_parser(name, help=words)
    args, rest = parser.parse_known_args(given)
    # argparse gives up on positional words that come after options: `submit KIND --queue mail key=value`.
    if rest and hasattr(args, "values") and all("=" in word and not word.startswith("-") for word in rest):
        args.values += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args.run(args)


def guarded(command: Callable[[], int]) -> int:
    """Runs a command; an error becomes one sentence on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a terminal that cannot show a character is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command()
        sys.stdout.flush()  # else a reader that has gone would be noticed only after this function
        return code
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except StoreUnavailable as error:
        return _fail(f"{error}. Is Redis running, and REDIS_URL right?", UNREACHABLE)
    except (ConfigError, InvalidJob) as error:
        return _fail(str(error), MISUSED)
    except IronForgeError as error:
        return _fail(str(error), UNREACHABLE if error.code == "server_unreachable" else FAILED)
    except ModuleNotFoundError as error:
        needed = (error.name or "").partition(".")[0]
        extra = EXTRAS.get(needed, "all")
        return _fail(f"this command needs {needed}: pip install 'ironforge[{extra}]'", FAILED)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name} line {place.lineno}"
        return _fail(f"{type(error).__name__}: {error} ({where}); this is a bug, please report it", FAILED)


def _fail(words: str, code: int) -> int:
    from ironforge.safe_text import safe_text

    print(f"ironforge: {safe_text(words, 2_000, multiline=True)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
