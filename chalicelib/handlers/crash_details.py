"""The form in which a user says what they did when it crashed; works without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from chalice.app import Blueprint, Request, Response

from chalicelib.errors import CrashbucketError, InvalidRequest, NotFound, PayloadTooLarge, TryAgain
from chalicelib.feedback import MAX_DESCRIPTION_CHARS, MAX_SUMMARY_CHARS, AlreadyReported
from chalicelib.handlers.answering import busy_status, timed
from chalicelib.handlers.common import (
    ANY_TYPE,
    TELLS_OF_LARGE_BODIES,
    Incoming,
    incoming,
    services,
    text_answer,
)
from chalicelib.handlers.hockeyapp_shape import identifier
from chalicelib.handlers.public_url import path_prefix

routes = Blueprint(__name__)

_PATH = "/service/crash_details"
_THANKS = f"{_PATH}/thanks"
_FORM = f"{_PATH}/{{crash_id}}"
TELLS_OF_LARGE_BODIES.add(_FORM)

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff; }
label { display: block; font-weight: 600; margin-top: 1rem; }
input, textarea { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem;
  border: 1px solid #767676; border-radius: 4px; }
.hint { margin: 0; color: #555; }
.error { margin: 0; color: #b00020; }
button { font: inherit; margin-top: 1rem; padding: .5rem 1.5rem; border: 0; border-radius: 4px;
  color: #fff; background: #0b57d0; }
"""


@routes.route(_THANKS, methods=["GET"], content_types=ANY_TYPE)
def thanks() -> Response:
    """The page that the form leads to."""
    return _page("Thank you", "<p>Your description of the crash has been sent.</p>")


@routes.route(_FORM, methods=["GET"], content_types=ANY_TYPE)
def show_form(crash_id: str) -> Response:
    """The form; `?comment=` is what the description begins with."""
    try:
        services().feedback.require_open(identifier(crash_id))
        comment = _incoming().query.get("comment") or ""
    except CrashbucketError as error:
        return _refused(error)
    return _form({"description": comment[:MAX_DESCRIPTION_CHARS]}, {})


@routes.route(_FORM, methods=["POST"], content_types=ANY_TYPE)
def send_form(crash_id: str) -> Response:
    """302 to the thanks; the form again, with what is wrong in it, as a 400."""
    said: dict[str, str] = {}
    try:
        form = _incoming().form
        said = {name: _text(form.text(name)) for name in ("summary", "description")}
        services().feedback.add(identifier(crash_id), said["summary"], said["description"])
    except InvalidRequest as error:
        return _form(said, error.fields)
    except CrashbucketError as error:
        return _refused(error)
    return Response("", status_code=302, headers={"Location": f"{_prefix()}{_THANKS}"})


def _refused(error: CrashbucketError) -> Response:
    """omaha-server's answers, which are plain text; raises again what no client can mend."""
    match error:
        case NotFound():
            return text_answer("no such crash", 400)
        case AlreadyReported():
            return text_answer(str(error), 400)
        case PayloadTooLarge():
            return text_answer(str(error), 413)
        case InvalidRequest():
            return text_answer(str(error), 400)
        case TryAgain():
            return timed(text_answer(str(error), busy_status(error)), error)
    raise error


def _form(said: Mapping[str, str], wrong: Mapping[str, Sequence[str]]) -> Response:
    """Its target is the page's own address, without the query."""
    summary, description = (escape(said.get(name, "")) for name in ("summary", "description"))
    body = f"""
<p>Please say what you did when it happened. It helps to mend it.</p>
{_errors("body", wrong)}
<form method="post" action="?">
<label for="summary">Summary</label>
<p class="hint" id="summary-hint">One line, at most {MAX_SUMMARY_CHARS} characters.</p>
{_errors("summary", wrong)}
<input id="summary" name="summary" required maxlength="{MAX_SUMMARY_CHARS}" value="{summary}"
 {_told_by("summary", wrong)}>
<label for="description">Description</label>
<p class="hint" id="description-hint">What led to it, step by step, if you remember.</p>
{_errors("description", wrong)}
<textarea id="description" name="description" rows="8" maxlength="{MAX_DESCRIPTION_CHARS}"
 {_told_by("description", wrong)}>
{description}</textarea>
<button type="submit">Send</button>
</form>"""
    return _page("Describe the crash", body, 400 if wrong else 200)


def _errors(name: str, wrong: Mapping[str, Sequence[str]]) -> str:
    texts = wrong.get(name)
    if not texts:
        return ""
    return f'<p class="error" id="{name}-error" role="alert">{escape(" ".join(texts))}</p>'


def _told_by(name: str, wrong: Mapping[str, Sequence[str]]) -> str:
    """For screen readers: which texts explain a field, and whether it is wrong."""
    if wrong.get(name):
        return f'aria-describedby="{name}-hint {name}-error" aria-invalid="true"'
    return f'aria-describedby="{name}-hint"'


def _page(title: str, body: str, status: int = 200) -> Response:
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
    return Response(html, status_code=status, headers=dict(_HEADERS))


def _text(said: str) -> str:
    """As any store can hold it: no halves of characters."""
    return said.encode("utf-8", "replace").decode()


def _prefix() -> str:
    return path_prefix(_request(), services().settings.base_url)


def _incoming() -> Incoming:
    return incoming(_request())


def _request() -> Request:
    request = routes.current_request
    assert isinstance(request, Request)
    return request
