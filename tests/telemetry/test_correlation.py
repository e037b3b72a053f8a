"""The id of a request in payloads and log lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from chalicelib import keys, payload
from chalicelib.bootstrap import Services
from chalicelib.correlation import correlated, current, of_client, take_up
from chalicelib.landing import SUFFIX
from chalicelib.records import App
from chalicelib.telemetry.logs import log_plainly
from tests.crashes import ANDROID_EXAMPLE
from tests.wsgi_client import multipart, request


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    found.handlers[:] = handlers
    found.setLevel(level)


def test_the_payload_keeps_the_id_that_the_answer_names(services: Services, app: App) -> None:
    body, headers = multipart({}, {"log": ANDROID_EXAMPLE.encode()})
    path = f"/api/2/apps/{app.app_id}/crashes/upload"
    headers |= {"Accept": "application/json", "X-Request-ID": "from-the-proxy"}
    answer = request("POST", path, body, headers)
    assert answer.headers["x-request-id"] == "from-the-proxy"
    stored = payload.read(services.blobs, keys.raw_blob(answer.json["id"]))
    assert stored.correlation_id == "from-the-proxy"


def test_a_dump_that_came_in_two_steps_goes_by_its_upload(services: Services, app: App) -> None:
    upload = services.uploads.begin(app.app_id, None, {})
    blob_key = f"{keys.landing_prefix(app.app_id)}{upload.upload_id}{SUFFIX}"
    services.blobs.put(blob_key, b"MDMP")
    report_id = services.landings.land(blob_key)
    assert report_id is not None
    stored = payload.read_as_stored(services.blobs, keys.raw_blob(report_id))
    assert stored.correlation_id == upload.upload_id


def test_a_line_names_what_is_in_hand(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log_plainly()
    logging.getLogger("a.module").warning("one")
    with correlated("request-7"):
        logging.getLogger("a.module").warning("two")
    one, two = capsys.readouterr().err.splitlines()
    assert one.endswith("WARNING a.module [-] one")
    assert two.endswith("WARNING a.module [request-7] two")


def test_after_a_failure_the_id_stays_for_whoever_logs_it() -> None:
    with correlated():
        with pytest.raises(RuntimeError), correlated("outer"):
            take_up("inner")
            raise RuntimeError
        assert current() == "inner"
    assert current() == ""


def test_ids_of_our_own_differ() -> None:
    assert len({of_client(None) for _ in range(100)}) == 100
