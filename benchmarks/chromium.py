"""The system's Chromium, driven by Playwright: the page's tests, screenshots and measurements go through it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # there is no other host
)


def installed() -> str | None:
    """Where it is."""
    return next(filter(None, map(shutil.which, COMMANDS)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Without a window; closed at the end. While it is open no event loop can be run in this thread."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # which root cannot have
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=[*FLAGS, *sandbox])
        try:
            yield browser
        finally:
            browser.close()
