"""Pages for people, the same for everybody: the one at `/`, of this package's files, and the API's description."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

from service.api.docs_page import reference

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, and asked for again by its tag: a new version is seen at once
}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, content: bytes, kind: str) -> "Asset":
        """With its headers; the kind is one of `TYPES`."""
        return cls(content, {**HEADERS, "Content-Type": TYPES[kind], "ETag": f'"{sha256(content).hexdigest()[:32]}"'})

    def answer(self, request: Request) -> Response:
        """The file, or 304 to whoever has it."""
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["ETag"] in known or "*" in known:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_router() -> APIRouter:
    """Routes of the page, which are none of the API's: open to all, and not in its description.

    The files are read here, once; a path names one of them or nothing.
    """
    found = ((file.name, file.name.rpartition(".")[2], file) for file in (files("service") / "ui").iterdir())
    assets = {name: Asset.of(file.read_bytes(), kind) for name, kind, file in found if kind in TYPES}
    index = assets.pop("index.html")
    described: dict[str, Asset] = {}
    """Made when it is asked for first: by then all routes are known."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def get_page(request: Request) -> Response:
        return index.answer(request)

    @router.get("/page/{file}")
    async def get_asset(file: str, request: Request) -> Response:
        if file not in assets:
            raise HTTPException(404)
        return assets[file].answer(request)

    @router.get("/docs")
    async def get_docs(request: Request) -> Response:
        if "docs" not in described:
            described["docs"] = Asset.of(reference(request.app.openapi()), "html")
        return described["docs"].answer(request)

    return router
