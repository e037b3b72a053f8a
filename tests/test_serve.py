"""The embedded server as a whole: a real process, real HTTP, a real client."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import libhockey.constants
import pytest
from libhockey.crashes import HockeyCrashesClient
from libhockey.versions import HockeyVersionsClient

from tests.crashes import ANDROID_EXAMPLE, android_log
from tests.minidump_forms import DUMP
from tests.server import ROOT, RunningServer, is_running, wait_for
from tests.wsgi_client import multipart


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data") as running:
        yield running


def post(server: RunningServer, log: bytes, **more: str) -> int:
    body, headers = multipart(dict(more), {"log": log})
    return post_body(server, body, headers)


def post_body(
    server: RunningServer, body: bytes, headers: dict[str, str], *, chunked: bool = False
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    path = f"/api/2/apps/{server.demo['app_id']}/crashes/upload"
    parts = (body[at : at + 700] for at in range(0, len(body), 700))
    connection.request("POST", path, parts if chunked else body, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 201, text
    found = re.search(rb"<string>(\d+)</string>", text)
    assert found
    return int(found[1])


def ask(server: RunningServer, method: str, path: str, form: bytes | None = None) -> Any:
    headers = {"X-HockeyAppToken": server.demo["token"]}
    asked = urllib.request.Request(server.url + path, form, headers, method=method)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.loads(answer.read())


def groups(server: RunningServer) -> list[dict[str, object]]:
    return server.get(f"/api/2/apps/{server.demo['app_id']}/crash_reasons")["crash_reasons"]


def test_the_printed_curls_post_a_crash_and_show_its_group_within_a_second(
    server: RunningServer,
) -> None:
    assert server.process
    assert server.process.stdout
    os.set_blocking(server.process.stdout.fileno(), False)
    printed = server.process.stdout.read().decode()
    curls = [line.strip() for line in printed.splitlines() if line.strip().startswith("curl")]
    post_it, list_it = (f"{curl} -s -o /dev/stdout -w '\\n%{{http_code}}'" for curl in curls)
    assert pasted(post_it).endswith("\n201")
    posted = time.monotonic()
    (group,) = wait_for(lambda: groups(server), 1.0)
    assert time.monotonic() - posted < 1.0
    assert (group["class"], group["line"]) == ("org.json.JSONTokener", "112")
    assert "nextCleanInternal" in pasted(list_it)


def pasted(command: str) -> str:
    run = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("coding", ["plain", "gzip", "chunked", "gzip and chunked"])
def test_bodies_arrive_in_every_coding(server: RunningServer, coding: str) -> None:
    body, headers = multipart({}, {"log": android_log().ljust(150_000, b"\n")})
    if "gzip" in coding:
        body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}
    assert post_body(server, body, headers, chunked="chunked" in coding)
    assert wait_for(lambda: groups(server))


@pytest.mark.parametrize("coding", ["plain", "gzip", "chunked", "gzip and chunked"])
@pytest.mark.parametrize("named", [True, False])
def test_minidumps_arrive_in_every_coding_and_come_back_whole(
    server: RunningServer, coding: str, named: bool
) -> None:
    dump = DUMP + os.urandom(150_000)
    fields = {"appid": server.demo["app_id"], "guid": "x"}
    body, headers = multipart(fields, {"upload_file_minidump": dump})
    if "gzip" in coding:
        body = gzip.compress(body)
        headers |= {"Content-Encoding": "gzip"} if named else {}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    parts = (body[at : at + 7000] for at in range(0, len(body), 7000))
    chunked = "chunked" in coding
    sent = parts if chunked else body
    connection.request("POST", "/service/crash_report/", sent, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    crash_id = answer.read().decode()
    connection.close()
    assert (answer.status, crash_id.isdigit()) == (200, True)
    shown = server.get(f"/api/crash_report/{crash_id}/")
    assert shown["meta"] == {"guid": "x"}
    with urllib.request.urlopen(shown["upload_file_minidump"], timeout=10) as download:
        assert download.read() == dump


def test_data_is_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        post(server, ANDROID_EXAMPLE.encode())
        assert server.stop() == 0
        server.start()
        (group,) = wait_for(lambda: groups(server))
        assert group["number_of_crashes"] == 1


def test_a_server_whose_parent_was_killed_frees_its_port(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        assert server.process
        children = server.children()
        assert len(children) >= 2
        server.kill_supervisor()
        assert wait_for(lambda: not any(map(is_running, children)))
        server.start()
        post(server, ANDROID_EXAMPLE.encode())
        assert wait_for(lambda: groups(server))


def test_a_killed_child_is_replaced(server: RunningServer) -> None:
    for pid in server.children():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    server.wait_until_healthy()
    post(server, ANDROID_EXAMPLE.encode())
    assert wait_for(lambda: groups(server))


def test_a_process_that_dies_again_and_again_does_not_end_the_server(
    server: RunningServer,
) -> None:
    for _ in range(4):
        http = [pid for pid in server.children() if b"http_process" in command_of(pid)]
        os.kill(http[0], signal.SIGKILL)
        time.sleep(0.3)
        server.wait_until_healthy()
    assert server.process
    assert server.process.poll() is None


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_loses_nothing_and_takes_less_than_ten_seconds(
    server: RunningServer, number: signal.Signals
) -> None:
    accepted = [post(server, android_log()) for _ in range(40)]
    children = server.children()
    assert server.process
    began = time.monotonic()
    os.killpg(server.process.pid, number)  # as Ctrl-C does: all of them get it
    assert server.process.wait(timeout=20) == 0
    assert time.monotonic() - began < 5  # 10 is for what hangs
    assert not any(map(is_running, children))
    server.close_output()
    server.start()
    assert wait_for(lambda: counted(server) == len(accepted))


def counted(server: RunningServer) -> int:
    return sum(int(str(group["number_of_crashes"])) for group in groups(server))


def test_a_taken_port_is_said_in_one_line(server: RunningServer, tmp_path: Path) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "chalicelib.cli", "serve", "--port", str(server.port)),
            *("--data", str(tmp_path / "other")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = f"crashbucket: cannot listen on 127.0.0.1:{server.port}: Address already in use\n"
    assert (run.returncode, run.stdout, run.stderr) == (2, "", told)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_this_one_is_said_in_one_line(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-m", "chalicelib.cli", "serve", "--host", host]
    run = subprocess.run(
        [*command, "--data", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"crashbucket: cannot listen on {host}:8000: ")
    assert run.stderr.count("\n") == 1


def test_clients_that_never_finish_do_not_keep_others_out(server: RunningServer) -> None:
    head = b"POST /api/2/apps/x/crashes/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(head)
        assert post(server, android_log())
    finally:
        for connection in slow:
            connection.close()


def test_libhockey_lists_groups_crashes_versions_and_downloads_a_log(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libhockey.constants, "API_BASE_URL", f"{server.url}/api/2/apps")
    app_id, token = server.demo["app_id"], server.demo["token"]
    log = android_log("same", "7")
    crash_ids = [post(server, log, userID=f"user {n}") for n in range(3)]
    post(server, android_log("other", "8"))
    assert wait_for(lambda: sum(int(str(g["number_of_crashes"])) for g in groups(server)) == 4)

    versions = HockeyVersionsClient(token, logging.getLogger())
    crashes = HockeyCrashesClient(token, logging.getLogger())
    assert {version.version for version in versions.all(app_id)} == {"7", "8"}
    assert len(versions.recent(app_id)) == 2
    version_id = versions.hockey_version_identifier_for_version(app_id, "7")
    assert version_id is not None
    (group,) = crashes.groups_for_version(app_id, version_id, sort_field="number_of_crashes")
    assert (group.crash_class, group.number_of_crashes) == ("de.codenauts.hockeyapp.Same", 3)
    assert crashes.group(app_id, group.identifier).identifier == group.identifier
    listed = crashes.in_group(app_id, version_id, group.identifier)
    assert [crash.identifier for crash in listed] == crash_ids[::-1]
    assert listed[0].user_string == "user 2"
    assert crashes.get_log(app_id, crash_ids[0]) == log.decode()
    assert crashes.get_description(app_id, crash_ids[0]) == ""


def test_libhockey_triages_a_group_and_pages_through_its_crashes_while_some_are_deleted(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libhockey.constants, "API_BASE_URL", f"{server.url}/api/2/apps")
    app_id, token = server.demo["app_id"], server.demo["token"]
    base = f"/api/2/apps/{app_id}"
    log = android_log("same", "7")
    ids = [post(server, log, userID=f"user {n % 2}") for n in range(110)]
    post(server, android_log("other", "8"))
    assert wait_for(lambda: counted(server) == 111)
    versions = HockeyVersionsClient(token, logging.getLogger())
    crashes = HockeyCrashesClient(token, logging.getLogger())
    version_id = versions.hockey_version_identifier_for_version(app_id, "7")
    assert version_id is not None

    # listing and paging: 100 a page
    (group,) = crashes.groups_for_version(app_id, version_id, symbolicated_only=True)
    listed = crashes.in_group(app_id, version_id, group.identifier)
    assert [crash.identifier for crash in listed] == ids[::-1]
    every = list(crashes.generate_in_group(app_id, group.identifier, app_version_id=None))
    assert [crash.identifier for crash in every] == ids[::-1]
    assert {v.version: v.statistics.crashes for v in versions.statistics(app_id)} == {
        "7": 110,
        "8": 1,
    }

    # annotation and status
    assert crashes.get_annotation(app_id, group.identifier) is None
    crashes.set_annotation(app_id, group.identifier, "seen & noted: 100 %")
    noted = crashes.get_annotation(app_id, group.identifier)
    assert noted is not None
    assert (noted.text, noted.crash_reason_id) == ("seen & noted: 100 %", group.identifier)
    url = f"{libhockey.constants.API_BASE_URL}/{app_id}/crash_reasons/{group.identifier}"
    answer = crashes.post(f"{url}?status=1", data={}).json()
    assert answer["status"] == "success"
    assert crashes.group(app_id, group.identifier).fixed

    # deletion, and the histogram after it
    for crash_id in ids[:10]:
        assert ask(server, "DELETE", f"{base}/crashes/{crash_id}") == {"status": "success"}
    listed = crashes.in_group(app_id, version_id, group.identifier)
    assert [crash.identifier for crash in listed] == ids[:9:-1]
    assert crashes.group(app_id, group.identifier).number_of_crashes == 100
    today = datetime.now(UTC).date()
    days = f"start_date={today - timedelta(days=40)}&end_date={today}"
    for path in (f"crashes/histogram?{days}", f"crash_reasons/{group.identifier}/histogram?{days}"):
        told = crashes.get(f"{libhockey.constants.API_BASE_URL}/{app_id}/{path}").json()
        assert len(told["histogram"]) == 31
        expected = 101 if path.startswith("crashes") else 100
        assert sum(count for _, count in told["histogram"]) == expected

    # it crashes in a newer version: open again
    post(server, android_log("same", "9"), userID="user 1")
    assert wait_for(lambda: not crashes.group(app_id, group.identifier).fixed)
    found = server.get(f"{base}/crashes/user_search?query=user+1&per_page=100")
    assert found["total_entries"] == 51


def test_a_client_that_sends_parameters_as_a_form_and_counts_pages_from_0(
    server: RunningServer,
) -> None:
    for cause in ("a", "b"):
        post(server, android_log(cause))
    assert wait_for(lambda: counted(server) == 2)
    form = {"page": 0, "per_page": 25, "symbolication": 1, "order": "asc", "sort": "class"}
    path = f"/api/2/apps/{server.demo['app_id']}/crash_reasons/"
    told = ask(server, "GET", path, urlencode(form).encode())
    assert (told["current_page"], told["total_pages"]) == (1, 1)
    assert [group["class"][-1] for group in told["crash_reasons"]] == ["A", "B"]
