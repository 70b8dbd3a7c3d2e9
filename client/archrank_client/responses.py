"""Responses: bounded decoding of their bodies, and the errors that they stand for."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import ValidationError

from archrank_client.errors import (
    APIConnectionError,
    APITimeoutError,
    ArchrankError,
    InvalidRequestError,
    UnexpectedResponseError,
    error_class,
)
from archrank_client.schemas import Problem

MAX_BODY_BYTES, MAX_ITEM_BYTES = 1 << 20, 1 << 16
"""Size of a decoded body: in all, and in addition for each requested architecture, result or job."""
DECODED_CHUNK_BYTES = 1 << 16
"""Largest chunk that is decoded at once."""
GZIP_WBITS = 16 + zlib.MAX_WBITS
"""Argument of `zlib.decompressobj`: gzip's header alone is accepted."""
_TRANSFER_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")


class Decoder:
    """Incremental decoder of a body's Content-Encoding.

    Raises:
        UnexpectedResponseError: the encoding was not requested.
    """

    def __init__(self, response: httpx.Response) -> None:
        # A transport that has read the body has decoded it, too.
        encoding = "" if response.is_stream_consumed else response.headers.get("Content-Encoding", "")
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise UnexpectedResponseError(f"the body is encoded as {encoding!r}; allowed: gzip")
        self._gzip = zlib.decompressobj(GZIP_WBITS) if encoding.endswith("gzip") else None
        self._begun = False

    def decode(self, raw: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes in chunks of at most `DECODED_CHUNK_BYTES`.

        Raises:
            UnexpectedResponseError: the body is not gzip.
        """
        if self._gzip is None:
            yield raw
            return
        chunk = b""
        while raw or len(chunk) == DECODED_CHUNK_BYTES:  # zlib may hold more of it
            if self._gzip.eof:  # another member follows
                self._gzip = zlib.decompressobj(GZIP_WBITS)
            try:
                chunk = self._gzip.decompress(raw, DECODED_CHUNK_BYTES)
            except zlib.error as error:
                raise UnexpectedResponseError(f"the body is not gzip, as its header says: {error}") from error
            self._begun, raw = True, self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            yield chunk

    def finish(self) -> None:
        """Check the end of the body.

        Raises:
            UnexpectedResponseError: the body is truncated.
        """
        if self._gzip is not None and self._begun and not self._gzip.eof:
            raise UnexpectedResponseError("the body's gzip is truncated")


class BoundedBody:
    """Body that is read to its end, or to the largest allowed size.

    An unreadable body of an error response counts as empty: the status says enough.

    Args:
        response: response whose body has not been read.
        items: number of architectures, results or jobs that the body may hold.
    """

    def __init__(self, response: httpx.Response, items: int) -> None:
        self._response, self._max_bytes = response, MAX_BODY_BYTES + max(items, 0) * MAX_ITEM_BYTES
        self._content, self._decoder = bytearray(), None
        with self._lenient_for_errors():
            self._decoder = Decoder(response)

    def add(self, raw: bytes) -> bool:
        """Add the next bytes.

        Returns:
            True if more bytes are wanted.

        Raises:
            UnexpectedResponseError: the body is too long or cannot be decoded.
        """
        if self._decoder is None:
            return False
        with self._lenient_for_errors():
            for chunk in self._decoder.decode(raw):
                self._content += chunk
                if len(self._content) > self._max_bytes:
                    raise UnexpectedResponseError(f"the body is longer than the allowed {self._max_bytes} bytes")
        return self._decoder is not None

    def response(self) -> httpx.Response:
        """Return the response with its whole body.

        Raises:
            UnexpectedResponseError: the body is truncated.
        """
        with self._lenient_for_errors():
            if self._decoder is not None:
                self._decoder.finish()
        original = self._response
        headers = [(name, value) for name, value in original.headers.raw if name.lower() not in _TRANSFER_HEADERS]
        return httpx.Response(
            original.status_code,
            headers=headers,
            content=bytes(self._content),
            request=original.request,
            extensions={"reason_phrase": original.extensions.get("reason_phrase", b"")},
        )

    @contextmanager
    def _lenient_for_errors(self) -> Iterator[None]:
        try:
            yield
        except UnexpectedResponseError as error:
            if self._response.is_success:
                raise unexpected_response(self._response, str(error)) from error.__cause__
            self._content, self._decoder = bytearray(), None


def response_error(response: httpx.Response) -> ArchrankError:
    """Return the error that a response stands for."""
    status = response.status_code
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:  # a reverse proxy's page, perhaps
        problem = None
    detail = problem.detail or problem.title if problem is not None else response.reason_phrase
    request = f"{response.request.method} {response.request.url.path}"
    return error_class(status)(
        f"{request} was answered {status}: {detail}" if detail else f"{request} was answered {status}",
        status=status,
        problem=problem,
        request_id=response.headers.get("X-Request-ID"),
        retry_after=parse_retry_after(response.headers.get("Retry-After")),
    )


def unexpected_response(response: httpx.Response, fault: str) -> UnexpectedResponseError:
    """Return the error of a response with invalid content."""
    request = response.request
    message = f"unexpected response to {request.method} {request.url.path}: {fault}"
    request_id = response.headers.get("X-Request-ID")
    return UnexpectedResponseError(message, status=response.status_code, request_id=request_id)


@contextmanager
def translate_errors(request: str) -> Iterator[None]:
    """Raise errors of httpx and asyncio as errors of this package.

    Args:
        request: method and URL, for the message.
    """
    try:
        yield
    except ArchrankError:  # which may be a TimeoutError, too
        raise
    except (httpx.ReadTimeout, TimeoutError) as error:
        raise APITimeoutError(f"{request}: no complete response in time") from error
    except httpx.TimeoutException as error:
        raise APITimeoutError(f"{request}: {_message(error)}") from error
    except httpx.TransportError as error:
        raise APIConnectionError(f"{request}: {_message(error)}") from error
    except httpx.RequestError as error:
        raise UnexpectedResponseError(f"{request}: {_message(error)}") from error
    except httpx.InvalidURL as error:
        raise InvalidRequestError(f"{request}: {_message(error)}") from error


def _message(error: Exception) -> str:
    return str(error) or type(error).__name__


def parse_retry_after(text: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date; None for anything else."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError, TypeError, IndexError):  # a date that no calendar has
        return None
