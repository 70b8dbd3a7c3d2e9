"""The page in Chromium. A test fails on every browser error that it does not expect."""

import asyncio
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser

from benchmarks.chromium import chromium, installed
from service.cli.demo import server
from tests.conftest import ROOT
from tests.page.page_driver import BrowserErrors, PageDriver
from tests.waiting import PATIENCE_S, PATIENT_SERVER

SEED = os.environ.get("ARCHRANK_PAGE_SEED")
SLOW_DOWN = """
  let seed = %s;
  const delay = () => new Promise((resolve) => {
    seed = (1664525 * seed + 1013904223) %% 2 ** 32;
    setTimeout(resolve, 750 * seed / 2 ** 32);
  });
  const send = window.fetch;
  window.fetch = async (url, options) => {
    await delay();
    const response = await send(url, options);
    await delay();
    options?.signal?.throwIfAborted();
    return response;
  };
"""
"""Delay of each request and each response by up to 0.75 s, random by a seed."""


class OpenPage(Protocol):
    """Function that opens the page of a server."""

    def __call__(self, url: str, fragment: str = "", wait: bool = True, **options: Any) -> PageDriver:
        """Open the page in a new browser context.

        Args:
            url: URL of the server.
            fragment: URL fragment.
            wait: wait for the first prediction.
            options: options of Playwright's `new_context`.
        """


@pytest.fixture(scope="session")
def session_browser() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """One Chromium for all tests of a worker, and the event loop of Playwright's synchronous API."""
    if installed() is None:
        pytest.skip("Chromium is not installed")
    with chromium() as browser:
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield browser, loop
        asyncio._set_running_loop(loop)


@pytest.fixture
def browser(session_browser: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Browser]:
    """The worker's Chromium.

    Playwright's event loop counts as running for as long as the browser is open. It does so only during the tests that
    use the browser, so that other tests of the same worker can run event loops of their own.
    """
    browser, loop = session_browser
    asyncio._set_running_loop(loop)
    yield browser
    asyncio._set_running_loop(None)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens the page, each time in a browser context without history, storage or cookies."""
    errors = []
    with ExitStack() as stack:

        def open_page(url: str, fragment: str = "", wait: bool = True, **options: Any) -> PageDriver:
            context = stack.enter_context(browser.new_context(**options))
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
            errors.append(BrowserErrors(context, url))
            if SEED:
                context.add_init_script(SLOW_DOWN % SEED)
            page = context.new_page()
            if SEED:
                context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 3})
            driver = PageDriver(page, url, errors[-1])
            driver.open(fragment, wait)
            return driver

        yield open_page
    assert [error for context_errors in errors for error in context_errors.unexpected()] == []


@pytest.fixture
def driver(open_page: OpenPage, url: str) -> PageDriver:
    """The page of the server that the tests share."""
    return open_page(url)


@pytest.fixture(scope="session")
def api(url: str) -> Iterator[httpx.Client]:
    """The HTTP API of the same server."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def plugin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server with the search space of `examples/own_space`, which has no ensemble and no editor of its own."""
    source, folder = ROOT / "examples" / "own_space", tmp_path_factory.mktemp("plugin")
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    shutil.copy(source / "tiny_gcn.py", folder)
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [line for group, points in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    with server(PATIENT_SERVER | {"PYTHONPATH": str(folder)}) as address:
        yield address
