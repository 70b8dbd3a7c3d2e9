"""HTTP requests from bytes: what httptools reads, less what a server must not take.

httptools alone drops the body of a request that offers an upgrade, knows every transfer coding for `chunked`, takes a
request without a host, and tells trailers as if they were headers.
"""

import re
from collections.abc import Iterator
from typing import Protocol

import httptools

HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d*)?")
"""RFC 9112 3.2: a name or an address, and a port; empty where the client's URL has none."""


class RefusedError(Exception):
    """A request that is not read any further.

    Attributes:
        status: status line of the answer, without the version.
    """

    def __init__(self, status: str, message: str) -> None:
        self.status = status
        super().__init__(message)


class Handler(Protocol):
    """Receiver of what is read, with the methods that httptools calls."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class RequestParser:
    """In place of `httptools.HttpRequestParser`, for a server that changes to no other protocol (RFC 9110 7.8).

    The handler is told of a head when all of it has arrived and is good; names of headers are in lower case.

    Args:
        handler: told what is read, in order.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.on_body = handler.on_body
        self._parser = self._fresh()
        self._url, self._headers = b"", list[tuple[bytes, bytes]]()
        self._in_head = True

    def _fresh(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # dropped, instead of an error
        return parser

    def feed_data(self, data: bytes) -> None:
        """Read on.

        Raises:
            RefusedError: by a check here, or by the handler.
            httptools.HttpParserError: not HTTP.
        """
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                head = self._head_without_upgrade()
                self._parser = self._fresh()
                self._parser.feed_data(head)
            except httptools.HttpParserCallbackError as error:
                if isinstance(error.__context__, RefusedError):
                    raise error.__context__ from None
                raise

    def _head_without_upgrade(self) -> bytes:
        version = self._parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self._parser.get_method(), self._url, version)]
        lines += [b"%s: %s" % header for header in self._headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def get_http_version(self) -> str:
        return self._parser.get_http_version()

    def should_keep_alive(self) -> bool:
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        return False

    # Callbacks of httptools.
    def on_message_begin(self) -> None:
        self._url, self._headers, self._in_head = b"", [], True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, which must not be taken for a header (RFC 9110 6.5.1)
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._check()
        if self._parser.should_upgrade():  # read once more without it
            return
        self._handler.on_message_begin()
        self._handler.on_url(self._url)
        for name, value in self._headers:
            self._handler.on_header(name, value)
        self._handler.on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._parser.should_upgrade():
            self._handler.on_message_complete()

    def _check(self) -> None:
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise RefusedError("505 HTTP Version Not Supported", f"HTTP/{version} is not spoken here.")
        if self._parser.get_method() == b"CONNECT":
            raise RefusedError("501 Not Implemented", "This is no proxy.")
        hosts = list(self._values(b"host"))
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            raise RefusedError("400 Bad Request", f"The request has {len(hosts)} Host headers instead of one.")
        if hosts and not HOST.fullmatch(hosts[0]):
            raise RefusedError("400 Bad Request", "The request's Host is neither a name nor an address.")
        codings = b",".join(self._values(b"transfer-encoding"))
        if codings and (version == "1.0" or codings.lower() != b"chunked"):
            raise RefusedError("501 Not Implemented", "The only transfer coding is chunked, of HTTP/1.1.")

    def _values(self, name: bytes) -> Iterator[bytes]:
        return (value for found, value in self._headers if found == name)
