"""The QuincyKit door: the self-hosted server's script, for apps known by bundle identifier."""

from __future__ import annotations

import logging

from chalice.app import Blueprint, Request, Response

from chalicelib.errors import FormatError, InvalidRequest, PayloadTooLarge, TryAgain
from chalicelib.formats import quincy_xml
from chalicelib.formats.quincy_xml import QuincyCrash, ResultCode
from chalicelib.handlers import crash_posts, plist
from chalicelib.handlers.answering import busy_status, timed
from chalicelib.handlers.common import ANY_TYPE, Incoming, incoming, services, text_answer
from chalicelib.payload import Payload
from chalicelib.records import App

_log = logging.getLogger(__name__)

routes = Blueprint(__name__)

_PLATFORM_OF_AGENT = {"Quincy/iOS": "iOS", "Quincy/Mac": "Mac OS"}


@routes.route("/crash_v200.php", methods=["POST"], content_types=ANY_TYPE, cors=True)
def crash_v200() -> Response:
    """XML as part `xmlstring` is answered with a result code, XML as the body with a plist."""
    return _post()


@routes.route("/crash_v300.php", methods=["POST"], content_types=ANY_TYPE, cors=True)
def crash_v300() -> Response:
    """What later clients call the same script."""
    return _post()


def _post() -> Response:
    current = routes.current_request
    assert isinstance(current, Request)
    try:
        request = incoming(current)
    except (InvalidRequest, PayloadTooLarge) as error:
        status = 413 if isinstance(error, PayloadTooLarge) else 400
        return text_answer(f"No valid data entered! {error}", status)
    try:
        if "xmlstring" in request.form:
            return _post_of_client(request)
        return _post_of_body(request)
    except TryAgain as error:  # with a body: an empty one has clients ask again at once
        return timed(text_answer(str(error), busy_status(error)), error)


# --- the self-hosted client: part `xmlstring`, answered with a result code ------


def _post_of_client(request: Incoming) -> Response:
    """200 whatever comes: the client takes its answer from `<result>`."""
    try:
        crashes = quincy_xml.parse(request.form.parts["xmlstring"].data)
    except FormatError:
        return _result(ResultCode.UNREADABLE_XML)
    if not any(crash.bundleidentifier.strip() for crash in crashes):
        return text_answer("No valid data entered!")
    for app_id in {app.app_id for crash in crashes if (app := _app_of(request, crash))}:
        services().intake.require_open(app_id)
    refused: list[ResultCode] = []
    taken: list[tuple[int, Payload]] = []
    for crash in crashes:
        app, wrong = _app_of(request, crash), quincy_xml.check(crash)
        if wrong is not None or app is None:
            refused.append(ResultCode.APP_UNKNOWN if wrong is None else wrong)
            continue
        received = crash_posts.quincy_payload(app, crash, request.form)
        taken.append((services().intake.receive(received, admitted=True), received))
    if not taken:
        return _result(max(refused))
    is_fixed = any(_is_fixed(crash_id, received) for crash_id, received in taken)
    return _result(ResultCode.AVAILABLE if is_fixed else ResultCode.FIX_UNKNOWN)


def _is_fixed(crash_id: int, received: Payload) -> bool:
    """Whether the crash's cause is known to be fixed; a worker processes the crash itself."""
    try:
        return services().fixes.is_fixed(services().processor.read(crash_id, received))
    except Exception as error:  # the crash is accepted, whatever its log or the store does
        _log.warning("no fix was looked up for crash %s: %r", crash_id, error)
        return False


def _result(code: ResultCode) -> Response:
    return text_answer(
        f'<?xml version="1.0" encoding="UTF-8"?><result>{int(code)}</result>',
        content_type="text/xml; charset=utf-8",
    )


# --- the documented way: the XML is the body, answered with a plist -------------


def _post_of_body(request: Incoming) -> Response:
    xml = crash_posts.xml_of(request)
    if xml is None:
        return text_answer("No valid data entered!", 400)
    try:
        crashes = quincy_xml.parse(xml)
    except FormatError as error:
        return _refused(ResultCode.UNREADABLE_XML, str(error))
    taken: list[tuple[App, QuincyCrash]] = []
    for crash in crashes:
        if missing := quincy_xml.missing_fields(crash):
            return _refused(ResultCode.INVALID_POST, f"empty: {', '.join(missing)}")
        app = _app_of(request, crash)
        if app is None:
            told = f"no app has the bundle identifier {crash.bundleidentifier!r}"
            return _refused(ResultCode.APP_UNKNOWN, told)
        taken.append((app, crash))
    for app_id in {app.app_id for app, _ in taken}:
        services().intake.require_open(app_id)
    crash_ids = [crash_posts.receive_quincy(app, crash, request.form) for app, crash in taken]
    return plist.plist_answer(str(crash_ids[0]), plist.QUEUED, plist.FEEDBACK_DELAY_MS, 201)


def _refused(code: ResultCode, message: str) -> Response:
    """400 with a body, which makes a client give the report up; the code is the status."""
    return plist.plist_answer("", int(code), 0, 400, message=message)


def _app_of(request: Incoming, crash: QuincyCrash) -> App | None:
    """The app registered under the crash's bundle identifier; of several, the platform's own."""
    apps = services().accounts.apps_with_bundle(crash.bundleidentifier.strip())
    platform = _PLATFORM_OF_AGENT.get(request.header("user-agent"))
    return next((app for app in apps if app.platform == platform), next(iter(apps), None))
