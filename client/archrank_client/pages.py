"""Paths of further pages."""

import re

import httpx

from archrank_client.responses import unexpected_response

MAX_PATH_LENGTH = 1000


def next_path(path: str, resource: str, url: str, response: httpx.Response) -> str:
    """Return the path of the next page, below the server's URL.

    Args:
        path: the path in the response.
        resource: path that all pages begin with: the key is sent to the server itself alone.
        url: URL of the server; a reverse proxy removes the path that it may have.
        response: the response, for the error.

    Raises:
        UnexpectedResponseError: the path is not one of the resource.
    """
    below = path.removeprefix(httpx.URL(url).path.rstrip("/"))
    if not re.fullmatch(f"{re.escape(resource)}[!-~]{{1,{MAX_PATH_LENGTH}}}", below):
        raise unexpected_response(response, "next is not a path of the server")
    return below
