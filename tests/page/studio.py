"""The page as its users have it: by role and accessible name."""

import re
from collections.abc import Callable
from time import monotonic
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

MODULES = ["L", "L4n", "L4", "L3", "L2", "S", "T", "ST"]
PATIENCE = 60
"""Seconds; nothing is measured, other tests may run beside these."""
expect.set_options(timeout=1000 * PATIENCE)


class Troubles:
    """What the browser complains about: its console, uncaught errors, requests that failed or went to another host."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._url = url
        self._expected: list[str] = []
        self._seen: list[str] = []
        context.set_default_timeout(1000 * PATIENCE)
        context.on("console", lambda message: message.type in ("error", "warning") and self._see(message.text))
        context.on("weberror", lambda error: self._see(str(error.error)))
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', ({violatedDirective, blockedURI}) =>"
            " console.error(`${violatedDirective} forbids ${blockedURI}`))"
        )

    def expect(self, *patterns: str) -> None:
        """These may come, e.g. `"422"`."""
        self._expected += patterns

    def unexpected(self) -> list[str]:
        return [line for line in self._seen if not any(re.search(pattern, line) for pattern in self._expected)]

    def _see(self, line: str) -> None:
        self._seen.append(line)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self._url}/", f"blob:{self._url}/", "data:")):
            self._see(f"asked {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the page, which wants something else by now
            self._see(f"{request.method} {request.url}: {request.failure}")


class Studio:
    """The page at one server."""

    def __init__(self, page: Page, url: str, troubles: Troubles) -> None:
        self.page, self.url, self.troubles = page, url, troubles

    def open(self, fragment: str = "", wait: bool = True) -> None:
        """Go there, and wait for the first prediction unless there will be none."""
        self.page.goto(f"{self.url}/{fragment}")
        if wait:
            expect(self.page.locator("body")).to_have_attribute("data-ready", "true")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def cell(self, layer: int, module: str) -> Locator:
        """Layers from 1."""
        return self.page.get_by_role("checkbox", name=f"layer {layer}, module {module}", exact=True)

    def settled(self) -> None:
        """Wait until what is shown is of the architecture that is shown."""
        expect(self.page.locator("#prediction")).to_have_attribute("data-state", "current")

    def numbers(self, selector: str) -> list[float]:
        """Those in an output, in their order."""
        text = self.page.locator(selector).inner_text().replace("−", "-")
        return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]

    def assert_shows(self, item: Any) -> None:
        """Accuracy, interval and percentile are those of the API's answer, as far as they are written."""
        assert self.numbers("#accuracy") == [pytest.approx(100 * item["accuracy"], abs=0.00501)]
        low, high = (pytest.approx(100 * item["interval"][end], abs=0.00501) for end in ("low", "high"))
        assert self.numbers("#interval")[-2:] == [low, high]
        assert self.numbers("#percentile")[0] == pytest.approx(item["percentile"], abs=0.0501)

    def architecture(self) -> dict[str, Any]:
        """What the grid's checkboxes say."""
        cells: list[tuple[str, bool]] = self.page.get_by_role("checkbox", name="layer").evaluate_all(
            "all => all.map((one) => [one.ariaLabel, one.checked])"
        )
        layers: list[list[str]] = [[] for _ in range(len(cells) // len(MODULES))]
        for name, checked in cells:
            found = re.fullmatch(r"layer (\d+), module (\w+)", name)
            assert found, name
            if checked:
                layers[int(found[1]) - 1].append(found[2])
        return {"space": "gcn-nas", "layers": layers}

    def until(self, true: Callable[[], Any]) -> None:
        """Wait for what no locator can say."""
        deadline = monotonic() + PATIENCE
        while not true():
            assert monotonic() < deadline, "it did not happen"
            self.page.wait_for_timeout(20)


def predicted(api: httpx.Client, architecture: Any, **more: Any) -> Any:
    """What the API says of one architecture, from structure if nothing else is asked for."""
    response = api.post("/v1/predictions", json={"architectures": [architecture], "proxies": [], **more})
    assert response.status_code == 200, response.text
    (item,) = response.json()["predictions"]
    return item


def fragment(architecture: Any) -> str:
    """Where the page has it in its address."""
    return "#" + "/".join([architecture["space"], *(".".join(layer) for layer in architecture["layers"])])


def compare(studio: Studio, *modules: str, before: int = 0) -> list[Any]:
    """Add as many architectures to those before, each with another of these in its first layer, or without it."""
    added = []
    for i, module in enumerate(modules, start=before):
        studio.cell(1, module).click()
        added.append(studio.architecture())
        studio.button("Add to comparison").click()
        expect(studio.page.locator("#comparison li")).to_have_count(i + 1)
    return added
