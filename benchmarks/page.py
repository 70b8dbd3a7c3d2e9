"""How long it takes from a click on the page to the prediction that it shows.

    python -m benchmarks.page --clicks 100

A real server of its own and Chromium, which share the machine. Each click edits an architecture that nobody asked for
before; the next comes when reasons and edits are there too. By the page's own clock, up to the frame that is drawn.
"""

import argparse

import numpy as np
from playwright.sync_api import Page
from rich.console import Console
from rich.table import Table

from benchmarks.chromium import chromium
from models import get_space
from service.cli.demo import server

START = "#gcn-nas/L.L4n.T/L3.S.ST/L.L3.L2.S.T/L.L4n.ST/L2.S.T/L.L4.L2.S.ST/L.L4.S.T.ST/L4n.L2.S.ST/L.L4n.L4.ST/L4.S"
SHOWN = "performance.getEntriesByName('prediction').map((entry) => entry.duration)"
ASKED = "performance.getEntries().filter(({ name }) => /predictions$/.test(name)).map((entry) => entry.duration)"
AT = (50, 95, 100)
"""Percentiles."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=100)
    table = Table("ms", *(f"p{at}" for at in AT))
    for what, times in measure(parser.parse_args().clicks).items():
        table.add_row(what, *(f"{time:.0f}" for time in np.percentile(times, AT)))
    Console().print(table)


def measure(clicks: int) -> dict[str, list[float]]:
    """Milliseconds by what took them."""
    with server() as url, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{url}/{START}")
        _settled(page)
        page.evaluate(f"performance.setResourceTimingBufferSize({10 * clicks})")
        before = len(page.evaluate(SHOWN)), len(page.evaluate(ASKED))
        modules, rng = get_space("gcn-nas").describe()["modules"], np.random.default_rng(0)
        for _ in range(clicks):
            page.get_by_label(f"layer {rng.integers(1, 11)}, module {rng.choice(modules)}", exact=True).click()
            _settled(page)
        shown, asked = page.evaluate(SHOWN)[before[0] :], page.evaluate(ASKED)[before[1] :]
    return {
        "from the click to the prediction": shown,
        "of these, the request": asked[0::2],
        "the request for reasons and edits, which follows": asked[1::2],
    }


def _settled(page: Page) -> None:
    page.wait_for_selector("#edits[data-state=current]")
    page.wait_for_timeout(50)  # until what was drawn last is measured


if __name__ == "__main__":
    main()
