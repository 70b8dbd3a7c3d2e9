"""Up to four architectures side by side, and each of them to take elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Visit
from tests.page.studio import MODULES, Studio, compare, fragment, predicted
from tests.page.test_scoring import FOUR

ROOT = Path(__file__).resolve().parents[2]


def probabilities(studio: Studio) -> list[list[float | None]]:
    """The table of pairs."""
    rows = studio.page.locator("#comparison tbody tr").all()
    texts = [[cell.inner_text() for cell in row.get_by_role("cell").all()] for row in rows]
    return [[float(text.split()[0]) / 100 if text else None for text in row] for row in texts]


@pytest.mark.parametrize("number", [2, 3, 4])
def test_pairs_are_as_probable_as_the_api_says(studio: Studio, api: httpx.Client, number: int) -> None:
    architectures = compare(studio, *MODULES[:number])
    body = {"architectures": architectures, "proxies": [], "compare": True}
    said = api.post("/v1/predictions", json=body).json()
    expect(studio.page.locator("#comparison tbody tr")).to_have_count(number)
    for i, row in enumerate(probabilities(studio)):
        for j, shown in enumerate(row):
            assert shown == (None if i == j else pytest.approx(said["beats"][i][j], abs=0.00501))
    for card, item in zip(studio.page.locator("#comparison li").all(), said["predictions"], strict=True):
        expect(card).to_contain_text(f"{100 * item['accuracy']:.2f}")


def test_all_are_scored_at_once(visit: Visit, url: str, api: httpx.Client) -> None:
    studio = visit(url, fragment(FOUR))
    architectures = compare(studio, "L4n", "ST")
    studio.button("Score all with proxies").click()
    expect(studio.page.locator("#comparison")).to_contain_text("With the scores of all proxies")
    body = {"architectures": architectures, "compare": True}
    said = api.post("/v1/predictions", json=body).json()
    assert probabilities(studio)[0][1] == pytest.approx(said["beats"][0][1], abs=0.00501)


def test_a_fifth_is_refused_in_words(studio: Studio) -> None:
    compare(studio, "L", "L4n", "L4", "L3")
    studio.cell(1, "ST").click()
    expect(studio.button("Add to comparison")).to_be_disabled()
    expect(studio.page.locator("#editor")).to_contain_text("four")


def test_one_is_taken_out_and_one_goes_back_to_the_grid(studio: Studio) -> None:
    first, _ = compare(studio, "L", "L4n")
    studio.button("Edit A").click()
    assert studio.architecture() == first
    expect(studio.button("In the comparison")).to_be_disabled()
    studio.button("Remove A").click()
    expect(studio.page.locator("#comparison li")).to_have_count(1)
    expect(studio.button("Add to comparison")).to_be_enabled()


def copied(studio: Studio, name: str) -> str:
    studio.button(f"Copy as {name}").click()
    expect(studio.page.get_by_role("status")).to_contain_text(f"Copied as {name}")
    text: str = studio.page.evaluate("navigator.clipboard.readText()")
    return text


def test_json_can_be_posted(visit: Visit, url: str, api: httpx.Client) -> None:
    studio = visit(url, fragment(FOUR))
    assert json.loads(copied(studio, "JSON")) == FOUR
    studio.assert_shows(predicted(api, json.loads(copied(studio, "JSON"))))


def test_curl_runs_as_it_is(visit: Visit, url: str, api: httpx.Client) -> None:
    command = copied(visit(url, fragment(FOUR)), "curl")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    (item,) = json.loads(done.stdout)["predictions"]
    assert item["accuracy"] == predicted(api, FOUR, proxies=None)["accuracy"]


def test_python_runs_as_it_is(visit: Visit, url: str, api: httpx.Client) -> None:
    program = copied(visit(url, fragment(FOUR)), "Python")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    command = (sys.executable, "-c", program)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=env)
    item = predicted(api, FOUR, proxies=None)
    expected = [item["accuracy"], item["interval"]["low"], item["interval"]["high"]]
    assert [float(number) for number in done.stdout.split()] == pytest.approx(expected, abs=1e-9)
