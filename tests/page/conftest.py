"""The page in real Chromium, and whatever goes wrong in it: every test fails on what it did not expect there."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser

from benchmarks.chromium import chromium, installed
from tests.page.studio import PATIENCE, Studio, Troubles


class Visit(Protocol):
    def __call__(self, url: str, fragment: str = "", wait: bool = True, **options: Any) -> Studio:
        """The page at a server. Options are those of Playwright's `new_context`."""


@pytest.fixture(scope="package")  # not longer: while it runs, no other test can run an event loop
def browser() -> Iterator[Browser]:
    if installed() is None:
        pytest.skip("Chromium is not installed")
    with chromium() as one:
        yield one


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens the page, each time as a user who has never been there."""
    troubles = []
    with ExitStack() as stack:

        def visit(url: str, fragment: str = "", wait: bool = True, **options: Any) -> Studio:
            context = stack.enter_context(browser.new_context(**options))
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
            troubles.append(Troubles(context, url))
            studio = Studio(context.new_page(), url, troubles[-1])
            studio.open(fragment, wait)
            return studio

        yield visit
    for one in troubles:
        assert one.unexpected() == []


@pytest.fixture
def studio(visit: Visit, url: str) -> Studio:
    """The page of the server that the tests share."""
    return visit(url)


@pytest.fixture(scope="session")
def api(url: str) -> Iterator[httpx.Client]:
    """What the page asks, asked without it."""
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        yield client
