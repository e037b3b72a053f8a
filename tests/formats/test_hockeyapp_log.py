"""HockeyApp's crash log, in every dialect its SDKs and its document write."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from chalicelib.formats import hockeyapp_log
from chalicelib.model import Report

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def parsed(name: str) -> Report:
    return hockeyapp_log.parse(sample(name))


def test_the_documents_example_is_read_whole() -> None:
    report = parsed("android_document.log")
    assert report.platform == "android"
    assert report.app.package == "de.codenauts.hockeyapp"
    assert (report.app.version, report.app.short_version) == ("33", None)
    assert (report.os.name, report.os.version) == ("Android", "2.2")
    assert (report.device.oem, report.device.model) == ("HTC", "HTC Desire")
    assert report.install_id == "1C6ADE7f-643E-A5F3-5CBF-E496CE21DEAA218624AF"
    assert report.occurred_at == datetime(2011, 11, 27, 16, 35, 8, tzinfo=UTC)
    assert report.unread == ()
    assert [entry.relation for entry in report.exceptions] == ["thrown", "cause"]


def test_the_documents_innermost_cause_is_the_null_pointer_in_the_tokener() -> None:
    report = parsed("android_document.log")
    innermost = report.innermost
    assert innermost is not None
    assert report.exception_type == innermost.type == "java.lang.NullPointerException"
    assert innermost.frames_in_common == 12
    top = innermost.frames[0]
    assert top.function == "org.json.JSONTokener.nextCleanInternal"
    assert (top.class_name, top.method) == ("org.json.JSONTokener", "nextCleanInternal")
    assert (top.file, top.line, top.in_app) == ("JSONTokener.java", 112, False)
    assert [frame.method for frame in innermost.frames if frame.in_app] == ["loadApps", "onCreate"]
