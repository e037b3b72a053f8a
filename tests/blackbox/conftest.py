"""The target of the suite, chosen by the environment, and what its tests share."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.alerts.receiver import Receiver
from tests.blackbox import crashes, ministack, summary, target
from tests.blackbox.client import POLL_S, Client
from tests.blackbox.target import WAY_BACK, Target
from tests.blackbox.told import Hook
from tests.minidump_forms import Part
from tests.server import ROOT, RunningServer

_TOLD = pytest.StashKey[list[str]]()
_SHARED_APP = "crashbucket-blackbox"  # made through omaha's door where there is no command line


@pytest.fixture(scope="session")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """The server that CRASHBUCKET_URL names; a stack of its own in an emulated AWS, if
    CRASHBUCKET_TARGET asks for that; else an embedded server of its own."""
    named = target.named(os.environ)
    if named is not None:
        yield named
        return
    if os.environ.get("CRASHBUCKET_TARGET") == "ministack":
        with ministack.Deployed(ministack.tools(), ROOT / "build" / "deployed") as deployed:
            chosen = deployed.target()
            yield chosen
            told = summary.durations(chosen.client.sent, deployed.invocations(), deployed.route)
            request.config.stash[_TOLD] = [
                *(f"{seconds:7.2f} s  {step}" for step, seconds in deployed.seconds.items()),
                *told,
            ]
        return
    data = tmp_path_factory.mktemp("blackbox") / "data"
    with RunningServer(data, settings={"CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS": "1"}) as server:
        yield target.embedded(server)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A table, where the suite is run by itself on a target of its own."""
    if not {"CRASHBUCKET_URL", "CRASHBUCKET_TARGET"} & os.environ.keys():
        return
    reports = [
        (report.nodeid, outcome, report.duration)
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call" or outcome == "skipped"
    ]
    terminalreporter.section("checked")
    for line in [*summary.checked(sorted(reports)), *config.stash.get(_TOLD, [])]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def admin(service: Target) -> Client:
    return service.client


@pytest.fixture(scope="session")
def anyone(admin: Client) -> Client:
    """A client without credentials, as SDKs are."""
    return admin.anonymous()


@pytest.fixture
def word() -> str:
    """A word that nobody sent before: the name of what crashes in a test."""
    return _new_word()


def _new_word() -> str:
    return f"Run{secrets.token_hex(5)}"


@dataclass(frozen=True)
class App:
    app_id: str
    number: int
    path: str


@pytest.fixture(scope="session")
def app(service: Target, admin: Client) -> App:
    """An app of this run; without a command line one that the suite's runs share."""
    if service.command is not None:
        name = f"Blackbox {secrets.token_hex(4)}"
        made = service.command.run("app", "create", name, "--bundle-id", crashes.PACKAGE)
        app_id = made["app_id"]
    else:
        told = [
            Part("appid", _SHARED_APP),
            Part("upload_file_minidump", crashes.build("First").dump, "a.dmp"),
        ]
        assert admin.anonymous().post_form("/service/crash_report/", told).status == 200
        app_id = ""
    listed = admin.get("/api/2/apps").json["apps"]
    [found] = [
        a
        for a in listed
        if app_id in (a["public_identifier"], "") and (app_id or a["title"] == _SHARED_APP)
    ]
    return App(found["public_identifier"], found["id"], f"/api/2/apps/{found['public_identifier']}")


@pytest.fixture(scope="session")
def hook(service: Target, admin: Client, app: App) -> Iterator[Hook]:
    """A webhook of the app, made before a crash that it is to be told of."""
    service.needs(WAY_BACK)
    word = _new_word()
    with Receiver() as receiver:
        wanted = {"url": receiver.url, "kinds": ["new_group"]}
        made = admin.post_json(f"{app.path}/webhooks", wanted)
        assert made.status == 201, made.text
        path = f"{app.path}/webhooks/{made.json['webhook']['id']}"
        sent = [Part("log", crashes.log(word), "crash.log")]
        assert admin.anonymous().post_form(f"{app.path}/crashes/upload", sent).status == 201
        yield Hook(path, made.json["secret"], word, receiver)
        assert admin.send("DELETE", path).status == 200


GroupOf = Callable[[str], dict[str, object]]


@pytest.fixture
def group_of(service: Target, admin: Client, app: App) -> GroupOf:
    """The group whose class, method or reason has the word, once there is one."""

    def find(word: str) -> dict[str, object]:
        until = time.monotonic() + service.patience_s
        while True:
            query = {"sort": "last_crash_at", "order": "desc", "per_page": "100"}
            answer = admin.get(f"{app.path}/crash_reasons", **query)
            assert answer.status == 200, answer.text
            groups: list[dict[str, object]] = answer.json["crash_reasons"]
            for group in groups:
                if any(word in str(group[part]) for part in ("class", "method", "reason")):
                    return group
            assert time.monotonic() < until, f"no group of {word}, but {groups[:5]}"
            time.sleep(POLL_S)

    return find
