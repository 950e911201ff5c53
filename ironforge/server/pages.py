"""The API's own description: `/openapi.json` for machines, `/docs` for people, without a byte from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from ironforge.server.auth import Role, needs
from ironforge.server.docs_page import CONTENT_SECURITY_POLICY, render

router = APIRouter(include_in_schema=False)


@router.get("/", **needs(Role.VIEWER))
async def front() -> RedirectResponse:
    return RedirectResponse("docs")


@router.get("/openapi.json", **needs(Role.VIEWER))
async def openapi(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/docs", **needs(Role.VIEWER))
async def docs(request: Request) -> HTMLResponse:
    page = render(request.app.openapi())
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(page, headers=headers)
