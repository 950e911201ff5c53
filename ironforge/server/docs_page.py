"""The OpenAPI description as one readable page: no script, no file from elsewhere."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any

Node = Mapping[str, Any]

_STYLE = """
:root{--bg:#fff;--fg:#1c1c1c;--dim:#666;--line:#ddd;--code:#f4f2ef;--ember:#b8430b}
@media(prefers-color-scheme:dark){:root{--bg:#16140f;--fg:#e8e2d8;--dim:#9a9184;--line:#37332b;--code:#221f18;--ember:#ff8a3d}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 system-ui,sans-serif}
main,header{max-width:60rem;margin:0 auto;padding:1rem 1.25rem}nav{border-bottom:1px solid var(--line)}
nav ul{max-width:60rem;margin:0 auto;padding:.6rem 1.25rem;list-style:none;columns:20rem}
nav a,td a{color:inherit}h1{color:var(--ember);margin:.5rem 0 0}h2{margin:2.5rem 0 .25rem;border-bottom:2px solid var(--ember)}
article{border:1px solid var(--line);border-radius:6px;margin:1rem 0;padding:.25rem 1rem 1rem}
h3{font:600 1rem ui-monospace,monospace;margin:.75rem 0 .25rem;overflow-wrap:anywhere}h4{margin:1rem 0 .25rem;font-size:.9rem;color:var(--dim)}
b.get{color:#2b7a3d}b.post{color:#0b61b8}b.delete{color:#b8230b}.role{float:right;font-size:.8rem;color:var(--dim)}
code,pre{font-family:ui-monospace,monospace;font-size:.88em;background:var(--code);border-radius:4px}
code{padding:.1em .3em}pre{padding:.75rem;overflow-x:auto}pre code{padding:0}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-top:1px solid var(--line)}
th{font-size:.8rem;color:var(--dim);border:0}.dim{color:var(--dim)}
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_BOUNDS = {
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters", "maxItems": "≤ {} items", "pattern": "{}", "default": "default {}",
}  # fmt: skip


def render(description: Node) -> str:
    """The whole page of an OpenAPI 3.1 document."""
    operations = [
        (path, method, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
    ]
    schemas: Node = description["components"]["schemas"]
    info = description["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>",
        f"<header><h1>{escape(info['title'])} <span class=dim>{escape(info['version'])}</span></h1>",
        f"<p><b>{escape(info.get('summary', ''))}</b></p>{_prose(info.get('description', ''))}",
        "<p>For machines: <a href=openapi.json>openapi.json</a></p></header>",
        "<nav><ul>" + "".join(_contents(operations)) + "<li><a href=#schemas>Schemas</a></ul></nav><main>",
    ]
    for tag in description.get("tags", ()):
        parts.append(f"<h2>{escape(tag['name']).capitalize()}</h2>{_prose(tag.get('description', ''))}")
        parts += [
            _operation(path, method, operation, schemas)
            for path, method, operation in operations
            if tag["name"] in operation.get("tags", ())
        ]
    parts.append("<h2 id=schemas>Schemas</h2>")
    parts += [_schema(name, schema) for name, schema in schemas.items()]
    return "\n".join(parts) + "</main></html>"


def _contents(operations: Iterable[tuple[str, str, Node]]) -> Iterator[str]:
    for path, method, operation in operations:
        yield f"<li><a href=#{_anchor(method, path)}>{escape(operation.get('summary', path))}</a>"


def _operation(path: str, method: str, operation: Node, schemas: Node) -> str:
    parts = [
        f"<article id={_anchor(method, path)}>",
        f"<span class=role>needs: {escape(operation['x-required-role'])}</span>",
        f"<h3><b class={method}>{method.upper()}</b> {escape(path)}</h3>",
        f"<p><b>{escape(operation.get('summary', ''))}</b></p>{_prose(operation.get('description', ''))}",
    ]
    if parameters := operation.get("parameters"):
        rows = [
            (one["name"], one["in"], one["schema"], one.get("required"), one.get("description"))
            for one in parameters
        ]
        parts.append("<h4>Parameters</h4>" + _fields(rows))
    body: Node | None = None
    if content := operation.get("requestBody"):
        sent: Node = schemas[content["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        body = sent
        parts.append("<h4>Body</h4>" + _fields(_members(sent)))
    parts.append(f"<h4>Try</h4><pre><code>{escape(_curl(path, method, body))}</code></pre>")
    parts.append("<h4>Answers</h4><table>" + "".join(_answers(operation["responses"])) + "</table></article>")
    return "".join(parts)


def _answers(responses: Node) -> Iterator[str]:
    for status, response in responses.items():
        contents: Node = response.get("content", {})
        types = {_type(content["schema"]) for content in contents.values() if content.get("schema")}
        yield f"<tr><td><code>{status}</code><td>{_inline(response['description'])}<td>{' '.join(sorted(types))}"


def _schema(name: str, schema: Node) -> str:
    values = f"<p>{_type(schema)}</p>" if "enum" in schema else _fields(_members(schema))
    return f"<article id=schema-{escape(name)}><h3>{escape(name)}</h3>{_prose(schema.get('description', ''))}{values}</article>"


def _members(schema: Node) -> list[tuple[str, str, Node, bool, str | None]]:
    required = schema.get("required", ())
    return [
        (name, "", member, name in required, member.get("description"))
        for name, member in schema.get("properties", {}).items()
    ]


def _fields(rows: Iterable[tuple[str, str, Node, bool | None, str | None]]) -> str:
    lines = ["<table><tr><th>Name<th>Type<th>Meaning"]
    for name, place, schema, required, text in rows:
        notes = " · ".join(note for note in (place, "required" if required else "", *_bounds(schema)) if note)
        meaning = _inline(text or "") + (f" <span class=dim>{escape(notes)}</span>" if notes else "")
        lines.append(f"<tr><td><code>{escape(name)}</code><td>{_type(schema)}<td>{meaning}")
    return "\n".join(lines) + "</table>"


def _bounds(schema: Node) -> Iterator[str]:
    for one in (schema, *schema.get("anyOf", ())):
        for name, words in _BOUNDS.items():
            if name in one and one[name] not in (None, [], {}):
                yield words.format(one[name])


def _type(schema: Node) -> str:
    """A type in words, with links to the schemas it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href=#schema-{escape(name)}>{escape(name)}</a>"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(
            f"<code>{escape(str(value))}</code>" for value in schema.get("enum", [schema.get("const")])
        )
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(schema.get("format") or schema.get("type") or "any")


def _curl(path: str, method: str, body: Node | None) -> str:
    line = f"curl{'' if method == 'get' else f' -X {method.upper()}'} http://127.0.0.1:3000{path}"
    if body is not None and "example" in body:
        line += f" \\\n  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(body['example'])}'"
    return line


def _prose(text: str) -> str:
    """Paragraphs and lists of the descriptions: the little of Markdown that they use."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("- "):
            items = "".join(f"<li>{_inline(item)}" for item in re.split(r"\n- |^- ", block) if item)
            parts.append(f"<ul>{items}</ul>")
        elif block:
            parts.append(f"<p>{_inline(block)}</p>")
    return "".join(parts)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _anchor(method: str, path: str) -> str:
    return re.sub(r"[^a-z]+", "-", f"{method}{path}".lower()).strip("-")
