"""QuincyKit's clients: self-hosted and hosted, and the feedback that they ask for."""

from __future__ import annotations

import plistlib
import re

from tests.blackbox.client import Client
from tests.blackbox.conftest import App, GroupOf
from tests.blackbox.crashes import PACKAGE
from tests.blackbox.target import Target
from tests.minidump_forms import Part

_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<crash><applicationname>Blackbox</applicationname><bundleidentifier>{bundle}</bundleidentifier>
<systemversion>10.6.8</systemversion><senderversion>2</senderversion><version>2</version>
<platform>MacBookPro5,3</platform><userid/><contact/>
<description><![CDATA[said {word}]]></description><log><![CDATA[
Process:         Blackbox [42]
Identifier:      {bundle}
Version:         2
Code Type:       X86-64
OS Version:      Mac OS X 10.6.8 (10K549)
Exception Type:  SIGSEGV
Exception Codes: SEGV_MAPERR at 0x8
Crashed Thread:  0

Thread 0 Crashed:
0   Blackbox                            0x000000010000115a -[{word} fail:] + 42
1   Blackbox                            0x000000010000215a -[{word} call:] + 42
]]></log></crash>
"""


def _xml(word: str, bundle: str = PACKAGE) -> str:
    return _XML.format(word=word, bundle=bundle)


def test_the_self_hosted_clients_get_a_result_code(
    service: Target, anyone: Client, word: str, group_of: GroupOf
) -> None:
    assert service.crashbucket  # which made the app with its bundle identifier
    for path in ("/crash_v200.php", "/crash_v300.php"):
        answer = anyone.post_form(path, [Part("xmlstring", _xml(word))])
        assert answer.status == 200
        assert re.search(r"<result>-?\d+</result>", answer.text)
    unknown = anyone.post_form("/crash_v200.php", [Part("xmlstring", _xml(word, "com.unknown"))])
    assert "<result>-2</result>" in unknown.text
    assert word in str(group_of(word))


def test_the_hosted_client_posts_xml_and_asks_for_feedback(
    anyone: Client, app: App, word: str, group_of: GroupOf
) -> None:
    body = _xml(word).encode()
    answer = anyone.send("POST", f"{app.path}/crashes", body, {"Content-Type": "text/xml"})
    assert answer.status == 201
    told = plistlib.loads(answer.body)
    assert int(told["delay"]) > 0
    group_of(word)
    asked = anyone.get(f"{app.path}/crashes/{told['id']}")
    assert (asked.status, int(plistlib.loads(asked.body)["status"])) == (200, 0)
