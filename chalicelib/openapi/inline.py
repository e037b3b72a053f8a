"""The few marks of Markdown that our descriptions use, as HTML."""

from __future__ import annotations

import re
from html import escape

_MARK = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|(?<!\w)\*([^*\s][^*]*)\*(?!\w)")


def inline(text: str) -> str:
    """`code`, **strong** and *emphasised* text; all else as it stands."""
    out: list[str] = []
    end = 0
    for found in _MARK.finditer(text):
        out.append(escape(text[end : found.start()]))
        for group, tag in ((1, "code"), (2, "strong"), (3, "em")):
            if found[group] is not None:
                out.append(f"<{tag}>{escape(found[group])}</{tag}>")
        end = found.end()
    out.append(escape(text[end:]))
    return "".join(out)
