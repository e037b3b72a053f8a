"""The document as a page, for people.

One page, made here: it works without scripts, fetches nothing, and its style is allowed by its
hash alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from chalicelib.openapi import search_syntax
from chalicelib.openapi.curl import curl
from chalicelib.openapi.inline import inline
from chalicelib.openapi.samples import pretty, sample

Node = Mapping[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 3rem; border-bottom: 2px solid var(--line); }
code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; border-radius: 4px; }
details { border: 1px solid var(--line); border-radius: 4px; margin: .4rem 0; padding: 0 .8rem; }
details[open] { padding-bottom: .8rem; }
summary { cursor: pointer; padding: .5rem 0; }
summary h3 { display: inline; font-size: 1rem; font-weight: 400; }
h4 { margin: 1rem 0 .3rem; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
.path { font-weight: 600; overflow-wrap: anywhere; }
.said { display: block; margin-left: 1.2rem; }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line); }
nav ul { columns: 14rem; }
"""

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_OTHER = "Other"  # of routes of which nothing is declared


def html(document: Node) -> str:
    """The page of a document with `servers`."""
    info = document["info"]
    groups = _by_tag(document)
    tags = {tag["name"]: tag for tag in document["tags"]}
    base = str(document["servers"][0]["url"])
    body = [
        f"<h1>{escape(info['title'])}</h1>",
        _paragraphs(info["description"]),
        f"<p>Base URL: <code>{escape(base)}</code>. The same for programs: "
        f'<a href="{escape(base)}/openapi.json">openapi.json</a> (OpenAPI '
        f"{escape(document['openapi'])}).</p>",
        _contents(groups),
    ]
    for name, operations in groups.items():
        body.append(_section(document, name, tags.get(name, {}), operations))
        if name == "PartyCrasher":
            body.append(_search())
    body += [_credentials(document), _shapes(document)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])}: the APIs</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{"".join(body)}
</main>
</body>
</html>
"""


Operations = Sequence[tuple[str, str, Node]]


def _by_tag(document: Node) -> dict[str, Operations]:
    found: dict[str, list[tuple[str, str, Node]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not any(status[0] in "23d" for status in operation["responses"]):
                continue  # a method that is there to be refused
            tag = operation.get("tags", [_OTHER])[0]
            found.setdefault(tag, []).append((method.upper(), path, operation))
    return {name: operations for name, operations in found.items() if operations}


def _contents(groups: Mapping[str, Operations]) -> str:
    names = [*groups, "Search syntax", "Credentials", "Shapes"]
    entries = "".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in names)
    return f'<nav aria-label="APIs"><ul>{entries}</ul></nav>'


def _section(document: Node, name: str, tag: Node, operations: Operations) -> str:
    url = tag.get("externalDocs", {}).get("url")
    more = f'<p><a href="{escape(url)}" rel="noreferrer">By its makers</a></p>' if url else ""
    shown = "".join(_operation(document, *operation) for operation in operations)
    return (
        f'<section aria-labelledby="{_anchor(name)}"><h2 id="{_anchor(name)}">{escape(name)}</h2>'
        f"{_paragraphs(tag.get('description', ''))}{more}{shown}</section>"
    )


def _operation(document: Node, method: str, path: str, operation: Node) -> str:
    line = escape(curl(document, method, path, operation))
    parts = [
        _paragraphs(operation.get("description", "")),
        f"<p>{_asked(operation)}</p>",
        _parameters(operation.get("parameters", [])),
        _body(document, operation.get("requestBody")),
        f"<h4>Example</h4><pre><code>{line}</code></pre>",
        _answers(document, operation["responses"]),
    ]
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><h3>'
        f'<span class="method">{method}</span> <code class="path">{escape(path)}</code>'
        f'<span class="said">{inline(operation["summary"])}</span></h3></summary>'
        f"{''.join(parts)}</details>"
    )


def _asked(operation: Node) -> str:
    ways = {name: roles for way in operation.get("security", []) for name, roles in way.items()}
    if not ways:
        return "Needs no credentials."
    scope = "".join(
        f" of the scope <code>{escape(role)}</code>" for role in next(iter(ways.values()))
    )
    needs = "May need" if {} in operation["security"] else "Needs"
    return f"{needs} credentials{scope}, as one of: {', '.join(map(escape, ways))}."


def _parameters(parameters: Sequence[Node]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td>"
        f"<td>{each['in']}{', required' if each.get('required') else ''}</td>"
        f"<td>{inline(each.get('description', ''))}{_kind(each['schema'])}</td></tr>"
        for each in parameters
    )
    return (
        "<h4>Parameters</h4><table><thead><tr><th>Name</th><th>In</th><th>What</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _kind(schema: Node) -> str:
    """What values are possible, where the schema says more than a type."""
    told = []
    if "enum" in schema:
        told.append("one of " + ", ".join(f"<code>{escape(str(v))}</code>" for v in schema["enum"]))
    if "default" in schema:
        told.append(f"default <code>{escape(str(schema['default']))}</code>")
    return f" ({'; '.join(told)})" if told else ""


def _body(document: Node, body: Node | None) -> str:
    if body is None:
        return ""
    parts = [f"<h4>Body</h4>{_paragraphs(body.get('description', ''))}"]
    for kind, content in body["content"].items():
        parts.append(f"<p><code>{escape(kind)}</code></p>")
        schema = _resolved(document, content["schema"])
        known = schema.get("properties", {})
        if known and kind != "application/json":
            needed = schema.get("required", [])
            rows = "".join(
                f"<tr><td><code>{escape(name)}</code></td>"
                f"<td>{_type(each)}{', required' if name in needed else ''}</td>"
                f"<td>{inline(each.get('description', ''))}{_kind(each)}</td></tr>"
                for name, each in known.items()
            )
            parts.append(f"<table><tbody>{rows}</tbody></table>")
        elif known or "anyOf" in schema:
            shown = pretty(content.get("example") or sample(document, content["schema"]))
            parts.append(f"<pre><code>{escape(shown)}</code></pre>")
    return "".join(parts)


def _answers(document: Node, responses: Node) -> str:
    rows = []
    for status, answer in responses.items():
        kinds = answer.get("content", {})
        told = ", ".join(
            f"<code>{escape(kind)}</code>{_link(content['schema'])}"
            for kind, content in kinds.items()
        )
        headers = "".join(
            f"<br><code>{escape(name)}</code>: {inline(header.get('description', ''))}"
            for name, header in answer.get("headers", {}).items()
        )
        rows.append(
            f"<tr><td>{escape(status)}</td>"
            f"<td>{inline(answer['description'])}{headers}</td><td>{told}</td></tr>"
        )
    shown = next(_shown(document, responses), "")
    return (
        "<h4>Answers</h4><table><thead><tr><th>Status</th><th>What</th><th>As</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{shown}"
    )


def _shown(document: Node, responses: Node) -> Iterator[str]:
    """What a success looks like."""
    for status, answer in responses.items():
        for kind, content in answer.get("content", {}).items():
            if not status.startswith("2") or kind in {"text/html", "application/octet-stream"}:
                continue
            example = content.get("example")
            if example is None and kind == "application/json":
                example = sample(document, content["schema"])
            if example is not None:
                written = example if isinstance(example, str) else pretty(example)
                yield f"<pre><code>{escape(written)}</code></pre>"


def _search() -> str:
    rows = "".join(
        "<tr><td>{}</td><td>{}</td></tr>".format(
            ", ".join(f"<code>{escape(query)}</code>" for query in example.queries),
            inline(example.finds),
        )
        for example in search_syntax.EXAMPLES
    )
    notes = "".join(f"<li>{inline(note)}</li>" for note in search_syntax.NOTES)
    return (
        '<section aria-labelledby="search-syntax"><h2 id="search-syntax">Search syntax</h2>'
        "<table><thead><tr><th>Query</th><th>Finds reports</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><ul>{notes}</ul><p>{inline(search_syntax.MEANING)}</p>"
        "</section>"
    )


def _credentials(document: Node) -> str:
    schemes = document["components"]["securitySchemes"]
    entries = "".join(
        f"<dt>{escape(name)}</dt><dd>{inline(scheme['description'])}</dd>"
        for name, scheme in schemes.items()
    )
    return f'<section><h2 id="credentials">Credentials</h2><dl>{entries}</dl></section>'


def _shapes(document: Node) -> str:
    shown = []
    for name, schema in sorted(document["components"]["schemas"].items()):
        said = inline(schema.get("description", ""))
        written = escape(pretty(schema))
        shown.append(
            f'<details id="shape-{escape(name)}"><summary><h3><code>{escape(name)}</code> '
            f"{said}</h3></summary><pre><code>{written}</code></pre></details>"
        )
    return f'<section><h2 id="shapes">Shapes</h2>{"".join(shown)}</section>'


# --- helpers -----------------------------------------------------------------


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{inline(part)}</p>" for part in text.split("\n\n") if part.strip())


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())


def _resolved(document: Node, schema: Node) -> Node:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def _link(schema: Node) -> str:
    """The names of the shapes that a schema refers to."""
    found = [each.get("$ref", "") for each in (schema, *schema.get("anyOf", ()))]
    names = [ref.rpartition("/")[2] for ref in found if ref]
    return "".join(f' <a href="#shape-{escape(name)}">{escape(name)}</a>' for name in names)


def _type(schema: Node) -> str:
    if schema.get("format") == "binary":
        return "file"
    kind = schema.get("type", "")
    return escape(kind if isinstance(kind, str) else " or ".join(kind))
