"""Comparison of up to four architectures, and the buttons that copy an architecture."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.conftest import OpenPage
from tests.page.page_driver import (
    PERCENT_TOLERANCE,
    PageDriver,
    compare,
    copied,
    copied_json,
    fragment,
    predict,
    sample,
)
from tests.page.test_scoring import FOUR_LAYERS
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


def probability_table(driver: PageDriver) -> list[list[float | None]]:
    rows = driver.page.locator("#comparison tbody tr").all()
    texts = [[cell.inner_text() for cell in row.get_by_role("cell").all()] for row in rows]
    return [[float(text.split()[0]) / 100 if text else None for text in row] for row in texts]


def test_win_probabilities_are_those_of_the_api(driver: PageDriver, api: httpx.Client) -> None:
    architectures = []
    for number, module in enumerate(["L", "L4n", "L4", "L3"], start=1):
        architectures += compare(driver, module, before=number - 1)
        body = {"architectures": architectures, "proxies": [], "compare": True}
        response = api.post("/v1/predictions", json=body).json()
        expect(driver.page.locator("#comparison tbody tr")).to_have_count(number if number > 1 else 0)
        for i, row in enumerate(probability_table(driver)):
            for j, shown in enumerate(row):
                expected = pytest.approx(response["win_probability"][i][j], abs=PERCENT_TOLERANCE)
                assert shown == (None if i == j else expected)
    for card, item in zip(driver.page.locator("#comparison li").all(), response["predictions"], strict=True):
        expect(card).to_contain_text(f"{100 * item['accuracy']:.2f}")


def test_compared_architectures_are_scored_in_one_job(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    driver = open_page(url, fragment(FOUR_LAYERS))
    architectures = compare(driver, "L4n", "ST")
    driver.button("Score all with proxies").click()
    expect(driver.page.locator("#comparison")).to_contain_text("With the scores of all proxies")
    response = api.post("/v1/predictions", json={"architectures": architectures, "compare": True}).json()
    expected = pytest.approx(response["win_probability"][0][1], abs=PERCENT_TOLERANCE)
    assert probability_table(driver)[0][1] == expected


def test_a_fifth_architecture_is_refused(driver: PageDriver) -> None:
    compare(driver, "L", "L4n", "L4", "L3")
    driver.cell(1, "ST").click()
    expect(driver.button("Add to comparison")).to_be_disabled()
    expect(driver.page.locator("#editor")).to_contain_text("four")


def test_a_link_to_one_architecture_keeps_the_comparison(driver: PageDriver) -> None:
    compared = compare(driver, "L", "L4n")
    driver.follow(fragment(FOUR_LAYERS))
    assert driver.architecture() == FOUR_LAYERS
    expect(driver.page.locator("#comparison li")).to_have_count(2)
    driver.wait_for(lambda: driver.page.url.endswith(fragment(FOUR_LAYERS, *compared)))


def test_a_link_to_more_than_four_states_the_number_left_out(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    six = sample(api, 6, depth=4)
    driver = open_page(url, fragment(FOUR_LAYERS, *six))
    expect(driver.page.locator("#comparison li")).to_have_count(4)
    expect(driver.page.locator("#editor-problem")).to_contain_text("2 of them")
    driver.wait_for(lambda: driver.page.url.endswith(fragment(FOUR_LAYERS, *six[:4])))
    open_page(url, fragment(FOUR_LAYERS, *six[:4]))


def test_probabilities_are_never_shown_as_0_or_100(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    (best,), (worst,) = (sample(api, depth=depth) for depth in (10, 4))
    body = {"architectures": [best, worst], "proxies": [], "compare": True}
    assert api.post("/v1/predictions", json=body).json()["win_probability"][0][1] >= 0.995
    driver = open_page(url, fragment(FOUR_LAYERS, best, worst))
    cells = driver.page.locator("#comparison tbody").get_by_role("cell")
    expect(cells).to_have_text(["", "> 99 %", "< 1 %", ""])


def test_architectures_are_edited_and_removed(driver: PageDriver) -> None:
    first, _ = compare(driver, "L", "L4n")
    driver.button("Edit A").click()
    assert driver.architecture() == first
    expect(driver.button("In the comparison")).to_be_disabled()
    driver.button("Remove A").click()
    expect(driver.page.locator("#comparison li")).to_have_count(1)
    expect(driver.button("Add to comparison")).to_be_enabled()


def test_copied_json_can_be_posted(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    driver = open_page(url, fragment(FOUR_LAYERS))
    assert copied_json(driver) == FOUR_LAYERS
    expect(driver.page.locator("#copy-note")).to_have_text("Copied as JSON.")
    driver.assert_shows(predict(api, copied_json(driver)))


def test_copied_curl_command_runs(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    command = copied(open_page(url, fragment(FOUR_LAYERS)), "curl")
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    (item,) = json.loads(process.stdout)["predictions"]
    assert item["accuracy"] == predict(api, FOUR_LAYERS, proxies=None)["accuracy"]


def test_copied_python_program_runs(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    program = copied(open_page(url, fragment(FOUR_LAYERS)), "Python")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    command = (sys.executable, "-c", program)
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S, env=env)
    item = predict(api, FOUR_LAYERS, proxies=None)
    expected = [item["accuracy"], item["interval"]["low"], item["interval"]["high"]]
    assert [float(number) for number in process.stdout.split()] == pytest.approx(expected, abs=1e-9)
