"""POST /jobs in a few steps: what programs call most is answered without the framework between the body and the queue.

Whatever is unusual about a request (a caller without the role, a header that is not well formed) is left to the route
in routes/jobs.py, which describes the call and does the same.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from ironforge.errors import IronForgeError
from ironforge.forge import Forge
from ironforge.job_json import job_json, new_job_json
from ironforge.requests import MAX_KEY_CHARS
from ironforge.server import problems
from ironforge.server.auth import Role, own_path
from ironforge.server.submitting import submit

_KEY = re.compile(rb"[!-~]{1,%d}" % MAX_KEY_CHARS)


class Intake:
    """The innermost layer: the body was read and bounded, the caller is known."""

    def __init__(self, app: ASGIApp, forge: Forge) -> None:
        self._app = app
        self._forge = forge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or own_path(scope) != "/jobs":
            await self._app(scope, receive, send)
            return
        keys = [value for name, value in scope["headers"] if name == b"idempotency-key"]
        if any(not _KEY.fullmatch(key) for key in keys) or scope["ironforge.role"] < Role.SUBMITTER:
            await self._app(scope, receive, send)
            return
        key = keys[0].decode("ascii") if keys else None
        try:
            queue = await self._forge.connect(check=False)
            job, created = await submit(queue, (await receive())["body"], key)
        except IronForgeError as error:
            await problems.of(error)(scope, receive, send)
            return
        body = new_job_json(job) if created else job_json(job)
        location = f"{scope.get('root_path', '')}/jobs/{job.id}".encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"location", location),
        ]
        await send({"type": "http.response.start", "status": 201 if created else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
