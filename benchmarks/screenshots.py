"""Screenshots of the page for the README: two architectures, scored with proxies and compared.

python -m benchmarks.screenshots --out docs/figures
"""

import argparse
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize
from rich.console import Console

from benchmarks.chromium import chromium
from service.cli.demo import server

SCREENSHOTS: dict[str, tuple[int, Literal["light", "dark"], str]] = {
    "page-light.png": (1280, "light", "#comparison-section"),
    "page-dark.png": (1280, "dark", "#comparison-section"),
    "page-narrow.png": (400, "light", "#prediction"),
}
"""Width in pixels, theme, and last section, by file name."""
MARGIN_PX = 16
N_COLORS = 128
"""Colors of the palette, which reduces the file to a third without a visible change."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    with server() as url, chromium() as browser:
        for name, (width, theme, last) in SCREENSHOTS.items():
            _save(_screenshot(browser, url, width, theme, last), folder / name)
            console.print(f"{folder / name}: {(folder / name).stat().st_size / 1000:.0f} kB")


def _screenshot(browser: Browser, url: str, width: int, theme: Literal["light", "dark"], last: str) -> bytes:
    viewport: ViewportSize = {"width": width, "height": 900}
    page = browser.new_page(viewport=viewport, color_scheme=theme, reduced_motion="reduce", locale="en")
    page.goto(f"{url}/")
    page.wait_for_selector("body[data-ready=true]")
    _prepare(page)
    box = page.locator(last).bounding_box()
    assert box is not None
    screenshot = page.screenshot(
        full_page=True, clip={"x": 0, "y": 0, "width": width, "height": box["y"] + box["height"] + MARGIN_PX}
    )
    page.close()
    return screenshot


def _prepare(page: Page) -> None:
    """Compare and score the architecture of Peng et al. (2020) and its best mutation; show the first in the grid."""
    page.get_by_role("button", name="Add to comparison").click()
    page.locator("#mutations button").first.click()
    page.get_by_role("button", name="Add to comparison").click()
    page.get_by_role("button", name="Score all with proxies").click()
    page.get_by_text("With the scores of all proxies").wait_for()
    page.get_by_role("button", name="Edit A").click()
    page.wait_for_selector("#mutations[data-state=current]")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")


def _save(screenshot: bytes, file: Path) -> None:
    """Write the screenshot with a palette, atomically."""
    new = file.with_suffix(".new")
    Image.open(BytesIO(screenshot)).convert("RGB").quantize(N_COLORS).save(new, "PNG", optimize=True)
    new.replace(file)


if __name__ == "__main__":
    main()
