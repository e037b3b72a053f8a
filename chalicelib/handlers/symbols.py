"""Symbol files over HockeyApp's API: an app's own list, and a dSYM or mapping for a version."""

from __future__ import annotations

from chalice.app import Blueprint, Request, Response

from chalicelib import hockeyapp_json
from chalicelib.errors import FormatError, InvalidRequest, NotFound
from chalicelib.forms import Part
from chalicelib.handlers import hockeyapp_shape as hockeyapp
from chalicelib.handlers import symbols_shape as shape
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    Incoming,
    json_answer,
    services,
)
from chalicelib.handlers.hockeyapp_access import authorised
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.handlers.minidump_posts import symbols_request
from chalicelib.handlers.public_url import absolute
from chalicelib.model import AppBuild
from chalicelib.queries.paging import Listing, cut
from chalicelib.records import App, SymbolFile
from chalicelib.symbols.store import AddedSymbols

routes = Blueprint(__name__)

_APP = "/api/2/apps/{app_id}"
_SYMBOLS = f"{_APP}/symbols"
_VERSIONS = f"{_APP}/app_versions"
_UPLOAD_VERSION = f"{_VERSIONS}/upload"
_VERSION = f"{_VERSIONS}/{{version_id}}"
TELLS_OF_LARGE_BODIES.update({_SYMBOLS, _UPLOAD_VERSION, _VERSION})
_LINK_S = 3600  # how long a link to download a file is good
_MAX_VERSION_CHARS = 255  # as a crash's


# --- an app's symbol files -----------------------------------------------


@routes.route(_SYMBOLS, methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def upload_symbols(app_id: str) -> Response:
    """Debug files, or zips of them, each a part with a file name.

    `bundle_version` and `bundle_short_version` tell what version a mapping is of.
    """
    request, app = authorised(_request(), app_id, "upload")
    files = [entry for entry in request.form.everything() if entry[1].filename is not None]
    if not files:
        raise InvalidRequest({"file": ["is missing: send debug files as parts with a file name"]})
    version = _version(request)
    added = [entry for name, part in files for entry in _add(app, name, part, version)]
    return json_answer(
        {"symbols": [shape.added(entry) for entry in added], "status": "success"}, 201
    )


@routes.route(_SYMBOLS, methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_symbols(app_id: str) -> Response:
    """The app's symbol files, oldest first; those that are for every app are not among them."""
    request, _ = authorised(_request(), app_id, "read")
    paging = hockeyapp.paging(request)
    found = services().symbols.files(app_id, start=paging.start, count=paging.per_page)
    listed = Listing(found.files, found.total, paging)
    return json_answer(
        hockeyapp.listing(listed, symbols=[shape.symbol_file(file) for file in found.files])
    )


@routes.route(f"{_SYMBOLS}/missing", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def list_missing_symbols(app_id: str) -> Response:
    """The builds whose symbols crashes lack, those first from which most crashes would gain."""
    request, _ = authorised(_request(), app_id, "read")
    listed = cut(services().missing_symbols.of_app(app_id), hockeyapp.paging(request))
    entries = [shape.missing(entry) for entry in listed.entries]
    return json_answer(hockeyapp.listing(listed, missing=entries))


@routes.route(f"{_SYMBOLS}/{{symbol_id}}", methods=["GET"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def get_symbols(app_id: str, symbol_id: str) -> Response:
    """One symbol file, with a link to download it."""
    authorised(_request(), app_id, "read")
    file = _file(app_id, symbol_id)
    url = services().symbols.download(file.file_id, expires_in_s=_LINK_S)
    whole = absolute(url, _current(), services().settings.base_url)
    return json_answer({**shape.symbol_file(file), "download_url": whole})


@routes.route(f"{_SYMBOLS}/{{symbol_id}}", methods=["DELETE"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def delete_symbols(app_id: str, symbol_id: str) -> Response:
    """Take a symbol file away; the crashes that were read with it stay as they are."""
    authorised(_request(), app_id, "write")
    services().symbols.delete(_file(app_id, symbol_id).file_id)
    return json_answer({"status": "success"})


def _file(app_id: str, symbol_id: str) -> SymbolFile:
    file = services().symbols.file(hockeyapp.identifier(symbol_id))
    if file.app_id != app_id:
        raise NotFound("symbol file", symbol_id)
    return file


# --- for a version, as HockeyApp's clients do ----------------------------


@routes.route(_UPLOAD_VERSION, methods=["POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def upload_version(app_id: str) -> Response:
    """`dsym` (a zip of dSYMs, or Android's mapping.txt) with `bundle_version`: the version,
    which is made if it is new."""
    request, app = authorised(_request(), app_id, "upload")
    version = _version(request)
    if version is None or not version.version:
        raise InvalidRequest({"bundle_version": ["is required"]})
    return _with_dsym(request, app, version)


@routes.route(_VERSION, methods=["PUT", "POST"], content_types=ANY_TYPE, cors=True)
@hockeyapp_errors
def update_version(app_id: str, version_id: str) -> Response:
    """`dsym` for a version that is there."""
    request, app = authorised(_request(), app_id, "upload")
    known = services().groups.version(app_id, hockeyapp.identifier(version_id))
    return _with_dsym(request, app, AppBuild(version=known.number, short_version=known.name))


def _with_dsym(request: Incoming, app: App, version: AppBuild) -> Response:
    part = request.form.get("dsym")
    if part is None:
        raise InvalidRequest({"dsym": ["is missing: send a zip of dSYMs, or a mapping.txt"]})
    _add(app, "dsym", part, version)
    made = services().versions.ensure(
        app.app_id, version.version or "", version.short_version or ""
    )
    return json_answer(hockeyapp_json.version(made, app), 201)


# --- helpers -------------------------------------------------------------


def _add(app: App, name: str, part: Part, version: AppBuild | None) -> list[AddedSymbols]:
    """A file that is none of ours is the client's mistake in that part."""
    try:
        return services().symbols.add(
            part.data, app_id=app.app_id, filename=part.filename or name, version=version
        )
    except FormatError as error:
        raise InvalidRequest({name: [str(error)]}) from error


def _version(request: Incoming) -> AppBuild | None:
    number = request.parameter("bundle_version")
    name = request.parameter("bundle_short_version")
    for field, value in (("bundle_version", number), ("bundle_short_version", name)):
        if value and len(value) > _MAX_VERSION_CHARS:
            raise InvalidRequest(
                {field: [f"must not have more than {_MAX_VERSION_CHARS} characters"]}
            )
    return AppBuild(version=number, short_version=name) if number or name else None


def _request() -> Incoming:
    return symbols_request(_current())


def _current() -> Request:
    request = routes.current_request
    assert isinstance(request, Request)
    return request
