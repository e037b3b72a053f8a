"""Form bodies, multipart and urlencoded, with every size bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from chalicelib.errors import InvalidRequest

_MAX_PARTS = 512  # Firefox sends above 100 annotations; the body itself is bounded


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form; `filename` is None unless the client named a file."""

    data: bytes
    filename: str | None = None
    content_type: str = "application/octet-stream"
    charset: str | None = None

    @property
    def text(self) -> str:
        """The value as text: in the part's charset if Python knows it, else UTF-8."""
        try:
            text = self.data.decode(self.charset or "utf-8", "replace")
        except (LookupError, ValueError):  # none that Python knows, or none that can tell of damage
            return self.data.decode("utf-8", "replace")
        return without_halves(text)


def without_halves(text: str) -> str:
    """The text without halves of surrogate pairs, which some codecs and JSON can spell and
    nothing later on can encode."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; where one is meant, of a field sent twice the first counts.

    `parts` are those, `repeated` the others, in the order of the body.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    repeated: tuple[tuple[str, Part], ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.parts

    def get(self, name: str) -> Part | None:
        return self.parts.get(name)

    def everything(self) -> Iterator[tuple[str, Part]]:
        """Every field with its name; a name that was sent twice comes twice."""
        yield from self.parts.items()
        yield from self.repeated

    def text(self, name: str) -> str:
        """The field as text, stripped; empty when it was not sent."""
        part = self.parts.get(name)
        return part.text.strip() if part else ""


def parse(content_type: str | None, body: bytes) -> Form:
    """The form in a body; empty when the content type is no form's.

    Raises `InvalidRequest` for a multipart body that is damaged or cut off.
    """
    kind, options = parse_options_header(content_type or "")
    if kind == "multipart/form-data":
        return _form(_multipart(options.get("boundary", ""), body))
    if kind == "application/x-www-form-urlencoded":
        return _form(_urlencoded(body))
    return Form()


def _form(fields: Iterable[tuple[str, Part]]) -> Form:
    parts: dict[str, Part] = {}
    repeated = tuple(entry for entry in fields if parts.setdefault(*entry) is not entry[1])
    return Form(parts, repeated)


def _multipart(boundary: str, body: bytes) -> list[tuple[str, Part]]:
    parts: list[tuple[str, Part]] = []
    segment: MultipartSegment | None = None
    chunks: list[bytes] = []
    try:
        with PushMultipartParser(
            boundary, content_length=len(body), max_segment_count=_MAX_PARTS
        ) as parser:
            for event in (*parser.parse(body), *parser.parse(b"")):
                if isinstance(event, MultipartSegment):
                    segment, chunks = event, []
                elif event is not None:
                    chunks.append(bytes(event))
                elif segment is not None:
                    parts.append((segment.name or "", _part(segment, b"".join(chunks))))
    except MultipartError as error:
        raise InvalidRequest({"body": [f"is no complete multipart form: {error}"]}) from error
    return parts


def _part(segment: MultipartSegment, data: bytes) -> Part:
    return Part(
        data,
        segment.filename,
        segment.content_type or "application/octet-stream",
        segment.charset,
    )


def _urlencoded(body: bytes) -> list[tuple[str, Part]]:
    try:
        pairs = parse_qsl(
            body.decode("latin-1"),
            keep_blank_values=True,
            encoding="latin-1",
            max_num_fields=_MAX_PARTS,
        )
    except ValueError as error:
        raise InvalidRequest({"body": [f"is no urlencoded form: {error}"]}) from error
    return [(name, Part(value.encode("latin-1"))) for name, value in pairs]
