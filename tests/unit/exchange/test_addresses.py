"""Which addresses are this machine, and where a redirect may lead."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.exchange import Kind, is_this_machine, kind_of, kind_of_host, may_lead

v4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "ipfs.localhost", "a.b.c.localhost", "127.0.0.1", "127.9.9.9", "127.1", "0x7f.1"]
    + ["2130706433", "0.0.0.0", "0", "::1", "[::1]", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
    + ["::127.0.0.1", "ip6-localhost", "localhost.localdomain", socket.gethostname()],
)  # fmt: skip
def test_these_are_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    ["", None, "localhost.example", "notlocalhost", "127.0.0.1.example", "10.0.0.1", "8.8.8.8", "a..b", "1" * 400],
)
def test_these_are_not_this_machine(host: str | None) -> None:
    assert not is_this_machine(host)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.1.2.3", Kind.PRIVATE),
        ("172.16.0.1", Kind.PRIVATE),
        ("192.168.0.1", Kind.PRIVATE),
        ("100.64.0.1", Kind.PRIVATE),
        ("fd00::1", Kind.PRIVATE),
        ("fec0::1", Kind.PRIVATE),
        ("169.254.169.254", Kind.LINK),
        ("fe80::1%eth0", Kind.LINK),
        ("224.0.0.1", Kind.OTHER),
        ("ff02::1", Kind.OTHER),
        ("8.8.8.8", Kind.PUBLIC),
        ("2606:4700::1111", Kind.PUBLIC),
        ("64:ff9b::808:808", Kind.PUBLIC),
    ],
)
def test_every_address_is_of_a_kind(address: str, kind: Kind) -> None:
    assert kind_of(address) is kind


@given(v4)
def test_an_address_inside_another_is_of_its_own_kind(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) + number)
    translated = ipaddress.IPv6Address((0x64FF9B << 96) + number)
    by_6to4 = ipaddress.IPv6Address((0x2002 << 112) + (number << 80))
    assert {kind_of(str(form)) for form in (mapped, translated, by_6to4)} == {kind_of(str(address))}


@given(st.text(max_size=40))
def test_whatever_a_host_is_called_it_has_a_kind_or_is_a_name(host: str) -> None:
    assert kind_of_host(host) is None or isinstance(kind_of_host(host), Kind)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("http://127.0.0.1:8080/ipfs/Q", "http://cid.ipfs.localhost:8080/"),
        ("http://localhost:8080/", "http://127.0.0.1:9/"),
        ("https://ipfs.example/", "https://cid.ipfs.example/"),
        ("https://8.8.8.8/", "https://other.example/"),
        ("http://10.0.0.1/", "http://192.168.0.1/"),
    ],
)
def test_a_redirect_may_lead_to_the_same_kind_of_address(source: str, target: str) -> None:
    assert may_lead(source, target)


@pytest.mark.parametrize(
    "target",
    ["http://8.8.8.8/", "https://127.0.0.1/", "https://localhost/", "https://a.localhost/", "https://10.0.0.1/"]
    + ["https:", "https://0/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/"]
    + ["file:///etc/passwd", "https://", "//x", "https://[", "https://a:b:c/", "https://127.1/", "https://8.8.8.8:0/"],
)  # fmt: skip
def test_a_redirect_of_a_public_address_leads_nowhere_else(target: str) -> None:
    assert not may_lead("https://8.8.4.4/", target)


def test_a_redirect_of_this_machine_does_not_leave_it() -> None:
    assert not may_lead("http://localhost/", "http://10.0.0.1/")
    assert not may_lead("http://127.0.0.1/", "http://8.8.8.8/")
