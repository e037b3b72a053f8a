"""omaha-server's API for symbol files: send, list, look at, delete."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.access import Access, Scope
from chalicelib.errors import FormatError, InvalidRequest, NotFound, PayloadTooLarge
from chalicelib.forms import Part
from chalicelib.handlers.basic_auth import access_of
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    Incoming,
    incoming,
    json_answer,
    services,
)
from chalicelib.handlers.hockeyapp_shape import identifier
from chalicelib.handlers.minidump_posts import symbols_request
from chalicelib.handlers.omaha_errors import method_not_allowed, omaha_errors
from chalicelib.handlers.omaha_pages import envelope, page_asked, require_page
from chalicelib.handlers.public_url import public_url
from chalicelib.queries.paging import Paging
from chalicelib.records import SHARED, SymbolFile

routes = Blueprint(__name__)

_SYMBOLS = "/api/symbols"
TELLS_OF_LARGE_BODIES.add(_SYMBOLS)
_LINK_S = 3600
_MAX_LISTED = 1000  # entries of 600 bytes: who has more asks for pages
_MAX_FIRST_LINE_BYTES = 1000


@routes.route(_SYMBOLS, methods=["POST"], content_types=ANY_TYPE)
@omaha_errors
def add_symbols() -> Response:
    """A form with `file`, and `appid` where the caller has several apps. 201, or 409."""
    current = _request()
    try:
        request = symbols_request(current)
    except PayloadTooLarge as error:
        return json_answer({"file": [str(error)]}, 413)
    access = _allowed(request, "upload")
    part = request.form.get("file")
    if part is None:
        raise InvalidRequest({"file": ["No file was submitted."]})
    if not part.data:
        raise InvalidRequest({"file": ["The submitted file is empty."]})
    app_id = _app_of(request, access)
    if _is_known(part, app_id):
        return _duplicate()
    try:
        added = services().symbols.add(part.data, app_id=app_id, filename=part.filename or "file")
    except FormatError as error:
        told = f"The file contains invalid data: {error}"
        raise InvalidRequest({"file": [told]}) from error
    new = [entry.file for entry in added if entry.is_new]
    return json_answer(_shape(new[0], _base(current)), 201) if new else _duplicate()


@routes.route(_SYMBOLS, methods=["GET"], content_types=ANY_TYPE)
@omaha_errors
def list_symbols() -> Response:
    """A bare array, newest first; with `page` or `page_size` pages as of the crashes."""
    current = _request()
    request = incoming(current)
    access = _allowed(request, "read")
    paged = any(name in request.query for name in ("page", "page_size"))
    paging = page_asked(request) if paged else Paging(1, _MAX_LISTED)
    listed = services().symbol_lists.newest_first(_scopes(access), paging)
    base = _base(current)
    files = [_shape(file, base) for file in listed.entries]
    url = f"{base}{_SYMBOLS}/"
    if not paged:
        rest = {"Link": f'<{url}?page_size=100&page=11>; rel="next"'}
        return json_answer(files, headers=rest if listed.total_pages > 1 else None)
    require_page(listed)
    return json_answer(envelope(listed, url, request.query, files))


@routes.route(f"{_SYMBOLS}/{{symbol_id}}", methods=["GET"], content_types=ANY_TYPE)
@omaha_errors
def get_symbols(symbol_id: str) -> Response:
    """One symbol file, with a link to download it."""
    current = _request()
    file = _file(symbol_id, _allowed(incoming(current), "read"))
    return json_answer(_shape(file, _base(current)))


@routes.route(f"{_SYMBOLS}/{{symbol_id}}", methods=["DELETE"], content_types=ANY_TYPE)
@omaha_errors
def delete_symbols(symbol_id: str) -> Response:
    """204; the crashes that were read with them stay as they are."""
    file = _file(symbol_id, _allowed(incoming(_request()), "write"))
    services().symbols.delete(file.file_id)
    return Response("", status_code=204)


@routes.route(_SYMBOLS, methods=["PUT", "PATCH", "DELETE"], content_types=ANY_TYPE)
@omaha_errors
def symbols_only() -> Response:
    """405: the list can be read, and added to."""
    return _other_method("GET, POST, HEAD")


@routes.route(f"{_SYMBOLS}/{{symbol_id}}", methods=["POST", "PUT", "PATCH"], content_types=ANY_TYPE)
@omaha_errors
def symbol_file_only(symbol_id: str) -> Response:  # noqa: ARG001 - the path has it
    """405: a symbol file can be read, and deleted."""
    return _other_method("GET, DELETE, HEAD")


def _other_method(allowed: str) -> Response:
    current = _request()
    _allowed(incoming(current, with_form=False), "read")
    return method_not_allowed(current.method, allowed)


# --- helpers -------------------------------------------------------------


def _is_known(part: Part, app_id: str | None) -> bool:
    """omaha-server's rule for a Breakpad file: its id and its name, whatever is in it."""
    first_line = part.data[:_MAX_FIRST_LINE_BYTES].partition(b"\n")[0].decode("utf-8", "replace")
    words = first_line.rstrip("\r").split(" ", 4)
    if len(words) != 5 or words[0] != "MODULE":
        return False
    return services().symbols.has_build(app_id, words[3].upper(), words[4])


def _duplicate() -> Response:
    return json_answer({"message": "Duplicate symbol"}, 409)


def _app_of(request: Incoming, access: Access) -> str | None:
    """The app that symbols are for; None: every app."""
    named = request.form.text("appid")
    if named:
        app = services().omaha_apps.find(named)
        if app is None or not access.opens(app.app_id):
            raise InvalidRequest({"appid": [f"There is no app {named!r}."]})
        return app.app_id
    if access.app_ids is None:
        return None
    if len(access.app_ids) > 1:
        raise InvalidRequest({"appid": ["Say which of your apps the symbols are for."]})
    return next(iter(access.app_ids))


def _scopes(access: Access) -> list[str]:
    """What is for every app, only they see who may see every app."""
    if access.app_ids is not None:
        return sorted(access.app_ids)
    return [SHARED, *(app.app_id for app in services().accounts.apps())]


def _file(symbol_id: str, access: Access) -> SymbolFile:
    file = services().symbols.file(identifier(symbol_id))
    if not access.opens(file.app_id):
        raise NotFound("symbol file", symbol_id)
    return file


def _shape(file: SymbolFile, base_url: str) -> dict[str, Any]:
    url = services().symbols.download(file.file_id, expires_in_s=_LINK_S)
    return {
        "id": file.file_id,
        "file": f"{base_url}{url}" if url.startswith("/") else url,
        "file_size": file.size_bytes,
        "debug_id": file.debug_id,
        "debug_file": file.debug_file,
        "created": file.created_at,
        "modified": file.modified_at,
    }


def _allowed(request: Incoming, scope: Scope) -> Access:
    access = access_of(request)
    access.require(scope)
    return access


def _request() -> Request:
    request = routes.current_request
    assert isinstance(request, Request)
    return request


def _base(current: Request) -> str:
    return public_url(current, services().settings.base_url)
