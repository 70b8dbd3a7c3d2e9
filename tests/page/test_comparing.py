"""Up to four architectures side by side, and each of them to take elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Visit
from tests.page.studio import Studio, compare, fragment, predicted
from tests.page.test_scoring import FOUR, drawn

ROOT = Path(__file__).resolve().parents[2]


def probabilities(studio: Studio) -> list[list[float | None]]:
    """The table of pairs."""
    rows = studio.page.locator("#comparison tbody tr").all()
    texts = [[cell.inner_text() for cell in row.get_by_role("cell").all()] for row in rows]
    return [[float(text.split()[0]) / 100 if text else None for text in row] for row in texts]


def test_pairs_are_as_probable_as_the_api_says(studio: Studio, api: httpx.Client) -> None:
    architectures = []
    for number, module in enumerate(["L", "L4n", "L4", "L3"], start=1):
        architectures += compare(studio, module, before=number - 1)
        said = api.post("/v1/predictions", json={"architectures": architectures, "proxies": [], "compare": True}).json()
        expect(studio.page.locator("#comparison tbody tr")).to_have_count(number if number > 1 else 0)
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


def test_a_link_to_one_leaves_what_is_compared(studio: Studio) -> None:
    compared = compare(studio, "L", "L4n")
    studio.page.evaluate("(link) => { location.hash = link; }", fragment(FOUR))
    expect(studio.page.get_by_role("checkbox", name="layer")).to_have_count(8 * 4)
    assert studio.architecture() == FOUR
    expect(studio.page.locator("#comparison li")).to_have_count(2)
    studio.until(lambda: studio.page.url.endswith(together(FOUR, *compared)))


def test_a_link_to_more_than_four_says_what_is_left_out(visit: Visit, url: str, api: httpx.Client) -> None:
    six = drawn(6, api, depth=4, seed=0)
    studio = visit(url, together(FOUR, *six))
    expect(studio.page.locator("#comparison li")).to_have_count(4)
    expect(studio.page.locator("#editor-problem")).to_contain_text("2 of them")
    studio.until(lambda: studio.page.url.endswith(together(FOUR, *six[:4])))
    visit(url, together(FOUR, *six[:4]))


def together(*architectures: Any) -> str:
    """The address of the first, with the others compared."""
    return "#" + "&".join(fragment(one).removeprefix("#") for one in architectures)


def test_what_is_surely_better_is_not_said_to_be_certain(visit: Visit, url: str, api: httpx.Client) -> None:
    (best,), (worst,) = (drawn(1, api, depth=depth, seed=0) for depth in (10, 4))
    said = api.post("/v1/predictions", json={"architectures": [best, worst], "proxies": [], "compare": True}).json()
    assert said["beats"][0][1] >= 0.995
    studio = visit(url, together(FOUR, best, worst))
    texts = studio.page.locator("#comparison tbody").get_by_role("cell").all_inner_texts()
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts if text] == ["> 99 %", "< 1 %"]


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
