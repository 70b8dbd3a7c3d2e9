"""The page as its users have it: by role and accessible name."""

import re
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

MODULES = ["L", "L4n", "L4", "L3", "L2", "S", "T", "ST"]
expect.set_options(timeout=30_000)


class Troubles:
    """What the browser complains about: its console, uncaught errors, requests that failed or went to another host."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._url = url
        self._expected: list[str] = []
        self._seen: list[str] = []
        context.set_default_timeout(30_000)
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

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.url}/{fragment}")
        expect(self.page.locator("body")).to_have_attribute("data-ready", "true")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def cell(self, layer: int, module: str) -> Locator:
        """Layers from 1."""
        return self.page.get_by_role("checkbox", name=f"layer {layer}, module {module}", exact=True)

    def settled(self) -> None:
        """Wait until what is shown is of the architecture that is shown."""
        expect(self.page.locator("#prediction")).to_have_attribute("data-state", "current")

    def number(self, selector: str) -> float:
        """The first number of an output."""
        text = self.page.locator(selector).inner_text()
        found = re.search(r"[-−]?\d+(\.\d+)?", text)
        assert found, f"no number in {selector}: {text!r}"
        return float(found[0].replace("−", "-"))

    def architecture(self) -> dict[str, Any]:
        """What the grid's checkboxes say."""
        boxes = self.page.locator("#grid [role=checkbox], #grid input[type=checkbox]")
        marked: list[list[Any]] = boxes.evaluate_all(
            "all => all.map(one => [one.ariaLabel, one.ariaChecked === 'true' || one.checked === true])"
        )
        layers: list[list[str]] = [[] for _ in range(len(marked) // len(MODULES))]
        for label, checked in marked:
            found = re.fullmatch(r"layer (\d+), module (\w+)", label)
            assert found, label
            if checked:
                layers[int(found[1]) - 1].append(found[2])
        return {"space": "gcn-nas", "layers": layers}
