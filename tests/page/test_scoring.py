"""Scoring with proxies: a job, its progress and its results."""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.page.conftest import OpenPage
from tests.page.page_driver import PageDriver, compare, fragment, predict, sample

FOUR_LAYERS: dict[str, Any] = {"space": "gcn-nas", "layers": [["L2", "S"], ["L4", "T"], ["L3", "S", "ST"], ["L", "T"]]}


def score(driver: PageDriver) -> None:
    driver.button("Score with proxies").click()
    expect(driver.button("Scored with proxies")).to_be_visible()


def proxy_rows(driver: PageDriver) -> dict[str, Locator]:
    rows = driver.page.locator("#proxies tbody tr").all()
    return {row.get_by_role("rowheader").inner_text(): row for row in rows}


def parse_number(text: str) -> float:
    """Return the number of a text such as `log 57.92` or `−5.633 × 10⁹`."""
    mantissa, _, exponent = text.removeprefix("log ").replace("−", "-").partition(" × 10")
    return float(mantissa) * 10.0 ** int(unicodedata.normalize("NFKC", exponent or "0").replace("−", "-"))


def test_a_job_shows_its_progress_and_the_results_of_the_api(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    (architecture,) = sample(api, depth=10, seed=601)
    driver = open_page(url, fragment(architecture))
    assert driver.architecture() == architecture
    driver.button("Score with proxies").click()
    progress = driver.page.locator("#progress")
    expect(progress.get_by_role("progressbar")).to_be_visible()
    expect(progress).to_contain_text(re.compile("of 1 scored|queued"))
    expect(driver.button("Score with proxies")).to_be_disabled()
    expect(driver.button("Scored with proxies")).to_be_visible()
    expect(progress).to_be_hidden()

    item = predict(api, architecture, proxies=None)
    assert item["cached"]  # the job's result, not a new one
    driver.assert_shows(item)
    expect(driver.page.locator("#combiners")).not_to_contain_text("needs proxies")
    quantiles = api.get("/v1/ensembles/gcn-nas-ntu/reference-set").json()["proxies"]
    driver.wait_for_reference_set()
    rows = proxy_rows(driver)
    assert set(rows) == set(item["scores"])
    for name, row in rows.items():
        value, percentile, seconds = (cell.inner_text() for cell in row.get_by_role("cell").all())
        proxy_score = item["scores"][name]
        expected = proxy_score["value"] if proxy_score["log"] is None else proxy_score["log"]
        assert parse_number(value) == pytest.approx(expected, rel=5.1e-4), name
        position = np.interp(expected, quantiles[name], np.linspace(0, 100, len(quantiles[name])))
        assert float(percentile.split()[0]) == pytest.approx(position, abs=0.0501), name
        assert seconds


def test_scores_are_hidden_after_an_edit_and_found_again_after_undoing_it(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, fragment(FOUR_LAYERS))
    score(driver)
    assert proxy_rows(driver)
    driver.cell(1, "ST").click()
    driver.wait_until_current()
    assert not proxy_rows(driver)
    expect(driver.button("Score with proxies")).to_be_enabled()
    driver.cell(1, "ST").click()
    expect(driver.button("Scored with proxies")).to_be_disabled()
    assert proxy_rows(driver)


@pytest.fixture
def other_jobs(api: httpx.Client) -> Iterator[None]:
    """Seven jobs that take turns with that of the page, so that it lasts until it is cancelled."""
    bodies = [{"architectures": sample(api, 4, depth=10, seed=seed)} for seed in range(610, 617)]
    jobs = [api.post("/v1/jobs", json=body).json()["id"] for body in bodies]
    yield
    for job in jobs:
        api.delete(f"/v1/jobs/{job}")


@pytest.mark.usefixtures("other_jobs")
def test_a_job_is_cancelled(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    driver = open_page(url, fragment(sample(api, depth=10, seed=602)[0]))
    driver.record_announcements()
    compare(driver, "L", "L4n", "L4", "L3")
    driver.button("Score all with proxies").click()
    progress = driver.page.locator("#progress")
    expect(progress).to_contain_text(re.compile("of 4 scored"))
    progress.get_by_role("button", name="Cancel").click()
    expect(progress).to_be_hidden()
    driver.wait_for_announcement("Cancelled")
    newest = api.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]
    assert (newest["state"], newest["counts"]["total"]) == ("cancelled", 4)
    assert newest["counts"]["done"] < 4


def test_the_list_of_jobs(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={"architectures": [FOUR_LAYERS], "proxies": ["params"]}).json()
    driver = open_page(url)
    driver.page.get_by_role("heading", name="Jobs").click()
    region = driver.page.get_by_role("region", name="Jobs")
    row = region.locator("tbody tr").filter(has=driver.page.get_by_title(f"job {job['id'][:8]}"))
    expect(row).to_contain_text("done")
    expect(row).to_contain_text("100")
    with driver.page.expect_download() as download:
        row.get_by_role("link").click()
    (saved,) = json.loads(download.value.path().read_text())["results"]
    assert saved == api.get(f"/v1/jobs/{job['id']}/results").json()["results"][0]["result"]


def test_the_ensemble_s_card(driver: PageDriver, api: httpx.Client) -> None:
    document = api.get("/v1/ensembles/gcn-nas-ntu").json()
    driver.page.get_by_role("heading", name="About the ensemble").click()
    card = driver.page.locator("#card")
    expect(card).to_contain_text(f"{document['benchmark']['size']} trained architectures")
    row = card.locator("tbody tr").filter(has=driver.page.get_by_role("rowheader", name="stacked", exact=True))
    metrics = document["metrics"]["stacked"]
    expect(row).to_contain_text(f"{metrics['spearman']['mean']:.3f}")
    expect(row).to_contain_text(f"{metrics['within_stratum_spearman']['mean']:.3f}")
    expect(row).to_contain_text(f"{100 * metrics['coverage']['overall']['mean']:.1f}")
    for limitation in document["limitations"]:
        expect(card).to_contain_text(limitation)
