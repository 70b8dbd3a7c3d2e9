"""Whatever bytes come from a server: a right answer or an error of the client's own, in time, of bounded size."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from archrank_client import (
    APIConnectionError,
    APITimeoutError,
    ArchrankError,
    InvalidRequestError,
    OverloadedError,
    ServerError,
    UnexpectedResponseError,
)
from archrank_client.responses import MAX_BODY_BYTES, MAX_ITEM_BYTES

from tests.client.conftest import Make
from tests.client.hostile import Said, hostile, message

SPACES = json.dumps({"gcn-nas": {}}).encode()
JOB = "0" * 32
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW, PAUSE = 20, 0.05
"""Pieces of an answer, and seconds between two of them: in all longer than `TIMEOUT`, but never as long between two."""
TIMEOUT = 0.3


def job_card(total: int = 2, **changed: Any) -> dict[str, Any]:
    counts = {"total": total, "queued": 0, "running": 0, "done": total, "failed": 0}
    card = {"id": JOB, "kind": "scores", "state": "done", "counts": counts, "progress": 1}
    return card | {"created_at": "2026-01-01T00:00:00Z"} | changed


def results(positions: list[int], following: str | None = None) -> bytes:
    item = {"architecture": {}, "fingerprint": "f", "scores": {}}
    listed = [{"position": position, "result": item} for position in positions]
    return json.dumps({"results": listed, "next": following}).encode()


def gzipped(content: bytes, status: str = "200 OK", coding: str = "gzip") -> bytes:
    return message(gzip.compress(content), f"Content-Encoding: {coding}", status=status)


def asked(make: Make, *said: bytes | float, **settings: Any) -> Any:
    """The outcome of `spaces` for an answer."""
    with hostile(lambda path: said) as server:
        return make(server.url, **{"max_retry_time": 0, **settings}).spaces()


def dribbled(content: bytes) -> Said:
    """In so many pieces, slowly; the rest at once."""
    for i in range(SLOW):
        yield content[i : i + 1]
        yield PAUSE
    yield content[SLOW:]


DRIBBLES = {
    "status": [b"", message(SPACES, status="200 " + "OK" * SLOW)],
    "header": [b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"x" * SLOW + message(SPACES)[len("HTTP/1.1 200 OK") :]],
    "body": [message(b" " * SLOW + SPACES)[: -SLOW - len(SPACES)], b" " * SLOW + SPACES],
    "chunk extension": [CHUNKED, b"%x;" % len(SPACES) + b"x" * SLOW + b"\r\n" + SPACES + b"\r\n0\r\n\r\n"],
    "trailer": [CHUNKED + b"%x\r\n" % len(SPACES) + SPACES + b"\r\n0\r\n", b"X: " + b"x" * SLOW + b"\r\n\r\n"],
    "error's body": [b"HTTP/1.1 422 No\r\nContent-Length: 80\r\n\r\n", b" " * 80],
}


@pytest.mark.parametrize("where", DRIBBLES)
def test_the_timeout_is_that_of_the_whole_answer(make: Make, where: str) -> None:
    first, rest = DRIBBLES[where]
    with pytest.raises(APITimeoutError, match=r"GET http://127.0.0.1:[0-9]*/v1/spaces: no complete response in time"):
        asked(make, first, *dribbled(rest), timeout=TIMEOUT)


def test_so_slow_an_answer_is_right_where_there_is_time(make: Make) -> None:
    for where in ("body", "chunk extension"):
        first, rest = DRIBBLES[where]
        assert asked(make, first, *dribbled(rest)) == {"gcn-nas": {}}


def test_interim_answers_without_end(make: Make) -> None:
    def interim() -> Said:
        for _ in range(SLOW):
            yield b"HTTP/1.1 100 Continue\r\n\r\n"
            yield PAUSE
        yield message(SPACES)

    with pytest.raises(APITimeoutError):
        asked(make, *interim(), timeout=TIMEOUT)


def test_an_interruption_waits_for_no_answer_for_long(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archrank_client.transport.BEST_EFFORT_TIMEOUT_S", TIMEOUT)
    paths = []
    job = json.dumps(job_card(state="running")).encode()

    def answer(path: str) -> Said:
        paths.append(path)
        if path == "/v1/limits":
            return [message(b'{"max_architectures": 1}')]
        if "/results" in path:
            return [message(results([0], f"/v1/jobs/{JOB}/results?after=1"))]
        if path == "/v1/jobs":
            return [message(job, status="202 Accepted")]
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", *[b" ", PAUSE] * SLOW * 100]

    class Interruption(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        if done:
            raise Interruption

    with hostile(answer) as server, pytest.raises(Interruption):
        make(server.url, max_retry_time=0).score([{}, {"a": 1}], progress=interrupt)
    assert paths[-1] == f"/v1/jobs/{JOB}"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", APIConnectionError),
        (b"\x00" * 100, APIConnectionError),
        (b"<html>hello</html>\r\n\r\n", APIConnectionError),
        (b"HTTP/1.1 abc OK\r\n\r\n", APIConnectionError),
        (b"HTTP/1.1 99 OK\r\n\r\n", APIConnectionError),
        (b"HTTP/9.9 200 OK\r\n\r\n", (APIConnectionError, UnexpectedResponseError)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", APIConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n", APIConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + SPACES, APIConnectionError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + SPACES, APIConnectionError),
        (CHUNKED + b"zz\r\n" + SPACES, APIConnectionError),
        (CHUNKED + b"%x\r\n" % len(SPACES) + SPACES, APIConnectionError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, APIConnectionError),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + b"x" * 100,
            (APIConnectionError, UnexpectedResponseError),
        ),
        (message(SPACES[:5]), UnexpectedResponseError),
        (message(b""), UnexpectedResponseError),
        (message(b"", status="204 No Content"), UnexpectedResponseError),
        (message(b"<html>Welcome</html>", "Content-Type: text/html"), UnexpectedResponseError),
        (message(b"\xff\xfe" + SPACES), UnexpectedResponseError),
        (message(SPACES, status="304 Not Modified"), UnexpectedResponseError),
        (message(SPACES, "Content-Encoding: br"), UnexpectedResponseError),
        (message(SPACES, "Content-Encoding: deflate"), UnexpectedResponseError),
        (message(SPACES, "Content-Encoding: zstd"), UnexpectedResponseError),
        (message(SPACES, "Content-Encoding: gzip"), UnexpectedResponseError),
        (gzipped(gzip.compress(SPACES), coding="gzip, gzip"), UnexpectedResponseError),
        (message(gzip.compress(SPACES)[:-9], "Content-Encoding: gzip"), UnexpectedResponseError),
        (message(b"<html>Busy</html>", "Content-Encoding: br", status="503 Busy"), OverloadedError),
        (message(b"not gzip", "Content-Encoding: gzip", status="503 Busy"), OverloadedError),
        (message(b"", status="600 Odd"), ServerError),
        (message(b"", status="999 Odd"), ServerError),
        (message(b'{"status": 1' + b"0" * 5000 + b"}", status="422 No"), InvalidRequestError),
        (message(b"[" * 100_000, status="422 No"), InvalidRequestError),
        *[
            (message(b"", f"Location: {place}", status="302 Found"), (UnexpectedResponseError, APIConnectionError))
            for place in (
                "",
                "/v1/spaces",
                "http://[",
                "//",
                "http://elsewhere:999999/",
                "x" * 70_000,
                "\x7f",
                "ü",
                "?#",
            )
        ],
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else None,
)
def test_what_is_no_answer_is_an_error(make: Make, said: bytes, error: Any) -> None:
    with pytest.raises(error) as caught:
        asked(make, said)
    assert isinstance(caught.value, ArchrankError)
    assert str(caught.value).isprintable()


def test_a_body_may_be_gzip(make: Make) -> None:
    for coding in ("gzip", "X-GZIP"):
        assert asked(make, gzipped(SPACES, coding=coding)) == {"gcn-nas": {}}
    members = gzip.compress(SPACES[:7]) + gzip.compress(b"") + gzip.compress(SPACES[7:])
    head = message(members, "Content-Encoding: gzip")
    assert asked(make, *(head[i : i + 1] for i in range(len(head)))) == {"gcn-nas": {}}


def bomb(size: int) -> bytes:
    """A long body, as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.parametrize("status", ["200 OK", "503 Busy"])
@pytest.mark.parametrize("coding", ["gzip", "identity", "chunked"])
def test_a_body_is_read_to_its_bound(make: Make, status: str, coding: str) -> None:
    """Bytes sent are as many as were taken, give or take the buffers: unread ones fill them."""
    sent = 0

    def answer(path: str) -> Iterator[bytes]:
        nonlocal sent
        yield f"HTTP/1.1 {status}\r\n".encode()
        if coding == "gzip":
            yield b"Content-Encoding: gzip\r\n\r\n"
            yield bomb(64 << 20)
            return
        yield b"Transfer-Encoding: chunked\r\n\r\n" if coding == "chunked" else b"\r\n"
        block = b" " * (1 << 16)
        piece = b"10000\r\n" + block + b"\r\n" if coding == "chunked" else block
        for _ in range(4096):
            yield piece
            sent += len(piece)

    with (
        hostile(answer) as server,
        pytest.raises(UnexpectedResponseError if status == "200 OK" else OverloadedError) as caught,
    ):
        make(server.url, max_retry_time=0).spaces()
    assert sent < 128 << 20
    if status == "200 OK":
        assert f"the body is longer than the allowed {MAX_BODY_BYTES} bytes" in str(caught.value)


def test_a_body_may_be_as_long_as_what_was_asked_for(make: Make) -> None:
    names = [{"name": f"{i}"} for i in range(200)]
    item = {"architecture": {}, "fingerprint": "f" * (MAX_ITEM_BYTES - 200), "scores": {}}
    content = json.dumps({"scores": [item] * len(names)}).encode()
    assert len(content) > 8 * MAX_BODY_BYTES

    def answer(path: str) -> Said:
        limits = json.dumps({"max_architectures": len(names)}).encode()
        return [message(limits) if path == "/v1/limits" else gzipped(content)]

    with hostile(answer) as server:
        client = make(server.url, max_retry_time=0)
        assert len(client.score(names)) == len(names)
        with pytest.raises(UnexpectedResponseError, match="the body is longer"):
            client.score(names[:1])


def test_cookies_are_not_kept(make: Make) -> None:
    with hostile(lambda path: [message(SPACES, "Set-Cookie: a=b", "Set-Cookie: c=d; Path=/")]) as server:
        client = make(server.url, max_retry_time=0)
        client.spaces()
        client.spaces()
    assert len(server.heads) == 2
    assert "cookie" not in "".join(server.heads).lower()


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


class OneJob:
    """A job whose result is there at the second look, and what its events say; later connections to them fail."""

    def __init__(self, *events: bytes | float) -> None:
        self._events: list[Said] = [events]
        self.looks, self.after = 0, list[str]()

    def __call__(self, path: str) -> Said:
        if path.endswith("/events"):
            yield from self._events.pop() if self._events else [message(b"", status="503 Busy")]
            self.after.append("events ended")
        elif "/results" in path:
            self.looks += 1
            self.after.append("look")
            yield message(results([0]) if self.looks > 1 else results([], f"/v1/jobs/{JOB}/results?after=0"))
        else:
            yield message(json.dumps(job_card(1)).encode() if "/jobs/" in path else b"{}")


BEATS = [b": still here\n\n", PAUSE] * SLOW
ENDED = b'id: 1\nevent: item\ndata: {"completion": 1}\n\n'


def test_a_stream_may_take_longer_than_an_answer(make: Make) -> None:
    job = OneJob(EVENTS + b"\r\n", *BEATS, ENDED, *BEATS)
    with hostile(job) as server:
        assert len(make(server.url, max_retry_time=0, timeout=TIMEOUT).job(JOB).results()) == 1
    assert job.after == ["look", "look"]  # the second after the event, before the stream ended


@pytest.mark.parametrize("beat", [b": still here\n\n", b"x", b'event: item\ndata: {"completion": 0}\n\n'])
def test_what_events_do_not_tell_of_is_looked_for(make: Make, monkeypatch: pytest.MonkeyPatch, beat: bytes) -> None:
    monkeypatch.setattr("archrank_client.events.MAX_EVENT_WAIT_S", TIMEOUT)
    job = OneJob(EVENTS + b"\r\n", *[beat, PAUSE] * 20 * SLOW)
    with hostile(job) as server:
        assert len(make(server.url, max_retry_time=0).job(JOB).results()) == 1
    assert job.after == ["look", "look"]


@pytest.mark.parametrize(
    "start",
    [
        EVENTS,
        EVENTS + b"Transfer-Encoding: chunked\r\n\r\n1;",
        EVENTS.replace(b"200 OK", b"503 Busy") + b"Content-Length: 100000\r\n\r\n",
    ],
    ids=["headers", "chunk extension", "error's body"],
)
def test_a_stream_that_gives_nothing_is_left(make: Make, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr("archrank_client.transport.STREAM_IDLE_TIMEOUT_S", TIMEOUT)
    job = OneJob(start, *[b"x", PAUSE] * 20 * SLOW)
    with hostile(job) as server:
        assert len(make(server.url, max_retry_time=0).job(JOB).results()) == 1
    assert job.after[:2] == ["look", "look"]


def test_a_stream_may_be_gzip_but_no_bomb(make: Make) -> None:
    head = EVENTS + b"Content-Encoding: gzip\r\n\r\n"
    for content, kind in ((gzip.compress(ENDED), None), (bomb(64 << 20), UnexpectedResponseError)):
        with hostile(OneJob(head, content)) as server:
            job = make(server.url, max_retry_time=0).job(JOB)
            if kind is None:
                assert len(job.results()) == 1
            else:
                with pytest.raises(kind, match="a line is longer than"):
                    job.results()
