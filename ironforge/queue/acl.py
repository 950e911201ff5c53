"""The rights that IronForge needs of a Redis user, and no others.

Commands inside scripts are checked against whoever runs them, so those count too. They are read out of the scripts;
those that Python sends stand here, and a test compares them with the sources.
"""

from __future__ import annotations

import re
from importlib.resources import files

# What Python sends, and why where a name does not say it.
SENT = (
    "asking",  # Cluster: a key of a slot that moves
    "bzpopmin",
    "cluster|slots",
    "eval",
    "evalsha",
    "hget",
    "hgetall",
    "hmget",
    "hsetnx",
    "info",
    "mget",
    "scan",
    "scard",
    "script|load",
    "select",  # where REDIS_URL names a database
    "set",
    "smembers",
    "sscan",
    "time",
    "unlink",
    "wait",  # --durability replicated
    "zadd",
    "zcard",
    "zmscore",
    "zrandmember",
    "zrange",
    "zrevrange",
    "zscan",
)
# Refused without harm: `--durability always` alone needs it, to verify that setting.
WISHED = ("config|get",)
# Words in capitals in scripts that are no commands.
OPTIONS = frozenset(
    ("BYSCORE", "DESC", "GT", "KEEPTTL", "LIMIT", "LT", "NX", "PX", "REV", "WITHSCORES", "XX")
)
_WORD = re.compile(r"'([A-Z]{2,})'")


def script_commands() -> set[str]:
    """Every command that a script calls: it is written there as a word in capitals."""
    found: set[str] = set()
    for path in (files("ironforge.queue") / "lua").iterdir():
        if path.name.endswith(".lua"):
            found.update(_WORD.findall(path.read_text(encoding="utf-8")))
    return {word.lower() for word in found - OPTIONS}


def acl_line(namespace: str, user: str = "ironforge", password: str = "PASSWORD") -> str:
    """The `ACL SETUSER` that makes a user who can do what IronForge does, with keys of that namespace alone."""
    commands = sorted(script_commands().union(SENT))
    rights = " ".join(f"+{command}" for command in commands)
    return f"ACL SETUSER {user} reset on >{password} ~{namespace}:* -@all {rights}"
