"""Where webhooks may lead."""

from __future__ import annotations

import pytest

from chalicelib.alerts.addresses import Place, WrongAddress, addresses, check, is_public, parsed


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # the metadata of EC2
        "169.254.170.2",  # the credentials of a container
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "239.1.1.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "64:ff9b::7f00:1",  # NAT64 of the same
        "64:ff9b:1::7f00:1",
    ],
)
def test_an_address_that_is_not_on_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]:9001/2018-06-01/runtime",
        "http://[::ffff:169.254.169.254]/latest/meta-data",
        "https://localhost/",
        "https://hooks.localhost:8443/",
    ],
)
def test_this_machine_is_refused_however_it_is_written_and_the_setting_is_named(url: str) -> None:
    with pytest.raises(WrongAddress, match="CRASHBUCKET_ALLOW_PRIVATE_WEBHOOKS=1"):
        check(url, allow_private=False)
    check(url, allow_private=True)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "1 to 2000"),
        ("https://example.com/" + "x" * 2000, "1 to 2000"),
        ("https://example.com/a b", "without spaces"),
        ("https://example.com/\r\nX-Other: 1", "without spaces"),
        ("https://exämple.com/", "ASCII"),
        ("ftp://example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https:///nowhere", "https://"),
        ("example.com/hook", "https://"),
        ("https://user:secret@example.com/", "credentials"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com:99999/", "no URL"),
        ("https://[::1/", "no URL"),
    ],
)
def test_what_is_no_url_of_a_webhook_is_refused_with_the_reason(url: str, told: str) -> None:
    with pytest.raises(WrongAddress, match=told):
        check(url, allow_private=True)


def test_a_url_has_its_parts() -> None:
    assert parsed("https://hooks.example.com/a?b=c") == Place(
        "https", "hooks.example.com", 443, "hooks.example.com", "/a?b=c"
    )
    assert parsed("http://[2606:2800::1]:8080") == Place(
        "http", "2606:2800::1", 8080, "[2606:2800::1]:8080", "/"
    )


def test_the_addresses_of_a_host_are_those_it_has_now() -> None:
    place = parsed("http://93.184.216.34/")
    assert addresses(place, allow_private=False) == ["93.184.216.34"]
    with pytest.raises(WrongAddress, match=r"localhost leads to \S+, which is no public address"):
        addresses(parsed("http://localhost/"), allow_private=False)
