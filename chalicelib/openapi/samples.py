"""Sample values of schemas, where no example is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Node = Mapping[str, Any]

_MAX_DEPTH = 8
_OF_FORMATS = {
    "date-time": "2012-04-26T09:18:03Z",
    "date": "2012-04-26",
    "uri": "https://...",
    "binary": "...",
}


def sample(document: Node, schema: Node, depth: int = 0) -> Any:
    """A value in the schema's shape: its own example, else one made up from its parts."""
    if depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return sample(document, document["components"]["schemas"][name], depth + 1)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in schema.get("anyOf", ()):
        return sample(document, choice, depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            known = schema.get("properties", {})
            return {name: sample(document, each, depth + 1) for name, each in known.items()}
        case "array":
            return [sample(document, schema.get("items", {}), depth + 1)]
        case "string":
            return _OF_FORMATS.get(schema.get("format", ""), "...")
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
