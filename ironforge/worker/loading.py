"""Finds the Forge that `MODULE:FORGE` names."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from ironforge.errors import ConfigError
from ironforge.forge import Forge


def load_forge(target: str) -> Forge:
    """Imports the module from the current folder or the path. Raises ConfigError with a plain sentence."""
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigError(f"{target!r} is not MODULE:FORGE; give for example shop.tasks:forge")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ConfigError(f"there is no module {module_name!r} here or on the Python path") from None
        raise ConfigError(f"module {module_name!r} cannot be imported: {error}") from None
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        raise ConfigError(
            f"module {module_name!r} cannot be imported: {type(error).__name__}: {error} ({place})"
        ) from None
    found = getattr(module, attribute, None)
    if not isinstance(found, Forge):
        what = "has nothing called" if found is None else "has no Forge in"
        raise ConfigError(
            f"module {module_name!r} {what} {attribute!r}; name the variable that holds the Forge"
        )
    return found
