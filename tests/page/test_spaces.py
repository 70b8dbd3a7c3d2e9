"""The page with several search spaces: their selection, their settings and ensembles, and a space of a plug-in."""

import json
from itertools import pairwise
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from models.gcn_nas import PENG
from tests.page import layout
from tests.page.conftest import OpenPage
from tests.page.page_driver import PageDriver, compare, copied_json, open_space
from tests.page.test_keyboard import AXE_RULES
from tests.page.test_layout import MIN_CONTRAST, WIDTHS_PX
from tests.waiting import PATIENCE_S

SPACES = ["gcn-nas", "nas-bench-graph", "nas-bench-201", "tiny-gcn"]
PLUGIN = "tiny-gcn"


@pytest.fixture(scope="module")
def plugin_api(plugin_url: str) -> Any:
    """The HTTP API of the server with the plug-in."""
    with httpx.Client(base_url=plugin_url, timeout=PATIENCE_S, trust_env=False) as client:
        yield client


def draw(driver: PageDriver, button: str) -> Any:
    """Replace the architecture by a random one, and return it."""
    before = copied_json(driver)
    while copied_json(driver) == before:  # of a small space, a random one may be the same
        driver.record_announcements()
        driver.button(button).click()
        driver.wait_for_announcement("A random")
    driver.wait_until_current()
    return copied_json(driver)


def proxy_rows(driver: PageDriver) -> dict[str, str]:
    rows = driver.page.locator("#proxies tbody tr").all()
    return {row.get_by_role("rowheader").inner_text(): row.get_by_role("cell").first.inner_text() for row in rows}


@pytest.mark.parametrize("space", SPACES)
def test_architectures_are_drawn_scored_and_compared(
    open_page: OpenPage, plugin_url: str, plugin_api: httpx.Client, space: str
) -> None:
    driver = open_page(plugin_url)
    if space != "gcn-nas":
        open_space(driver, space)
    architectures = []
    for number, button in enumerate(("Random", "Mutate"), start=1):
        architectures.append(draw(driver, button))
        driver.button("Add to comparison").click()
        expect(driver.page.locator("#comparison li")).to_have_count(number)
    driver.button("Score all with proxies").click()
    expect(driver.page.locator("#comparison")).to_contain_text("With the scores of all proxies")
    card = plugin_api.get("/v1/spaces").json()[space]
    uses_proxies = False
    if card["ensembles"]:
        uses_proxies = bool(plugin_api.get(f"/v1/ensembles/{card['ensembles'][0]}").json()["proxies"])
        body = {"architectures": architectures, "compare": True, "ensemble": card["ensembles"][0]}
        items = plugin_api.post("/v1/predictions", json=body).json()["predictions"]
        driver.assert_shows(items[1])
        for element, item in zip(driver.page.locator("#comparison li").all(), items, strict=True):
            expect(element).to_contain_text(f"{100 * item['accuracy']:.2f}")
    else:
        expect(driver.page.locator("#ensemble-note")).to_contain_text(f"no ensemble of {space}")
    if not uses_proxies:
        body = {"architectures": architectures, "space": space}
        items = plugin_api.post("/v1/scores", json=body).json()["scores"]
        expect(driver.page.get_by_role("table", name="Proxy scores by architecture")).to_be_visible()
    rows = proxy_rows(driver)
    assert set(rows) == set(items[1]["scores"])
    for name, score in items[1]["scores"].items():
        if score["status"] == "not_applicable":
            assert rows[name] == f"not applicable: {score['note']}"
        else:
            assert ("failed" in rows[name]) is (score["status"] == "failed"), name
    assert any("failed" not in text for text in rows.values())


def test_spaces_keep_their_architectures_and_comparisons(open_page: OpenPage, url: str) -> None:
    driver = open_page(url)
    (compared,) = compare(driver, "L")
    open_space(driver, "nas-bench-201")
    expect(driver.page.locator("#comparison li")).to_have_count(0)
    driver.button("Add to comparison").click()
    cell = draw(driver, "Random")
    open_space(driver, "gcn-nas")
    assert driver.architecture() == compared
    expect(driver.page.locator("#comparison li")).to_have_count(1)
    driver.button("Undo").click()
    assert copied_json(driver) == cell
    expect(driver.page.get_by_role("combobox", name="Search space")).to_have_value("nas-bench-201")
    expect(driver.page.locator("#comparison li")).to_have_count(1)
    driver.button("Redo").click()
    assert driver.architecture() == compared


def test_the_data_set_is_part_of_link_and_history(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    driver = open_page(url, "#nas-bench-graph/0.1.2.3/skip.skip.gcn.gcn")
    architecture, ensembles = copied_json(driver), api.get("/v1/ensembles").json()
    datasets = driver.page.get_by_role("combobox", name="Dataset")
    for dataset in ("pubmed", "cora"):
        datasets.select_option(dataset)
        driver.wait_for(lambda: driver.page.url.endswith(f"&dataset={dataset}"))  # noqa: B023
        driver.wait_until_current()
        names = [name for name, card in ensembles.items() if card["settings"] == {"dataset": dataset}]
        query: dict[str, Any] = {"architectures": [architecture]}
        if names:
            body = {**query, "proxies": [], "ensemble": names[0]}
            driver.assert_shows(api.post("/v1/predictions", json=body).json()["predictions"][0])
        else:
            body = {**query, "settings": {"dataset": dataset}}
            (valid,) = api.post("/v1/architectures/validate", json=body).json()["validations"]
            assert driver.numbers("#source")[0] == pytest.approx(valid["parameters"], rel=5e-4)
    driver.button("Undo").click()
    expect(datasets).to_have_value("pubmed")
    driver.wait_for(lambda: driver.page.url.endswith("&dataset=pubmed"))
    other = open_page(url, "#" + driver.page.url.split("#")[1])
    assert copied_json(other) == architecture
    expect(other.page.get_by_role("combobox", name="Dataset")).to_have_value("pubmed")


def test_the_first_space_is_that_of_the_default_ensemble(driver: PageDriver) -> None:
    assert driver.architecture() == PENG


def test_a_json_box_shows_the_errors_of_its_fields(
    open_page: OpenPage, plugin_url: str, plugin_api: httpx.Client
) -> None:
    driver = open_page(plugin_url)
    open_space(driver, PLUGIN)
    box, errors = driver.page.get_by_role("textbox", name="Architecture as JSON"), driver.page.locator("#json-errors")
    before, link = copied_json(driver), driver.page.url
    refused = {"layers": ["gcn", "gat"], "width": 8}
    response = plugin_api.post("/v1/architectures/validate", json={"architectures": [refused], "space": PLUGIN})
    (problem,) = response.json()["validations"][0]["error"]["errors"]
    box.fill(json.dumps(refused))
    expect(errors).to_contain_text(problem["field"].removeprefix("architectures[0]."))
    expect(errors).to_contain_text(problem["allowed"])
    expect(errors).to_have_attribute("aria-live", "polite")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.fill('{"layers": [')
    expect(errors).to_contain_text("not JSON")
    box.fill("[]")
    expect(errors).to_contain_text("not a JSON object")
    assert copied_json(driver) == before  # the last valid one
    box.fill(text := '{"layers":   ["gcn"], "width": 16}')
    expect(errors).to_have_text("")
    expect(box).to_have_attribute("aria-invalid", "false")
    driver.wait_for(lambda: copied_json(driver) == {"space": PLUGIN, "layers": ["gcn"], "width": 16})
    expect(box).to_have_value(text)
    driver.wait_for(lambda: driver.page.url != link)  # it is updated with a delay
    driver.button("Undo").click()
    assert json.loads(box.input_value()) == before
    driver.wait_for(lambda: driver.page.url == link)
    driver.page.reload()
    driver.wait_until_current()
    assert json.loads(box.input_value()) == before


def test_the_metric_of_the_ensemble_is_named(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    cards = api.get("/v1/ensembles").json()
    cards["gcn-nas-ntu"]["task"]["metric"] |= {"name": "roc_auc", "label": "ROC-AUC"}
    driver = open_page(url, wait=False)
    expect(driver.page.get_by_role("heading", name="Predicted accuracy", exact=True)).to_be_visible()
    driver.page.route("**/v1/ensembles", lambda route: route.fulfill(json=cards))
    driver.page.reload()
    expect(driver.page.get_by_role("heading", name="Predicted ROC-AUC", exact=True)).to_be_visible()
    headings = driver.page.get_by_role("table", name="Estimates of the combiners").get_by_role("columnheader")
    expect(headings.nth(1)).to_have_text("ROC-AUC")
    driver.page.get_by_text("About the ensemble").click()
    expect(driver.page.locator("#card")).to_contain_text("range of ROC-AUC")


def test_the_schema_is_beside_the_json_box(open_page: OpenPage, plugin_url: str, plugin_api: httpx.Client) -> None:
    driver = open_page(plugin_url)
    open_space(driver, PLUGIN)
    driver.page.get_by_text("JSON Schema", exact=True).click()
    schema = driver.page.get_by_role("region", name="JSON Schema")
    assert json.loads(schema.inner_text()) == plugin_api.get("/v1/spaces").json()[PLUGIN]["schema"]


@pytest.mark.parametrize("space", SPACES[1:])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_editor_is_accessible(open_page: OpenPage, plugin_url: str, space: str, theme: str) -> None:
    driver = open_page(plugin_url, color_scheme=theme)
    open_space(driver, space)
    driver.button("Add to comparison").click()
    expect(driver.page.locator("#comparison li")).to_have_count(1)
    results = Axe().run(driver.page, options={"runOnly": {"type": "tag", "values": AXE_RULES}})
    violations = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in results.response["violations"]}
    assert not violations, json.dumps(violations, indent=1)
    assert {text: ratio for text, ratio in layout.contrasts(driver.page) if ratio < MIN_CONTRAST} == {}
    tags = driver.page.locator("h1, h2, h3").evaluate_all("headings => headings.map((heading) => heading.tagName)")
    assert all(int(after[1]) - int(before[1]) <= 1 for before, after in pairwise(tags))


@pytest.mark.parametrize("space", SPACES[1:])
def test_every_editor_fits_at_every_width(open_page: OpenPage, plugin_url: str, space: str) -> None:
    driver = open_page(plugin_url)
    open_space(driver, space)
    for number, button in enumerate(("Random", "Random"), start=1):
        draw(driver, button)
        driver.button("Add to comparison").click()
        expect(driver.page.locator("#comparison li")).to_have_count(number)
    for width in WIDTHS_PX:
        layout.resize(driver.page, width)
        assert (width, layout.overflow(driver.page)) == (width, 0)
        assert (width, layout.clipped(driver.page)) == (width, [])
        assert (width, layout.overlapping(driver.page)) == (width, [])
        assert (width, layout.clipped(driver.page, "svg.cell")) == (width, [])
