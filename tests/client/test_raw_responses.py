"""Any bytes from a server lead to a valid result or an error of the client, in bounded time and memory."""

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

from tests.client.conftest import MakeClient
from tests.client.raw_server import Chunks, http_response, raw_server

SPACES = json.dumps({"gcn-nas": {}}).encode()
JOB = "0" * 32
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
N_CHUNKS, PAUSE_S = 20, 0.05
"""Number of chunks, and seconds between two of them: in all more than `TIMEOUT_S`, each pause less."""
TIMEOUT_S = 0.3


def job_status(total: int = 2, **changes: Any) -> dict[str, Any]:
    counts = {"total": total, "queued": 0, "running": 0, "done": total, "failed": 0}
    status = {"id": JOB, "kind": "scores", "state": "done", "counts": counts, "progress": 1}
    return status | {"created_at": "2026-01-01T00:00:00Z"} | changes


def results_page(positions: list[int], next_path: str | None = None) -> bytes:
    item = {"architecture": {}, "fingerprint": "f", "scores": {}}
    items = [{"position": position, "result": item} for position in positions]
    return json.dumps({"results": items, "next": next_path}).encode()


def gzip_response(content: bytes, status: str = "200 OK", encoding: str = "gzip") -> bytes:
    return http_response(gzip.compress(content), f"Content-Encoding: {encoding}", status=status)


def request_spaces(make_client: MakeClient, *chunks: bytes | float, **settings: Any) -> Any:
    """Return the result of `spaces` for these bytes."""
    with raw_server(lambda path: chunks) as server:
        return make_client(server.url, **{"max_retry_time": 0, **settings}).spaces()


def with_pauses(chunk: bytes, n: int) -> list[bytes | float]:
    """Return a chunk repeated `n` times, with a pause after each."""
    return [chunk, PAUSE_S] * n


def dribble(content: bytes) -> Chunks:
    """Yield `N_CHUNKS` bytes slowly, then the rest at once."""
    for i in range(N_CHUNKS):
        yield content[i : i + 1]
        yield PAUSE_S
    yield content[N_CHUNKS:]


DRIBBLES = {
    "status": [b"", http_response(SPACES, status="200 " + "OK" * N_CHUNKS)],
    "header": [b"HTTP/1.1 200 OK\r\n", b"X-Long: " + b"x" * N_CHUNKS + http_response(SPACES)[len("HTTP/1.1 200 OK") :]],
    "body": [http_response(b" " * N_CHUNKS + SPACES)[: -N_CHUNKS - len(SPACES)], b" " * N_CHUNKS + SPACES],
    "chunk extension": [CHUNKED, b"%x;" % len(SPACES) + b"x" * N_CHUNKS + b"\r\n" + SPACES + b"\r\n0\r\n\r\n"],
    "trailer": [CHUNKED + b"%x\r\n" % len(SPACES) + SPACES + b"\r\n0\r\n", b"X: " + b"x" * N_CHUNKS + b"\r\n\r\n"],
    "error's body": [b"HTTP/1.1 422 No\r\nContent-Length: 80\r\n\r\n", b" " * 80],
}


@pytest.mark.parametrize("where", DRIBBLES)
def test_the_timeout_is_of_the_whole_response(make_client: MakeClient, where: str) -> None:
    first, rest = DRIBBLES[where]
    with pytest.raises(APITimeoutError, match=r"GET http://127.0.0.1:[0-9]*/v1/spaces: no complete response in time"):
        request_spaces(make_client, first, *dribble(rest), timeout=TIMEOUT_S)


def test_a_slow_response_is_read_within_the_timeout(make_client: MakeClient) -> None:
    for where in ("body", "chunk extension"):
        first, rest = DRIBBLES[where]
        assert request_spaces(make_client, first, *dribble(rest)) == {"gcn-nas": {}}


def test_endless_interim_responses(make_client: MakeClient) -> None:
    def interim() -> Chunks:
        for _ in range(N_CHUNKS):
            yield b"HTTP/1.1 100 Continue\r\n\r\n"
            yield PAUSE_S
        yield http_response(SPACES)

    with pytest.raises(APITimeoutError):
        request_spaces(make_client, *interim(), timeout=TIMEOUT_S)


def test_an_interruption_waits_for_the_cancellation_only_briefly(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archrank_client.transport.BEST_EFFORT_TIMEOUT_S", TIMEOUT_S)
    paths = []
    job = json.dumps(job_status(state="running")).encode()

    def respond(path: str) -> Chunks:
        paths.append(path)
        if path == "/v1/limits":
            return [http_response(b'{"max_architectures": 1}')]
        if "/results" in path:
            return [http_response(results_page([0], f"/v1/jobs/{JOB}/results?after=1"))]
        if path == "/v1/jobs":
            return [http_response(job, status="202 Accepted")]
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", *with_pauses(b" ", 100 * N_CHUNKS)]

    class Interruption(BaseException):
        pass

    def interrupt(done: int, total: int) -> None:
        if done:
            raise Interruption

    with raw_server(respond) as server, pytest.raises(Interruption):
        make_client(server.url, max_retry_time=0).score([{}, {"a": 1}], progress=interrupt)
    assert paths[-1] == f"/v1/jobs/{JOB}"


@pytest.mark.parametrize(
    ("content", "error"),
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
        (http_response(SPACES[:5]), UnexpectedResponseError),
        (http_response(b""), UnexpectedResponseError),
        (http_response(b"", status="204 No Content"), UnexpectedResponseError),
        (http_response(b"<html>Welcome</html>", "Content-Type: text/html"), UnexpectedResponseError),
        (http_response(b"\xff\xfe" + SPACES), UnexpectedResponseError),
        (http_response(SPACES, status="304 Not Modified"), UnexpectedResponseError),
        (http_response(SPACES, "Content-Encoding: br"), UnexpectedResponseError),
        (http_response(SPACES, "Content-Encoding: deflate"), UnexpectedResponseError),
        (http_response(SPACES, "Content-Encoding: zstd"), UnexpectedResponseError),
        (http_response(SPACES, "Content-Encoding: gzip"), UnexpectedResponseError),
        (gzip_response(gzip.compress(SPACES), encoding="gzip, gzip"), UnexpectedResponseError),
        (http_response(gzip.compress(SPACES)[:-9], "Content-Encoding: gzip"), UnexpectedResponseError),
        (http_response(b"<html>Busy</html>", "Content-Encoding: br", status="503 Busy"), OverloadedError),
        (http_response(b"not gzip", "Content-Encoding: gzip", status="503 Busy"), OverloadedError),
        (http_response(b"", status="600 Odd"), ServerError),
        (http_response(b"", status="999 Odd"), ServerError),
        (http_response(b'{"status": 1' + b"0" * 5000 + b"}", status="422 No"), InvalidRequestError),
        (http_response(b"[" * 100_000, status="422 No"), InvalidRequestError),
        *[
            (
                http_response(b"", f"Location: {place}", status="302 Found"),
                (UnexpectedResponseError, APIConnectionError),
            )
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
def test_invalid_responses_are_errors(make_client: MakeClient, content: bytes, error: Any) -> None:
    with pytest.raises(error) as caught:
        request_spaces(make_client, content)
    assert isinstance(caught.value, ArchrankError)
    assert str(caught.value).isprintable()


def test_a_body_may_be_gzip(make_client: MakeClient) -> None:
    for encoding in ("gzip", "X-GZIP"):
        assert request_spaces(make_client, gzip_response(SPACES, encoding=encoding)) == {"gcn-nas": {}}
    members = gzip.compress(SPACES[:7]) + gzip.compress(b"") + gzip.compress(SPACES[7:])
    head = http_response(members, "Content-Encoding: gzip")
    assert request_spaces(make_client, *(head[i : i + 1] for i in range(len(head)))) == {"gcn-nas": {}}


def bomb(size: int) -> bytes:
    """Return a long body, compressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.parametrize("status", ["200 OK", "503 Busy"])
@pytest.mark.parametrize("encoding", ["gzip", "identity", "chunked"])
def test_a_body_is_bounded(make_client: MakeClient, status: str, encoding: str) -> None:
    """The client reads no more than the bound: the rest stays in the buffers of the connection."""
    sent = 0

    def respond(path: str) -> Iterator[bytes]:
        nonlocal sent
        yield f"HTTP/1.1 {status}\r\n".encode()
        if encoding == "gzip":
            yield b"Content-Encoding: gzip\r\n\r\n"
            yield bomb(64 << 20)
            return
        yield b"Transfer-Encoding: chunked\r\n\r\n" if encoding == "chunked" else b"\r\n"
        block = b" " * (1 << 16)
        chunk = b"10000\r\n" + block + b"\r\n" if encoding == "chunked" else block
        for _ in range(4096):
            yield chunk
            sent += len(chunk)

    with (
        raw_server(respond) as server,
        pytest.raises(UnexpectedResponseError if status == "200 OK" else OverloadedError) as caught,
    ):
        make_client(server.url, max_retry_time=0).spaces()
    assert sent < 128 << 20
    if status == "200 OK":
        assert f"the body is longer than the allowed {MAX_BODY_BYTES} bytes" in str(caught.value)


def test_the_bound_grows_with_the_number_of_architectures(make_client: MakeClient) -> None:
    names = [{"name": f"{i}"} for i in range(200)]
    item = {"architecture": {}, "fingerprint": "f" * (MAX_ITEM_BYTES - 200), "scores": {}}
    content = json.dumps({"scores": [item] * len(names)}).encode()
    assert len(content) > 8 * MAX_BODY_BYTES

    def respond(path: str) -> Chunks:
        limits = json.dumps({"max_architectures": len(names)}).encode()
        return [http_response(limits) if path == "/v1/limits" else gzip_response(content)]

    with raw_server(respond) as server:
        client = make_client(server.url, max_retry_time=0)
        assert len(client.score(names)) == len(names)
        with pytest.raises(UnexpectedResponseError, match="the body is longer"):
            client.score(names[:1])


def test_cookies_are_not_kept(make_client: MakeClient) -> None:
    with raw_server(lambda path: [http_response(SPACES, "Set-Cookie: a=b", "Set-Cookie: c=d; Path=/")]) as server:
        client = make_client(server.url, max_retry_time=0)
        client.spaces()
        client.spaces()
    assert len(server.heads) == 2
    assert "cookie" not in "".join(server.heads).lower()


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


class JobResponses:
    """Responses of a server whose job has its result at the second poll.

    Args:
        events: bytes and pauses of the first stream; later streams fail.

    Attributes:
        log: polls and ends of streams, in order.
    """

    def __init__(self, *events: bytes | float) -> None:
        self._streams: list[Chunks] = [events]
        self.n_polls, self.log = 0, list[str]()

    def __call__(self, path: str) -> Chunks:
        if path.partition("?")[0].endswith("/events"):
            yield from self._streams.pop() if self._streams else [http_response(b"", status="503 Busy")]
            self.log.append("stream ended")
        elif "/results" in path:
            self.n_polls += 1
            self.log.append("poll")
            yield http_response(
                results_page([0]) if self.n_polls > 1 else results_page([], f"/v1/jobs/{JOB}/results?after=0")
            )
        else:
            yield http_response(json.dumps(job_status(1)).encode() if "/jobs/" in path else b"{}")


COMMENTS = with_pauses(b": keep-alive\n\n", N_CHUNKS)
FINAL_EVENT = b'id: 1\nevent: item\ndata: {"completion": 1}\n\n'


def test_a_stream_may_take_longer_than_a_response(make_client: MakeClient) -> None:
    timeout = N_CHUNKS * PAUSE_S
    job = JobResponses(EVENTS + b"\r\n", *COMMENTS, *COMMENTS, FINAL_EVENT, *COMMENTS)
    with raw_server(job) as server:
        assert len(make_client(server.url, max_retry_time=0, timeout=timeout).job(JOB).results()) == 1
    assert job.log == ["poll", "poll"]  # the second after the event, before the end of the stream


@pytest.mark.parametrize("chunk", [b": keep-alive\n\n", b"x", b'event: item\ndata: {"completion": 0}\n\n'])
def test_a_stream_without_progress_is_supplemented_by_polling(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, chunk: bytes
) -> None:
    monkeypatch.setattr("archrank_client.events.MAX_EVENT_WAIT_S", TIMEOUT_S)
    job = JobResponses(EVENTS + b"\r\n", *with_pauses(chunk, 20 * N_CHUNKS))
    with raw_server(job) as server:
        assert len(make_client(server.url, max_retry_time=0).job(JOB).results()) == 1
    assert job.log == ["poll", "poll"]


@pytest.mark.parametrize(
    "start",
    [
        EVENTS,
        EVENTS + b"Transfer-Encoding: chunked\r\n\r\n1;",
        EVENTS.replace(b"200 OK", b"503 Busy") + b"Content-Length: 100000\r\n\r\n",
    ],
    ids=["headers", "chunk extension", "error's body"],
)
def test_a_silent_stream_is_closed(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr("archrank_client.transport.STREAM_IDLE_TIMEOUT_S", TIMEOUT_S)
    job = JobResponses(start, *with_pauses(b"x", 20 * N_CHUNKS))
    with raw_server(job) as server:
        assert len(make_client(server.url, max_retry_time=0).job(JOB).results()) == 1
    assert job.log[:2] == ["poll", "poll"]


def test_a_stream_may_be_gzip_within_bounds(make_client: MakeClient) -> None:
    head = EVENTS + b"Content-Encoding: gzip\r\n\r\n"
    for content, error in ((gzip.compress(FINAL_EVENT), None), (bomb(64 << 20), UnexpectedResponseError)):
        with raw_server(JobResponses(head, content)) as server:
            job = make_client(server.url, max_retry_time=0).job(JOB)
            if error is None:
                assert len(job.results()) == 1
            else:
                with pytest.raises(error, match="a line is longer than"):
                    job.results()
