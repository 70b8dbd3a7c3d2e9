"""Static files of the page as a real server sends them. `tests/page` tests the page in a browser."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.api_keys import create_key
from service.cli.demo import server
from service.settings import KeyLimits
from service.storage import Store
from tests.conftest import ROOT
from tests.real_server import LEAN
from tests.waiting import PATIENCE_S

FOLDER = ROOT / "service" / "ui"
NAMES = sorted(file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file())
TEXTS = {name: (FOLDER / name).read_text() for name in NAMES}
SCRIPTS = [name for name in NAMES if name.endswith(".js")]
PAGES = {"/": "index.html", "/studies": "studies/index.html"}
"""HTML files by path."""
SWAGGER_UI = ROOT / "service" / "swagger_ui"
FILES = {
    **{path: FOLDER / name for path, name in PAGES.items()},
    **{f"/page/{name}": FOLDER / name for name in NAMES if name not in PAGES.values()},
    "/docs": SWAGGER_UI / "index.html",
    **{f"/docs/{name}": SWAGGER_UI / name for name in ("initializer.js", "swagger-ui-bundle.js", "swagger-ui.css")},
}
"""Files by path."""
KINDS = {
    "": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MAX_LINES = 300


def matches(pattern: str, name: str) -> list[str]:
    return re.findall(pattern, TEXTS[name])


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_sent_with_its_security_headers(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.content == FILES[path].read_bytes()
    sent = response.headers
    assert sent["content-type"] == KINDS[path.rpartition(".")[2] if "." in path else ""]
    assert sent["content-security-policy"] == POLICY
    assert sent["x-content-type-options"] == "nosniff"
    assert sent["referrer-policy"] == "no-referrer"
    assert sent["cross-origin-opener-policy"] == "same-origin"
    assert sent["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/studies", "/page/app.js"])
def test_head_is_get_without_a_body(client: httpx.Client, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    varying = ("date", "x-request-id")
    head_headers, get_headers = (
        [(name, value) for name, value in response.headers.items() if name not in varying] for response in (head, get)
    )
    assert head_headers == get_headers


def test_a_current_etag_gets_304(client: httpx.Client) -> None:
    tag = client.get("/page/app.js").headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = client.get("/page/app.js", headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
        assert response.headers["content-security-policy"] == POLICY
    for other in ('"other"', tag.strip('"')):
        assert client.get("/page/app.js", headers={"If-None-Match": other}).status_code == 200
    assert client.get("/page/style.css").headers["etag"] != tag


NOT_FILES = (
    "/page/other.js",
    "/page/index.html",
    "/page/studies/index.html",
    "/page/",
    "/page",
    "/page/..%2Fapp",
    "/studies/",
)


@pytest.mark.parametrize("path", NOT_FILES)
def test_no_other_file_is_sent(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/studies", "/page/app.js"])
def test_nothing_can_be_posted(client: httpx.Client, path: str) -> None:
    response = client.post(path)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_the_page_is_not_part_of_the_api(client: httpx.Client) -> None:
    assert not {path for path in client.get("/openapi.json").json()["paths"] if path in PAGES or "page/" in path}


def test_metrics_have_a_route_for_each_page_and_one_for_its_files(client: httpx.Client) -> None:
    for path in PAGES:
        client.get(path)
    client.get("/page/app.js")
    metrics = client.get("/metrics").text
    assert all(f'method="GET",route="{path}",' in metrics for path in PAGES)
    assert 'method="GET",route="/page/{file:path}",' in metrics
    assert "app.js" not in metrics


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[str]:
    """URL of a server that requires an API key."""
    _, entry = create_key("test", ("predict",), KeyLimits())
    with Store.open(Store.directory_url(tmp_path)) as store:
        store.keys.add(**entry.model_dump(mode="json", exclude_none=True))
    with server(LEAN | {"ARCHRANK_DATA_DIR": str(tmp_path)}) as url:
        yield url


def test_the_page_requires_no_key(keyed: str) -> None:
    with httpx.Client(base_url=keyed, timeout=PATIENCE_S, trust_env=False) as client:
        assert client.get("/v1/spaces").status_code == 401
        assert [client.get(path).status_code for path in FILES] == [200] * len(FILES)


def resolve(name: str, path: str) -> str:
    """Return the file that a script imports by a relative path."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def used_files(page: str) -> set[str]:
    """Return the files that a page links, and those that they import."""
    imported = {name: {resolve(name, path) for path in matches(r'from "(\.[^"]+)"', name)} for name in SCRIPTS}
    used, pending = set[str](), set(matches(r'(?:href|src)="page/([^"]+)"', page))
    while pending:
        used |= pending
        pending = {name for file in pending for name in imported.get(file, set())} - used
    return used


def test_every_file_is_used_and_every_used_file_exists() -> None:
    assert set[str]().union(*map(used_files, PAGES.values())) == set(NAMES) - set(PAGES.values())


@pytest.mark.parametrize("name", NAMES)
def test_no_other_host_is_named(name: str) -> None:
    namespaces = {"http://www.w3.org/2000/svg"}  # not fetched
    assert set(matches(r"""(?:\w+:)?//[\w.-]+[\w./-]*""", name)) - namespaces == set()
    assert not matches(r"@import|url\((?!#)", name)


@pytest.mark.parametrize("name", PAGES.values())
def test_nothing_is_inline(name: str) -> None:
    page = TEXTS[name]
    (script,) = re.findall(r"<script([^>]*)>(.*?)</script>", page, flags=re.DOTALL)
    assert script == (f' type="module" src="page/{posixpath.join(posixpath.dirname(name), "app.js")}"', "")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    # Relative, so that the page works behind a reverse proxy with a path prefix.
    assert not re.search(r'(?:href|src)="/', page)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_turn_no_text_into_markup_or_code(name: str) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    assert not matches(rf"{markup}|\beval\(|new Function", name)
    assert not matches(r"setAttribute\(.style|style:", name)
    assert not matches(r"""(?:api\.\w+|stream)\([`"']/""", name)  # paths of the API are relative too


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_is_long(name: str) -> None:
    assert len(TEXTS[name].splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", PAGES.values())
def test_ids_are_unique_and_used_ids_exist(name: str) -> None:
    ids = matches(r'\bid="([^"]+)"', name)
    assert len(ids) == len(set(ids))
    scripts = [file for file in used_files(name) if file in SCRIPTS]
    used = {used_id for script in scripts for used_id in matches(r'byId\("([\w-]+)"\)', script)}
    assert used
    assert used <= set(ids)
    named = matches(r'(?:aria-(?:labelledby|describedby)|for)="([^"]+)"', name)
    assert named
    assert set(" ".join(named).split()) <= set(ids)
