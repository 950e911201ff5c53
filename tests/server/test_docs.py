"""The API describes itself: completely, readably, and without a byte from elsewhere."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import httpx

from ironforge.forge import Forge
from ironforge.server.app import create_app
from ironforge.server.docs_page import render


def _operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, item in described["paths"].items() for method, one in item.items()]


async def test_every_call_is_described(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    tags = {tag["name"] for tag in described["tags"]}
    for path, method, operation in _operations(described):
        name = f"{method} {path}"
        assert operation["summary"] and operation["description"], name
        assert operation["tags"] and set(operation["tags"]) <= tags, name
        assert {"401", "403", "503"} <= set(operation["responses"]), name
        assert "HTTPValidationError" not in str(operation), name
    submit = described["paths"]["/jobs"]["post"]
    assert {"200", "201", "409", "410", "413", "415", "422"} <= set(submit["responses"])
    assert submit["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/JobIn"
    }
    assert described["components"]["schemas"]["JobIn"]["example"]["kind"] == "email.send"


async def test_no_reference_leads_nowhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json")
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert named <= set(answer.json()["components"]["schemas"])


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                assert value not in self.ids, f"two of {value}"
                self.ids.add(value)


async def test_the_page_names_all_and_loads_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    described = (await client.get("/openapi.json")).json()
    for path, _, operation in _operations(described):
        assert path in answer.text and operation["summary"] in answer.text
        assert f"needs: {operation['x-required-role']}" in answer.text
    page = _Page()
    page.feed(answer.text)
    assert not page.tags & {"script", "img", "link", "iframe", "form"}
    assert all(link == "openapi.json" or link.removeprefix("#") in page.ids for link in page.links), (
        page.links
    )
    style = re.search("<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style
    policy = answer.headers["content-security-policy"]
    assert b64encode(sha256(style[1].encode()).digest()).decode() in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_front_leads_to_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "docs")


def test_text_of_the_description_is_escaped(forge: Forge) -> None:
    described = create_app(forge).openapi()
    for member in ("summary", "description"):
        described["paths"]["/jobs"]["post"][member] = "<script>alert(1)</script> `<script>`"
    described["components"]["schemas"]["JobIn"]["properties"]["kind"]["description"] = "<script>"
    assert "<script>" not in render(described)
