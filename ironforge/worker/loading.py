"""Finds the Forge that `MODULE:FORGE` names."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ironforge.errors import ConfigError
from ironforge.forge import Forge
from ironforge.outcome import describe
from ironforge.safe_text import safe_text


def load_forge(target: str) -> Forge:
    """Imports the module from the current folder or the path. Raises ConfigError with a plain sentence."""
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigError(f"{target!r} is not MODULE:FORGE; give for example shop.tasks:forge")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigError(f"{module_name!r} is not the name of a module; give for example shop.tasks:forge")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _imported(module_name)
    found = getattr(module, attribute, None)
    if not isinstance(found, Forge):
        what = "has nothing called" if found is None else "has no Forge in"
        raise ConfigError(
            f"module {module_name!r} {what} {attribute!r}; name the variable that holds the Forge"
        )
    return found


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(f"there is no module {name!r} here or on the Python path") from None
        raise ConfigError(f"module {name!r} cannot be imported: {_in_a_line(error)}") from None
    except SystemExit:
        raise ConfigError(
            f"module {name!r} ends the program when it is imported; guard what it runs with "
            "`if __name__ == '__main__'`"
        ) from None
    except Exception as error:
        raise ConfigError(
            f"module {name!r} cannot be imported: {type(error).__name__}: {_in_a_line(error)}"
        ) from None


def _in_a_line(error: Exception) -> str:
    """The first line of what it says, and where it was raised."""
    first = safe_text(describe(error).message.strip().partition("\n")[0], 300)
    if isinstance(error, SyntaxError):
        return first  # tells the place itself
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename
    ]
    return f"{first} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else first
