"""Latency of the page, from a click on the grid to the frame that shows the new prediction.

    python -m benchmarks.page --clicks 100

Server and Chromium share the machine. Each click makes an architecture without a cached prediction, and the next click
follows when its explanation is shown. The page measures the times itself.
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
PREDICTION_MS = "performance.getEntriesByName('prediction').map((entry) => entry.duration)"
REQUEST_MS = "performance.getEntries().filter(({ name }) => /predictions$/.test(name)).map((entry) => entry.duration)"
PERCENTILES = (50, 95, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=100)
    table = Table("ms", *(f"p{percentile}" for percentile in PERCENTILES))
    for name, times in measure(parser.parse_args().clicks).items():
        table.add_row(name, *(f"{time:.0f}" for time in np.percentile(times, PERCENTILES)))
    Console().print(table)


def measure(clicks: int) -> dict[str, list[float]]:
    """Return the milliseconds of each step, by its name."""
    with server() as url, chromium() as browser:
        page = browser.new_page()
        page.goto(f"{url}/{START}")
        _wait_for_explanation(page)
        page.evaluate(f"performance.setResourceTimingBufferSize({10 * clicks})")
        before = len(page.evaluate(PREDICTION_MS)), len(page.evaluate(REQUEST_MS))
        modules, rng = get_space("gcn-nas").describe()["modules"], np.random.default_rng(0)
        for _ in range(clicks):
            page.get_by_label(f"layer {rng.integers(1, 11)}, module {rng.choice(modules)}", exact=True).click()
            _wait_for_explanation(page)
        predictions, requests = page.evaluate(PREDICTION_MS)[before[0] :], page.evaluate(REQUEST_MS)[before[1] :]
    return {
        "click to prediction": predictions,
        "request of the prediction": requests[0::2],
        "request of the explanation": requests[1::2],
    }


def _wait_for_explanation(page: Page) -> None:
    page.wait_for_selector("#mutations[data-state=current]")
    page.wait_for_timeout(50)  # until the last frame is measured


if __name__ == "__main__":
    main()
