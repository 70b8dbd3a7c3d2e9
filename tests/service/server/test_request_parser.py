"""Parser of requests: independent of how the bytes arrive, and no body is ever parsed as a request."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.server.request_parser import RejectedRequestError, RequestParser
from tests.fuzz.http_head import BODIES, GET, LINES, POST, UPGRADES, Recorder, check

EXAMPLES = settings(max_examples=300)
PIECES = st.sampled_from([POST, GET, *BODIES, *UPGRADES, *LINES])


def read(*parts: bytes) -> list[list[Any]]:
    recorder = Recorder()
    parser = RequestParser(recorder)
    for part in parts:
        parser.feed_data(part)
    return recorder.requests


@pytest.mark.parametrize("upgrade", [b"", *UPGRADES])
@pytest.mark.parametrize("body", BODIES)
def test_an_upgrade_changes_nothing(upgrade: bytes, body: bytes) -> None:
    data = (POST + upgrade + body) * 2 + GET
    requests = read(data)
    assert [[url, content, whole] for url, _, content, whole in requests] == [[b"/a", b"body", True]] * 2 + [
        [b"/b", b"", True]
    ]
    assert not {name for _, names, _, _ in requests for name in names} & {b"upgrade", b"t"}
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == requests
    assert read(*(bytes([byte]) for byte in data)) == requests


def test_a_request_behind_an_upgrade_without_a_body_is_one() -> None:
    head = b"GET /a HTTP/1.1\r\nHost: localhost\r\n" + UPGRADES[1] + b"\r\n"
    assert [url for url, *_ in read(head + GET)] == [b"/a", b"/b"]


def test_what_follows_the_last_request_is_dropped() -> None:
    assert [url for url, *_ in read(POST + b"Connection: close\r\nContent-Length: 1\r\n\r\nx" + GET)] == [b"/a"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_heads_that_are_refused(head: bytes, status: int) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        read(head)
    assert caught.value.status.startswith(f"{status} ")


@pytest.mark.parametrize("host", [b"", b"a", b"a.b-c_d:80", b"127.0.0.1:", b"[::1]:8000", b"%C3%A9.example"])
def test_hosts_that_are_taken(host: bytes) -> None:
    assert len(read(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host)) == 1


@EXAMPLES
@given(st.lists(PIECES | st.binary(max_size=4), max_size=8).map(b"".join), st.lists(st.integers(0, 400), max_size=4))
def test_any_bytes_are_the_same_however_they_arrive(data: bytes, cuts: list[int]) -> None:
    check(data, cuts)
