"""The page's pictures for the README: always the same architectures, scored with proxies, two of them compared.

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

PICTURES: dict[str, tuple[int, Literal["light", "dark"], str]] = {
    "page-light.png": (1280, "light", "#comparing"),
    "page-dark.png": (1280, "dark", "#comparing"),
    "page-narrow.png": (400, "light", "#prediction"),
}
"""Width, theme, and the last section that is in it."""
MARGIN = 16
COLOURS = 128
"""A page has few; so it takes a third of the bytes, and looks the same."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    console = Console()
    with server() as url, chromium() as browser:
        for name, (width, theme, last) in PICTURES.items():
            _save(_picture(browser, url, width, theme, last), folder / name)
            console.print(f"{folder / name}: {(folder / name).stat().st_size / 1000:.0f} kB")


def _picture(browser: Browser, url: str, width: int, theme: Literal["light", "dark"], last: str) -> bytes:
    window: ViewportSize = {"width": width, "height": 900}
    page = browser.new_page(viewport=window, color_scheme=theme, reduced_motion="reduce", locale="en")
    page.goto(f"{url}/")
    page.wait_for_selector("body[data-ready=true]")
    _use(page)
    box = page.locator(last).bounding_box()
    assert box is not None
    taken = page.screenshot(
        full_page=True, clip={"x": 0, "y": 0, "width": width, "height": box["y"] + box["height"] + MARGIN}
    )
    page.close()
    return taken


def _use(page: Page) -> None:
    """Peng et al. (2020) and the same without its last edit: compared, scored, the first of them in the grid."""
    page.get_by_role("button", name="Add to comparison").click()
    page.locator("#edits button").first.click()
    page.get_by_role("button", name="Add to comparison").click()
    page.get_by_role("button", name="Score all with proxies").click()
    page.get_by_text("With the scores of all proxies").wait_for()
    page.get_by_role("button", name="Edit A").click()
    page.wait_for_selector("#edits[data-state=current]")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")


def _save(taken: bytes, file: Path) -> None:
    """With a palette; whole or not at all."""
    new = file.with_suffix(".new")
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS).save(new, "PNG", optimize=True)
    new.replace(file)


if __name__ == "__main__":
    main()
