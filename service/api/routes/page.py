"""Static pages: the web pages at `/` and `/studies`, and Swagger UI at `/docs`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException, Request, Response

MEDIA_TYPES = {
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
    "Cache-Control": "no-cache",  # cached, but revalidated by its tag: a new version is seen immediately
}


@dataclass(frozen=True)
class Asset:
    """A static file with its headers."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def from_content(cls, content: bytes, suffix: str) -> "Asset":
        """Make the asset of a file with that suffix, one of `MEDIA_TYPES`."""
        tag = f'"{sha256(content).hexdigest()[:32]}"'
        return cls(content, {**HEADERS, "Content-Type": MEDIA_TYPES[suffix], "ETag": tag})

    def respond(self, request: Request) -> Response:
        """Respond with the file, or with status 304 if the client has it."""
        tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.headers["ETag"] in tags or "*" in tags:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def page_router() -> APIRouter:
    """Build the routes of the static pages. They need no API key and are not part of the OpenAPI document.

    The files are read once, so that a path can only name one of them.
    """
    router = APIRouter(include_in_schema=False)
    _add_folder(router, "ui", {"/": "index.html", "/studies": "studies/index.html"}, "/page")
    _add_folder(router, "swagger_ui", {"/docs": "index.html"}, "/docs")
    return router


def _add_folder(router: APIRouter, folder: str, pages: Mapping[str, str], path: str) -> None:
    """Add a folder's pages at paths of their own, and its other files below `path`."""
    assets = {
        name: Asset.from_content(file.read_bytes(), suffix)
        for name, file in _files(files("service") / folder)
        if (suffix := name.rpartition(".")[2]) in MEDIA_TYPES
    }
    for page_path, name in pages.items():
        _add_page(router, page_path, assets.pop(name))

    @router.get(f"{path}/{{file:path}}")
    async def get_asset(file: str, request: Request) -> Response:
        if file not in assets:
            raise HTTPException(404)
        return assets[file].respond(request)


def _add_page(router: APIRouter, path: str, page: Asset) -> None:
    @router.get(path)
    async def get_page(request: Request) -> Response:
        return page.respond(request)


def _files(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    """Iterate over the files of a folder and its subfolders, with their paths in it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from ((f"{entry.name}/{name}", file) for name, file in _files(entry))
        else:
            yield entry.name, entry
