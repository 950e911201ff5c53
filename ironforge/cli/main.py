"""The commands `ironforge` and `ironforge-console`: finds the command, runs it, and turns errors into sentences."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from ironforge import __version__
from ironforge.errors import ConfigError, InvalidJob, IronForgeError, StoreUnavailable

DONE, FAILED, MISUSED, UNREACHABLE = 0, 1, 2, 3
COMMANDS = ("console", "server", "worker", "submit", "jobs", "dlq", "queues", "workers", "doctor", "bench")


def main(argv: Sequence[str] | None = None) -> int:
    """`ironforge COMMAND …`. Returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(given))


def console_main(argv: Sequence[str] | None = None) -> int:
    """`ironforge-console …`."""
    from ironforge.cli import console

    return guarded(lambda: console.console_main(argv))


def _run(given: list[str]) -> int:
    parser = argparse.ArgumentParser("ironforge", description="A job scheduler on Redis.")
    parser.add_argument("--version", action="version", version=f"ironforge {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    named = next((word for word in given if not word.startswith("-")), None)
    # Only the module of the command given is loaded; for --help all of them, which import nothing heavy themselves.
    for name in [named] if named in COMMANDS else COMMANDS:
        try:
            module = importlib.import_module(f"ironforge.cli.{name}")
        except ModuleNotFoundError:
            continue
        module.add_parser(commands)
        commands.choices[name].set_defaults(run=module.run)
    args, rest = parser.parse_known_args(given)
    # argparse gives up on positional words that come after options: `submit KIND --queue mail key=value`.
    if rest and hasattr(args, "values") and all("=" in word and not word.startswith("-") for word in rest):
        args.values += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args.run(args)


def guarded(command: Callable[[], int]) -> int:
    """Runs a command; an error becomes one sentence on stderr and an exit code."""
    try:
        return command()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), 1
        )  # whoever read our output has gone; Python would complain at its end
        return DONE
    except StoreUnavailable as error:
        return _fail(f"{error}. Is Redis running, and REDIS_URL right?", UNREACHABLE)
    except (ConfigError, InvalidJob) as error:
        return _fail(str(error), MISUSED)
    except IronForgeError as error:
        return _fail(str(error), UNREACHABLE if error.code == "server_unreachable" else FAILED)


def _fail(words: str, code: int) -> int:
    from ironforge.safe_text import safe_text

    print(f"ironforge: {safe_text(words, 2_000, multiline=True)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
