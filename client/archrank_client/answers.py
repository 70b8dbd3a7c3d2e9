"""Answers as they come in: decoded piece by piece, bounded, and as the error that they stand for."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import ValidationError

from archrank_client.errors import (
    ArchrankError,
    ConnectionFailed,
    InvalidRequest,
    TimedOut,
    UnexpectedAnswer,
    kind_of,
)
from archrank_client.schemas import Problem

MAX_BYTES, MAX_ITEM_BYTES = 1 << 20, 1 << 16
"""Size of an answer, decoded: in all, and for each architecture, result or job that it is asked for."""
PIECE_BYTES = 1 << 16
"""Most that is decoded at once."""
GZIP = 16 + zlib.MAX_WBITS
"""Of `zlib.decompressobj`: only with gzip's header."""


class Decoder:
    """A body without its Content-Encoding. Raises `UnexpectedAnswer` for one that was not asked for."""

    def __init__(self, response: httpx.Response) -> None:
        # A transport that has read the body already has decoded it, too.
        coding = "" if response.is_stream_consumed else response.headers.get("Content-Encoding", "")
        coding = coding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise UnexpectedAnswer(f"the body is coded as {coding!r}; allowed: gzip")
        self._gzip = zlib.decompressobj(GZIP) if coding.endswith("gzip") else None
        self._begun = False

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """The next piece, never much at once. Raises `UnexpectedAnswer`."""
        if self._gzip is None:
            yield raw
            return
        piece = b""
        while raw or len(piece) == PIECE_BYTES:  # then zlib may hold more of it
            if self._gzip.eof:  # another member
                self._gzip = zlib.decompressobj(GZIP)
            try:
                piece = self._gzip.decompress(raw, PIECE_BYTES)
            except zlib.error as error:
                raise UnexpectedAnswer(f"the body is not gzip, as its header says: {error}") from error
            self._begun, raw = True, self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            yield piece

    def end(self) -> None:
        """Raises `UnexpectedAnswer` for a body that is cut off."""
        if self._gzip is not None and self._begun and not self._gzip.eof:
            raise UnexpectedAnswer("the body's gzip is cut off")


class Body:
    """A body that is read to its end, or to where it is too long.

    Of an answer that is an error anyway, a body that cannot be read is none.

    Args:
        response: whose body has not been read.
        items: number of architectures, results or jobs that it may hold.
    """

    def __init__(self, response: httpx.Response, items: int) -> None:
        self._response, self._most = response, MAX_BYTES + max(items, 0) * MAX_ITEM_BYTES
        self._content, self._decoder = bytearray(), None
        with self._lenient():
            self._decoder = Decoder(response)

    def add(self, raw: bytes) -> bool:
        """Take the next bytes, and return whether more are wanted. Raises `UnexpectedAnswer`."""
        if self._decoder is None:
            return False
        with self._lenient():
            for piece in self._decoder.pieces(raw):
                self._content += piece
                if len(self._content) > self._most:
                    raise UnexpectedAnswer(f"the body is longer than the {self._most} bytes that were to be expected")
        return self._decoder is not None

    def whole(self) -> httpx.Response:
        """The same answer with all of its body. Raises `UnexpectedAnswer`."""
        with self._lenient():
            if self._decoder is not None:
                self._decoder.end()
        old = self._response
        headers = [(name, value) for name, value in old.headers.raw if name.lower() not in _OF_TRANSFER]
        return httpx.Response(
            old.status_code,
            headers=headers,
            content=bytes(self._content),
            request=old.request,
            extensions={"reason_phrase": old.extensions.get("reason_phrase", b"")},
        )

    @contextmanager
    def _lenient(self) -> Iterator[None]:
        try:
            yield
        except UnexpectedAnswer as error:
            if self._response.is_success:
                raise _named(error, self._response) from error.__cause__
            self._content, self._decoder = bytearray(), None


_OF_TRANSFER = (b"content-encoding", b"content-length", b"transfer-encoding")


def error_of(response: httpx.Response) -> ArchrankError:
    """The error that an answer stands for."""
    status = response.status_code
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:  # a proxy's page, perhaps
        problem = None
    said = problem.detail or problem.title if problem is not None else response.reason_phrase
    request = f"{response.request.method} {response.request.url.path}"
    return kind_of(status)(
        f"{request} was answered {status}: {said}" if said else f"{request} was answered {status}",
        status=status,
        problem=problem,
        request_id=response.headers.get("X-Request-ID"),
        retry_after=retry_after(response.headers.get("Retry-After")),
    )


def unexpected(response: httpx.Response, fault: str) -> UnexpectedAnswer:
    """The error of an answer that says what it must not."""
    request = response.request
    message = f"{request.method} {request.url.path} was not answered as it should be: {fault}"
    return UnexpectedAnswer(message, status=response.status_code, request_id=response.headers.get("X-Request-ID"))


def _named(error: UnexpectedAnswer, response: httpx.Response) -> UnexpectedAnswer:
    return unexpected(response, str(error))


@contextmanager
def translated(request: str) -> Iterator[None]:
    """httpx's and asyncio's errors as ours.

    Args:
        request: method and URL, for the message.
    """
    try:
        yield
    except ArchrankError:  # which may be a TimeoutError, too
        raise
    except (httpx.ReadTimeout, TimeoutError) as error:
        raise TimedOut(f"{request}: no whole answer in time") from error
    except httpx.TimeoutException as error:
        raise TimedOut(f"{request}: {_said(error)}") from error
    except httpx.TransportError as error:
        raise ConnectionFailed(f"{request}: {_said(error)}") from error
    except httpx.RequestError as error:
        raise UnexpectedAnswer(f"{request}: {_said(error)}") from error
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"{request}: {_said(error)}") from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def retry_after(text: str | None) -> float | None:
    """Seconds from now; the header has them, or a date. None where it has neither."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):  # a date that no calendar has
        return None
