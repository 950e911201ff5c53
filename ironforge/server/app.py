"""create_app: the parts of the server put together. Nothing is opened before the first request or the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from ironforge import __version__
from ironforge.forge import Forge
from ironforge.maintenance import maintain
from ironforge.server import documentation, pages, problems
from ironforge.server.auth import Bearer
from ironforge.server.intake import Intake
from ironforge.server.limits import Bodies, Deadline
from ironforge.server.live import Live
from ironforge.server.origins import Guard
from ironforge.server.overview import Overviews
from ironforge.server.problems import LastResort
from ironforge.server.routes import batch, dlq, events, health, jobs, metrics, queues, tasks, workers


def create_app(forge: Forge) -> FastAPI:
    """The REST server of a Forge's namespace, as an ASGI application.

    It may be served alone or mounted elsewhere. Served alone it also promotes, reaps and trims, so that jobs move
    without a worker; mounted, that is left to the workers.
    """
    settings = forge.settings
    app = FastAPI(
        title="IronForge",
        version=__version__,
        summary="Submit jobs, watch them, and put right what went wrong.",
        description=documentation.INTRODUCTION,
        openapi_tags=documentation.TAGS,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=[
            Middleware(LastResort),
            Middleware(Guard, settings=settings),
            Middleware(Bearer, settings=settings),
            Middleware(Bodies),
            Middleware(Deadline),
            Middleware(Intake, forge=forge),
        ],
    )
    app.state.forge = forge
    app.state.live = Live(forge)
    app.state.overviews = Overviews()
    parts = (jobs, batch, queues, dlq, workers, tasks, events, health, metrics, pages)
    for part in parts:
        app.include_router(part.router)
    problems.install(app, [route for part in parts for route in part.router.routes])
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Adds to the generated description what routes that read their own body cannot say."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = documentation.completed(generated())
        return app.openapi_schema

    app.openapi = openapi


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    forge: Forge = app.state.forge
    ours = not _is_connected(forge)
    duties = maintain(await forge.connect(check=False))
    try:
        yield
    finally:
        app.state.live.close()
        for duty in duties:
            duty.cancel()
        await asyncio.gather(*duties, return_exceptions=True)
        if ours:
            await forge.aclose()


def _is_connected(forge: Forge) -> bool:
    try:
        return bool(forge.queue)
    except RuntimeError:
        return False
