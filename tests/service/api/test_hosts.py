"""Host names for requests without a key; `test_http` checks a real server."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from service.api.hosts import check_host_and_origin
from service.api.problems import ProblemError
from service.settings import Settings

ALLOWED = Settings(allowed_hosts="lab.example, Other.Example").allowed_hosts


def request_to(host: str, origin: str | None = None, address: str = "127.0.0.1") -> Request:
    headers = [(b"host", host.encode("latin-1"))]
    headers += [] if origin is None else [(b"origin", origin.encode("latin-1"))]
    return Request({"type": "http", "headers": headers, "server": (address, 8000)})


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "localhost.", "a.localhost", "127.0.0.1:8000", "127.8.8.8", "[::1]:8000", "[::1]", "",
     "server", "server:1", "lab.example", "LAB.example.:443", "other.example"],
)  # fmt: skip
def test_loopback_and_configured_names_are_allowed(host: str) -> None:
    check_host_and_origin(request_to(host), ALLOWED)
    check_host_and_origin(request_to("localhost", f"http://{host}"), ALLOWED)
    check_host_and_origin(request_to("localhost", f"https://{host}"), ALLOWED)


FOREIGN = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil-lab.example", "x.lab.example",
           "192.0.2.1", "[2001:db8::1]:80", "0.0.0.0", "localhost@evil.example", "a/b", "::1"]  # fmt: skip


@pytest.mark.parametrize("host", [*FOREIGN, "evil.example\t", "[::1", "localhost:x"])
def test_other_names_are_refused(host: str) -> None:
    with pytest.raises(ProblemError, match=r"host: got .*ARCHRANK_ALLOWED_HOSTS") as caught:
        check_host_and_origin(request_to(host), ALLOWED)
    assert caught.value.status == 421
    check_host_and_origin(request_to(host), frozenset({"*"}))


@pytest.mark.parametrize(
    "origin", ["null", "", "file://", "chrome-extension://abc", "localhost", "http://[::1", "ftp://a"]
)
def test_origins_that_are_not_http_pages_are_refused(origin: str) -> None:
    with pytest.raises(ProblemError, match="origin: got") as caught:
        check_host_and_origin(request_to("localhost", origin), ALLOWED)
    assert caught.value.status == 403


@pytest.mark.parametrize("host", FOREIGN[:8])
def test_origins_of_other_names_are_refused(host: str) -> None:
    with pytest.raises(ProblemError, match="origin: got"):
        check_host_and_origin(request_to("localhost", f"http://{host}"), ALLOWED)


def test_the_address_of_the_connection_is_allowed() -> None:
    check_host_and_origin(request_to("192.0.2.1:8000", address="192.0.2.1"), ALLOWED)
    check_host_and_origin(request_to("[2001:db8::1]", address="2001:db8::1"), ALLOWED)


@given(st.text(st.characters(max_codepoint=255)), st.none() | st.text(st.characters(max_codepoint=255)))
def test_any_text_is_allowed_or_refused(host: str, origin: str | None) -> None:
    with contextlib.suppress(ProblemError):
        check_host_and_origin(request_to(host, origin), ALLOWED)
