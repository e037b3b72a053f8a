"""Links of our own: good for one path until they expire, whichever process looks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

import pytest

from chalicelib.bootstrap import Services
from chalicelib.links import Links
from chalicelib.storage.ports import InvalidSignature

PATH = "/service/crash_report/7/minidump"


def query_of(link: str) -> dict[str, str]:
    return dict(parse_qsl(link.partition("?")[2]))


def test_a_link_opens_its_path_in_every_process(services: Services) -> None:
    link = Links(services.table).signed(PATH, expires_in_s=60)
    assert link.startswith(f"{PATH}?expires=")
    Links(services.table).check(PATH, query_of(link))


def test_processes_that_start_at_once_share_one_secret(services: Services) -> None:
    def link(_: int) -> str:
        return Links(services.table, clock=lambda: 0.0).signed(PATH, expires_in_s=60)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(link, range(8)))) == 1


def test_a_link_ends_when_it_says(services: Services) -> None:
    now = [1000.0]
    links = Links(services.table, clock=lambda: now[0])
    query = query_of(links.signed(PATH, expires_in_s=60))
    now[0] = 1059.9
    links.check(PATH, query)
    now[0] = 1060.0
    with pytest.raises(InvalidSignature, match="expired"):
        links.check(PATH, query)


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/service/crash_report/8/minidump", {}),
        ("/service/crash_report/7/archive", {}),
        (PATH, {"expires": "99999999999"}),
        (PATH, {"expires": "9" * 5000}),
        (PATH, {"expires": ""}),
        (PATH, {"expires": "x"}),
        (PATH, {"signature": ""}),
        (PATH, {"signature": "0" * 64}),
        (PATH, {"signature": "é\ud800"}),
    ],
)
def test_a_changed_link_opens_nothing(
    services: Services, path: str, changed: dict[str, str]
) -> None:
    query = query_of(services.links.signed(PATH, expires_in_s=60))
    with pytest.raises(InvalidSignature, match="changed"):
        services.links.check(path, query | changed)
    with pytest.raises(InvalidSignature):
        services.links.check(path, {})
