"""An ensemble that only ranks: a dash in place of the accuracy, and a warning of what its ranks rest on."""

from pathlib import Path

import httpx
from playwright.sync_api import expect

from ensemble import Benchmark, Ensemble
from models import get_space
from service.cli.demo import server
from service.settings import SHIPPED
from tests.page.conftest import OpenPage
from tests.page.page_driver import fragment, sample
from tests.waiting import PATIENT_SERVER


def test_a_rank_is_shown_without_an_accuracy(open_page: OpenPage, api: httpx.Client, tmp_path: Path) -> None:
    source = Ensemble.load(SHIPPED / "gcn-nas-ntu")
    table = Benchmark("new", get_space("gcn-nas"), ())
    Ensemble.fit(table, name="gcn-nas-new", sources=[source]).save(tmp_path / "gcn-nas-new")
    settings = {"ARCHRANK_ENSEMBLES_DIR": str(tmp_path), "ARCHRANK_DEFAULT_ENSEMBLE": "gcn-nas-new"}
    first, second = sample(api, 2)
    with server(PATIENT_SERVER | settings) as address:
        driver = open_page(address, fragment(first, second))
        page = driver.page
        expect(page.locator("#accuracy")).to_have_text("—")
        expect(page.locator("#interval")).to_have_text("rank only")
        expect(page.locator("#percentile")).to_contain_text("of random architectures")
        expect(page.locator("#warnings")).to_contain_text("ranks and percentiles only")
        expect(page.locator("#comparison li").first).to_contain_text("rank only")
        expect(page.locator("#card")).to_contain_text("gcn-nas-ntu")
