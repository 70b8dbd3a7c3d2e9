"""Web pages for people: the page at `/` with its files, and the API reference at `/docs`."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

from service.api.docs_page import reference

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Content types by suffix; files with other suffixes are not served."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # cached, and revalidated by the ETag: a new version is seen at once
}


@dataclass(frozen=True)
class Asset:
    """File with its response headers."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def from_content(cls, content: bytes, suffix: str) -> "Asset":
        """Make an asset; the suffix is a key of `CONTENT_TYPES`."""
        headers = {"Content-Type": CONTENT_TYPES[suffix], "ETag": f'"{sha256(content).hexdigest()[:32]}"'}
        return cls(content, {**HEADERS, **headers})

    def response(self, request: Request) -> Response:
        """Return the file, or 304 to a browser that has this version."""
        cached = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["ETag"] in cached or "*" in cached:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_router() -> APIRouter:
    """Return the routes of the page, which need no API key and are not part of the API's description.

    The files are read here, once. A path names one of them, or is answered 404.
    """
    listed = ((file.name, file.name.rpartition(".")[2], file) for file in (files("service") / "ui").iterdir())
    assets = {
        name: Asset.from_content(file.read_bytes(), suffix) for name, suffix, file in listed if suffix in CONTENT_TYPES
    }
    index = assets.pop("index.html")
    docs: list[Asset] = []  # made at the first request: all routes are known by then
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def get_page(request: Request) -> Response:
        return index.response(request)

    @router.get("/page/{file}")
    async def get_asset(file: str, request: Request) -> Response:
        if file not in assets:
            raise HTTPException(404)
        return assets[file].response(request)

    @router.get("/docs")
    async def get_docs(request: Request) -> Response:
        if not docs:
            docs.append(Asset.from_content(reference(request.app.openapi()), "html"))
        return docs[0].response(request)

    return router
