"""Driver of the page, which locates elements by role and accessible name."""

import json
import re
from collections.abc import Callable
from time import monotonic
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.waiting import PATIENCE_S

MODULES = ["L", "L4n", "L4", "L3", "L2", "S", "T", "ST"]
PERCENT_TOLERANCE = 0.00501
"""Tolerance of a percentage that is shown with two digits."""
expect.set_options(timeout=1000 * PATIENCE_S)


class BrowserErrors:
    """Errors of a browser context: console messages, uncaught errors, failed requests, requests to other hosts.

    Args:
        context: browser context.
        url: URL of the server.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._url = url
        self._expected: list[str] = []
        self._errors: list[str] = []
        context.set_default_timeout(1000 * PATIENCE_S)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._add(str(error.error)))
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', ({violatedDirective, blockedURI}) =>"
            " console.error(`${violatedDirective} forbids ${blockedURI}`))"
        )

    def expect(self, *patterns: str) -> None:
        """Allow errors that match one of the patterns, e.g. `"422"`."""
        self._expected += patterns

    def unexpected(self) -> list[str]:
        """Return the errors that match no allowed pattern."""
        return [error for error in self._errors if not any(re.search(pattern, error) for pattern in self._expected)]

    def _add(self, error: str) -> None:
        self._errors.append(error)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._add(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._url}/", f"blob:{self._url}/", "data:")):
            self._add(f"request to {request.url}")

    def _on_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page aborts requests that newer ones replace
            self._add(f"{request.method} {request.url}: {request.failure}")


class PageDriver:
    """The page of one server, in one browser tab.

    Attributes:
        page: Playwright's page.
        url: URL of the server.
        errors: errors of the browser context.
    """

    def __init__(self, page: Page, url: str, errors: BrowserErrors) -> None:
        self.page, self.url, self.errors = page, url, errors

    def open(self, fragment: str = "", wait: bool = True) -> None:
        """Open the page, and wait for the first prediction if `wait`."""
        self.page.goto(f"{self.url}/{fragment}")
        if wait:
            expect(self.page.locator("body")).to_have_attribute("data-ready", "true")

    def button(self, name: str) -> Locator:
        """Return the button with this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def cell(self, layer: int, module: str) -> Locator:
        """Return a checkbox of the grid; layers count from 1."""
        return self.page.get_by_role("checkbox", name=f"layer {layer}, module {module}", exact=True)

    def wait_until_current(self) -> None:
        """Wait until the prediction belongs to the architecture in the grid."""
        expect(self.page.locator("#prediction")).to_have_attribute("data-state", "current")

    def wait_until_explained(self) -> None:
        """Wait for the explanation of the architecture in the grid, which the page requests after the prediction."""
        expect(self.page.locator("#attributions")).to_have_attribute("data-state", "current")

    def numbers(self, selector: str) -> list[float]:
        """Return the numbers in an element's text, in order."""
        text = self.page.locator(selector).inner_text().replace("−", "-")
        return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]

    def assert_shows(self, item: Any) -> None:
        """Accuracy, interval and percentile are those of the API's item, to the shown digits."""
        assert self.numbers("#accuracy") == [pytest.approx(100 * item["accuracy"], abs=PERCENT_TOLERANCE)]
        interval = item["interval"]
        low, high = (pytest.approx(100 * interval[bound], abs=PERCENT_TOLERANCE) for bound in ("low", "high"))
        assert self.numbers("#interval") == [100 * interval["level"], low, high]
        assert self.numbers("#percentile")[0] == pytest.approx(100 * item["percentile"], abs=0.0501)

    def architecture(self) -> dict[str, Any]:
        """Return the architecture of the grid's checkboxes."""
        cells: list[tuple[str, bool]] = self.page.get_by_role("checkbox", name="layer").evaluate_all(
            "boxes => boxes.map((box) => [box.ariaLabel, box.checked])"
        )
        layers: list[list[str]] = [[] for _ in range(len(cells) // len(MODULES))]
        for name, checked in cells:
            match = re.fullmatch(r"layer (\d+), module (\w+)", name)
            assert match, name
            if checked:
                layers[int(match[1]) - 1].append(match[2])
        return {"space": "gcn-nas", "layers": layers}

    def follow(self, link: str) -> None:
        """Change the URL fragment, and wait until the page has read it."""
        self.page.evaluate(
            """(link) => new Promise((resolve) => {
                 addEventListener("hashchange", () => resolve(), {once: true});
                 location.hash = link;
               })""",
            link,
        )

    def record_announcements(self) -> None:
        """Record what is announced to screen readers: the next announcement replaces it on the page."""
        self.page.evaluate(
            """() => {
                 window.announcements = [];
                 const status = document.getElementById("status");
                 new MutationObserver(() => announcements.push(status.textContent)).observe(status, {childList: true});
               }"""
        )

    def wait_for_announcement(self, text: str) -> None:
        """Wait until a recorded announcement contains a text."""
        self.page.wait_for_function("(text) => announcements.some((other) => other.includes(text))", arg=text)

    def wait_for_reference_set(self) -> None:
        """Wait for the chart of the reference set."""
        expect(self.page.locator("#reference-set").get_by_role("img")).to_be_visible()

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition that no locator expresses."""
        deadline = monotonic() + PATIENCE_S
        while not condition():
            assert monotonic() < deadline, "the condition did not become true"
            self.page.wait_for_timeout(20)


def predict(api: httpx.Client, architecture: Any, **options: Any) -> Any:
    """Return the API's prediction of one architecture, by default from structure."""
    response = api.post("/v1/predictions", json={"architectures": [architecture], "proxies": [], **options})
    assert response.status_code == 200, response.text
    (item,) = response.json()["predictions"]
    return item


def sample(api: httpx.Client, n: int = 1, seed: int = 0, space: str = "gcn-nas", **fixed: Any) -> list[Any]:
    """Return random architectures of the API."""
    response = api.post(f"/v1/spaces/{space}/sample", json={"number": n, "seed": seed, "fixed": fixed})
    assert response.status_code == 200, response.text
    architectures: list[Any] = response.json()["architectures"]
    return architectures


def open_space(driver: PageDriver, name: str) -> None:
    """Select a search space, and wait for its first architecture."""
    driver.page.get_by_role("combobox", name="Search space").select_option(name)
    driver.wait_for(lambda: f"#{name}/" in driver.page.url)
    driver.wait_until_current()


def copied(driver: PageDriver, name: str) -> str:
    """Return the edited architecture, copied as JSON, curl or Python."""
    driver.page.evaluate("navigator.clipboard.writeText('')")
    driver.button(f"Copy as {name}").click()
    # The clipboard, as the page hides its note when the architecture changes.
    driver.wait_for(lambda: driver.page.evaluate("navigator.clipboard.readText()") != "")
    text: str = driver.page.evaluate("navigator.clipboard.readText()")
    return text


def copied_json(driver: PageDriver) -> Any:
    """Return the edited architecture, copied as JSON."""
    return json.loads(copied(driver, "JSON"))


def fragment(*architectures: Any) -> str:
    """Return the URL fragment of the edited architecture, followed by those of the comparison, all of `gcn-nas`."""
    texts = ["/".join([item["space"], *(".".join(layer) for layer in item["layers"])]) for item in architectures]
    return "#" + "&".join(texts)


def compare(driver: PageDriver, *modules: str, before: int = 0) -> list[Any]:
    """Add architectures to the comparison, each by toggling a module of the first layer.

    Args:
        driver: the page.
        modules: modules to toggle.
        before: number of architectures in the comparison.
    """
    added = []
    for i, module in enumerate(modules, start=before):
        driver.cell(1, module).click()
        added.append(driver.architecture())
        driver.button("Add to comparison").click()
        expect(driver.page.locator("#comparison li")).to_have_count(i + 1)
    return added
