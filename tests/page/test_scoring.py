"""Scoring with proxies: a job, its progress, and every proxy's word."""

import json
import re
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.page.conftest import Visit
from tests.page.studio import Studio, compare, fragment, predicted

FOUR: dict[str, Any] = {"space": "gcn-nas", "layers": [["L2", "S"], ["L4", "T"], ["L3", "S", "ST"], ["L", "T"]]}


def drawn(n: int, api: httpx.Client, **query: Any) -> list[Any]:
    """Architectures that nothing else asks for."""
    found: list[Any] = api.get("/v1/spaces/gcn-nas/sample", params={"n": n, **query}).json()["architectures"]
    return found


def score(studio: Studio) -> None:
    studio.button("Score with proxies").click()
    expect(studio.button("Scored with proxies")).to_be_visible()


def proxy_rows(studio: Studio) -> dict[str, Locator]:
    rows = studio.page.locator("#proxies tbody tr").all()
    return {row.get_by_role("rowheader").inner_text(): row for row in rows}


def test_a_job_with_progress_ends_in_what_the_api_says(visit: Visit, url: str, api: httpx.Client) -> None:
    (architecture,) = drawn(1, api, depth=10, seed=601)
    studio = visit(url, fragment(architecture))
    assert studio.architecture() == architecture
    studio.button("Score with proxies").click()
    progress = studio.page.locator("#progress")
    expect(progress.get_by_role("progressbar")).to_be_visible()
    expect(progress).to_contain_text(re.compile("of 1 scored|waiting"))
    expect(studio.button("Score with proxies")).to_be_disabled()
    expect(studio.button("Scored with proxies")).to_be_visible()
    expect(progress).to_be_hidden()

    item = predicted(api, architecture, proxies=None)
    assert item["cached"]  # it is the job's, nothing was computed again
    studio.assert_shows(item)
    expect(studio.page.locator("#combiners")).not_to_contain_text("needs proxies")
    population = api.get("/v1/ensembles/gcn-nas-ntu/population").json()["proxies"]
    rows = proxy_rows(studio)
    assert set(rows) == set(item["scores"])
    for name, row in rows.items():
        value, percentile, took = (cell.inner_text() for cell in row.get_by_role("cell").all())
        said = item["scores"][name]
        expected = said["value"] if said["log"] is None else said["log"]
        shown = float(value.removeprefix("log ").replace("−", "-").replace("E", "e"))
        assert shown == pytest.approx(expected, rel=5.1e-4), name
        place = np.interp(expected, population[name], np.linspace(0, 100, len(population[name])))
        assert float(percentile.split()[0]) == pytest.approx(place, abs=0.0501), name
        assert took


def test_an_edit_leaves_the_scores_behind_and_coming_back_finds_them(visit: Visit, url: str) -> None:
    studio = visit(url, fragment(FOUR))
    score(studio)
    assert proxy_rows(studio)
    studio.cell(1, "ST").click()
    studio.settled()
    assert not proxy_rows(studio)
    expect(studio.button("Score with proxies")).to_be_enabled()
    studio.cell(1, "ST").click()
    expect(studio.button("Scored with proxies")).to_be_disabled()
    assert proxy_rows(studio)


def test_a_job_is_cancelled(visit: Visit, url: str, api: httpx.Client) -> None:
    studio = visit(url, fragment(drawn(1, api, depth=10, seed=602)[0]))
    compare(studio, "L", "L4n", "L4", "L3")
    studio.button("Score all with proxies").click()
    progress = studio.page.locator("#progress")
    expect(progress).to_contain_text(re.compile("of 4 scored"))
    progress.get_by_role("button", name="Cancel").click()
    expect(progress).to_be_hidden()
    expect(studio.page.get_by_role("status")).to_contain_text("Cancelled")
    newest = api.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]
    assert (newest["state"], newest["counts"]["total"]) == ("cancelled", 4)
    assert newest["counts"]["done"] < 4


def test_the_list_of_jobs(visit: Visit, url: str, api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={"architectures": [FOUR], "proxies": ["params"]}).json()
    studio = visit(url)
    studio.page.get_by_role("heading", name="Jobs").click()
    region = studio.page.get_by_role("region", name="Jobs")
    row = region.locator("tbody tr").filter(has=studio.page.get_by_title(f"job {job['id'][:8]}"))
    expect(row).to_contain_text("done")
    expect(row).to_contain_text("100")
    with studio.page.expect_download() as download:
        row.get_by_role("link").click()
    (saved,) = json.loads(download.value.path().read_text())["results"]
    assert saved == api.get(f"/v1/jobs/{job['id']}/results").json()["results"][0]["result"]


def test_the_ensemble_s_card(studio: Studio, api: httpx.Client) -> None:
    said = api.get("/v1/ensembles/gcn-nas-ntu").json()
    studio.page.get_by_role("heading", name="What predictions rest on").click()
    card = studio.page.locator("#card")
    expect(card).to_contain_text(f"{said['benchmark']['architectures']} trained architectures")
    row = card.locator("tbody tr").filter(has=studio.page.get_by_role("rowheader", name="stacked", exact=True))
    expect(row).to_contain_text(f"{said['measured']['stacked']['spearman']['mean']:.3f}")
    for limit in said["limits"]:
        expect(card).to_contain_text(limit)
