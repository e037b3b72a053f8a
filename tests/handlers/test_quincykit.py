"""The QuincyKit door, as the self-hosted client and the document see it."""

from __future__ import annotations

import plistlib
import re
from typing import Any

import pytest

from chalicelib.bootstrap import Services
from chalicelib.queries.fixes import Fixes
from chalicelib.records import RESOLVED, App
from chalicelib.storage.ports import StoreAway
from tests.crashes import drain
from tests.wsgi_client import post_form, request

XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<crash>
  <applicationname>QuincyDemo</applicationname>
  <bundleidentifier>{bundle}</bundleidentifier>
  <systemversion>10.6.8</systemversion>
  <senderversion>{sender}</senderversion>
  <version>{version}</version>
  <platform>MacBookPro5,3</platform>
  <userid/>
  <contact/>
  <description><![CDATA[Comments: hello Console: nothing]]></description>
  <log><![CDATA[{log}]]></log>
</crash>
"""
LOG = """\
Process:         QuincyDemo [42]
Identifier:      de.buzzworks.QuincyMacDemo
Version:         2
Code Type:       X86-64
OS Version:      Mac OS X 10.6.8 (10K549)
Exception Type:  SIGSEGV
Exception Codes: SEGV_MAPERR at 0x8
Crashed Thread:  0

Thread 0 Crashed:
0   QuincyDemo                          0x000000010000115a -[Foo bar:] + 42
"""


@pytest.fixture
def mac(services: Services) -> App:
    return services.accounts.create_app(
        "Quincy", bundle_id="de.buzzworks.QuincyMacDemo", platform="Mac OS"
    )


def xml(**changes: str) -> bytes:
    values = {"bundle": "de.buzzworks.QuincyMacDemo", "version": "2", "sender": "2", "log": LOG}
    return XML.format(**values | changes).encode()


def result(body: bytes | str, path: str = "/crash_v200.php") -> int | str:
    answer = post_form(path, {"xmlstring": body})
    assert answer.status == 200
    found = re.fullmatch(
        r'<\?xml version="1.0" encoding="UTF-8"\?><result>(-?\d+)</result>', answer.text
    )
    return int(found[1]) if found else answer.text


@pytest.mark.parametrize("path", ["/crash_v200.php", "/crash_v300.php"])
def test_the_self_hosted_client_gets_200_and_a_result_code(
    services: Services, mac: App, path: str
) -> None:
    assert result(xml(), path) == 0
    drain(services)
    (report,) = services.crashes.of_app(mac.app_id)
    assert (report.bundle_version, report.os_version, report.model) == (
        "2",
        "10.6.8",
        "MacBookPro5,3",
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bundle": "com.unknown"}, -2),
        ({"log": " "}, -3),
        ({"version": ""}, -3),
        ({"version": "2<b>"}, -20),
        ({"version": "2/3"}, -20),
        ({"sender": "2%"}, -21),
    ],
)
def test_what_the_self_hosted_server_refused_is_refused_by_its_code(
    services: Services, mac: App, changes: dict[str, str], code: int
) -> None:
    changes = {name: value.replace("<", "&lt;") for name, value in changes.items()}
    assert result(xml(**changes)) == code
    assert services.queue.depth() == 0


def resolve_all(services: Services, app: App) -> None:
    drain(services)
    for entry in services.groups.every(app.app_id):
        services.triage.update(app.app_id, entry.group.group_id, status=RESOLVED)


def test_a_crash_of_a_resolved_group_is_answered_as_fixed_and_left_to_the_worker(
    services: Services, mac: App
) -> None:
    assert result(xml()) == 0
    resolve_all(services, mac)
    assert result(xml()) == 3
    assert services.queue.depth() == 1
    drain(services)
    (entry,) = services.groups.every(mac.app_id)
    assert (entry.total, entry.group.status) == (2, RESOLVED)
    assert result(xml(log=LOG.replace("-[Foo bar:]", "-[Quite another:]"))) == 0
    assert result(xml(version="3")) == 0  # it opens the group again, once it is processed


def test_one_fixed_crash_of_a_post_is_enough(services: Services, mac: App) -> None:
    assert result(xml()) == 0
    resolve_all(services, mac)
    one = xml(log="another one").decode().partition("?>")[2]
    other = xml().decode().partition("?>")[2]
    assert result(f"<crashes>{one}{other}{one}</crashes>") == 3
    assert services.queue.depth() == 3


def test_a_lookup_that_fails_refuses_no_crash(
    services: Services, mac: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert result(xml()) == 0
    resolve_all(services, mac)

    def fail(*_: object) -> Any:
        raise StoreAway("the table")

    with monkeypatch.context() as broken:
        broken.setattr(Fixes, "is_fixed", fail)
        assert result(xml()) == 0
    drain(services)
    assert len(list(services.crashes.of_app(mac.app_id))) == 2


def test_unreadable_xml_is_minus_40_and_no_bundle_identifier_a_sentence(
    services: Services, mac: App
) -> None:
    assert result(b"this is no xml") == -40
    assert result(xml(bundle="")) == "No valid data entered!"


def test_the_best_code_of_all_crashes_of_a_post_counts(services: Services, mac: App) -> None:
    one = xml(bundle="com.unknown").decode().partition("?>")[2]
    other = xml().decode().partition("?>")[2]
    assert result(f"<crashes>{one}{other}</crashes>") == 0
    drain(services)
    assert len(list(services.crashes.of_app(mac.app_id))) == 1


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", ""])
@pytest.mark.parametrize("way", ["/crash_v200.php", "/api/2/apps/{app}/crashes"])
def test_the_documents_way_is_answered_201_with_its_plist(
    services: Services, mac: App, kind: str, way: str
) -> None:
    path = way.format(app=mac.app_id)
    answer = request("POST", path, xml(), {"Content-Type": kind} if kind else None)
    assert answer.status == 201
    told = plistlib.loads(answer.body)
    assert (told["delay"], told["status"]) == (1000, -80)
    drain(services)
    assert services.crashes.report(int(told["id"])).app_id == mac.app_id


@pytest.mark.parametrize(
    "body", [b"", b"<crash>", b"no xml", xml(bundle="com.unknown"), xml(log="")]
)
@pytest.mark.parametrize("way", ["/crash_v200.php", "/api/2/apps/{app}/crashes"])
def test_a_refused_post_is_a_400_with_a_body_so_that_clients_give_up(
    services: Services, mac: App, body: bytes, way: str
) -> None:
    path = way.format(app=mac.app_id)
    answer = request("POST", path, body, {"Content-Type": "text/xml"})
    assert answer.status == 400
    assert answer.body
    assert services.queue.depth() == 0


def test_an_entity_bomb_is_refused(services: Services, mac: App) -> None:
    bomb = b'<!DOCTYPE crash [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><crash><log>&b;</log></crash>'
    assert request("POST", "/crash_v200.php", bomb, {"Content-Type": "text/xml"}).status == 400
    assert result(bomb) == -40
