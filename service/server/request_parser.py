"""Parser of HTTP requests: httptools, with the checks that it lacks.

By itself httptools drops the body of a request that offers an upgrade, takes every transfer coding for `chunked`,
accepts requests without a host, and reports trailers as headers.
"""

import re
from collections.abc import Iterator
from typing import Protocol

import httptools

HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d*)?")
"""Name or address, and port (RFC 9112, 3.2); empty if the client's URL has none."""


class RejectedRequestError(Exception):
    """A request that is rejected before its body is read.

    Attributes:
        status: status code and reason phrase of the response.
    """

    def __init__(self, status: str, message: str) -> None:
        self.status = status
        super().__init__(message)


class Handler(Protocol):
    """Receiver of a request's parts, with the methods that httptools calls."""

    def on_message_begin(self) -> None:
        """Begin a request."""

    def on_url(self, url: bytes) -> None:
        """Receive the URL."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive a header."""

    def on_headers_complete(self) -> None:
        """End the head."""

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""

    def on_message_complete(self) -> None:
        """End the request."""


class RequestParser:
    """Replacement of `httptools.HttpRequestParser`, for a server that upgrades to no other protocol (RFC 9110, 7.8).

    Calls the handler once a head is complete and valid. Header names are in lower case.

    Args:
        handler: receiver of the parts, in order.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.on_body = handler.on_body
        self._parser = self._new_parser()
        self._url, self._headers = b"", list[tuple[bytes, bytes]]()
        self._in_head = True

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # dropped instead of an error
        return parser

    def feed_data(self, data: bytes) -> None:
        """Parse more data.

        Raises:
            RefusedError: by a check here, or by the handler.
            httptools.HttpParserError: the data is not HTTP.
        """
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                head = self._head_without_upgrade()
                self._parser = self._new_parser()
                self._parser.feed_data(head)
            except httptools.HttpParserCallbackError as error:
                if isinstance(error.__context__, RejectedRequestError):
                    raise error.__context__ from None
                raise

    def _head_without_upgrade(self) -> bytes:
        version = self._parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self._parser.get_method(), self._url, version)]
        lines += [b"%s: %s" % header for header in self._headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def get_method(self) -> bytes:
        """Return the method of the current request."""
        return self._parser.get_method()

    def get_http_version(self) -> str:
        """Return the HTTP version of the current request, e.g. `1.1`."""
        return self._parser.get_http_version()

    def should_keep_alive(self) -> bool:
        """Return whether the connection stays open after the current request."""
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        """Return False: upgrades are ignored."""
        return False

    def on_message_begin(self) -> None:
        """Begin a head (callback of httptools, as the following methods)."""
        self._url, self._headers, self._in_head = b"", [], True

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, but not a trailer."""
        if self._in_head:  # else it is a trailer, which must not be merged into the headers (RFC 9110, 6.5.1)
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head and pass it on."""
        self._in_head = False
        self._check()
        if self._parser.should_upgrade():  # parsed again without the upgrade
            return
        self._handler.on_message_begin()
        self._handler.on_url(self._url)
        for name, value in self._headers:
            self._handler.on_header(name, value)
        self._handler.on_headers_complete()

    def on_message_complete(self) -> None:
        """Pass on the end of the request."""
        if not self._parser.should_upgrade():
            self._handler.on_message_complete()

    def _check(self) -> None:
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise RejectedRequestError("505 HTTP Version Not Supported", f"HTTP/{version} is not supported.")
        if self._parser.get_method() == b"CONNECT":
            raise RejectedRequestError("501 Not Implemented", "This server is not a proxy.")
        hosts = list(self._values(b"host"))
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            raise RejectedRequestError("400 Bad Request", f"The request has {len(hosts)} Host headers instead of one.")
        if hosts and not HOST.fullmatch(hosts[0]):
            raise RejectedRequestError("400 Bad Request", "The request's Host is neither a name nor an address.")
        codings = b",".join(self._values(b"transfer-encoding"))
        if codings and (version == "1.0" or codings.lower() != b"chunked"):
            raise RejectedRequestError(
                "501 Not Implemented", "The only transfer coding supported is HTTP/1.1's chunked."
            )

    def _values(self, name: bytes) -> Iterator[bytes]:
        return (value for header, value in self._headers if header == name)
