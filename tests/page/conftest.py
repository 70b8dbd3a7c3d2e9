"""The page in Chromium. A test fails on every browser error that it does not expect."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser

from benchmarks.chromium import chromium, installed
from tests.page.page_driver import TIMEOUT_S, BrowserErrors, PageDriver


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
            driver = PageDriver(context.new_page(), url, errors[-1])
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
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        yield client
