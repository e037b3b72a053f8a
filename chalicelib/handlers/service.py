"""Routes that belong to no API: health and metrics."""

from __future__ import annotations

from chalice.app import Blueprint, Request, Response

from chalicelib.handlers.common import (
    ANY_TYPE,
    incoming,
    json_answer,
    services,
    text_answer,
)
from chalicelib.handlers.hockeyapp_errors import hockeyapp_errors
from chalicelib.telemetry.prometheus import CONTENT_TYPE, PrometheusMetrics

routes = Blueprint(__name__)


@routes.route("/healthz", methods=["GET"], content_types=ANY_TYPE)
def healthz() -> Response:
    """200 as long as the store answers; `waiting` is 0 when no report waits to be processed and
    no other work of the queue (symbols that came) is due."""
    return json_answer({"status": "ok", "waiting": services().queue.depth()})


@routes.route("/metrics", methods=["GET"], content_types=ANY_TYPE)
@hockeyapp_errors
def metrics() -> Response:
    """What the service has counted since its data folder was made, for Prometheus.

    Totals are open to everybody; the counts of an app to whoever has a token that may read it. On
    AWS there is nothing here: CloudWatch has the metrics there.
    """
    kept = services().metrics
    if not isinstance(kept, PrometheusMetrics):
        told = "this server keeps no metrics itself: see CloudWatch, namespace Crashbucket"
        return json_answer({"errors": {"metrics": [told]}}, 404)
    current = routes.current_request
    assert isinstance(current, Request)
    token = incoming(current, with_form=False).token
    if token is None:
        return _exposed(kept.text(lambda _: False))
    access = services().accounts.authenticate(token)
    access.require("read")
    return _exposed(kept.text(access.opens))


def _exposed(text: bytes) -> Response:
    return text_answer(text.decode(), content_type=CONTENT_TYPE)
