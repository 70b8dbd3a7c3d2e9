"""The editor of cells: selects of links and operations beside a drawing."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.page import layout
from tests.page.conftest import OpenPage
from tests.page.page_driver import PageDriver, copied_json, open_space, sample
from tests.page.test_keyboard import press, tab_to

GRAPH: dict[str, Any] = {"space": "nas-bench-graph", "link": [0, 0, 1, 2], "ops": ["gcn", "gat", "sage", "skip"]}
IMAGES: dict[str, Any] = {
    "space": "nas-bench-201",
    "ops": ["nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1", "avg_pool_3x3", "nor_conv_3x3"],
}
GRAPH_LINK = "#nas-bench-graph/0.0.1.2/gcn.gat.sage.skip&dataset=cora"
IMAGES_LINK = "#nas-bench-201/nor_conv_3x3.none.skip_connect.nor_conv_1x1.avg_pool_3x3.nor_conv_3x3&dataset=cifar10"


def drawing(driver: PageDriver) -> Locator:
    return driver.page.locator(".drawing svg")


def choose(driver: PageDriver, name: str, option: str) -> None:
    driver.page.get_by_role("combobox", name=name, exact=True).select_option(option)


@pytest.mark.parametrize(
    ("link", "architecture", "texts"),
    [
        (GRAPH_LINK, GRAPH, ["cell input", "1 gcn", "2 gat", "3 sage", "4 skip", "output"]),
        (IMAGES_LINK, IMAGES, ["0", "1", "2", "3", *IMAGES["ops"]]),
    ],
)
def test_a_link_opens_a_cell_and_draws_it(
    open_page: OpenPage, url: str, link: str, architecture: Any, texts: list[str]
) -> None:
    driver = open_page(url, link)
    assert copied_json(driver) == architecture
    assert sorted(drawing(driver).locator("text").all_text_contents()) == sorted(texts)
    driver.wait_for(lambda: driver.page.url.split("#")[1].startswith(link[1:]))


def test_an_operation_and_an_input_are_changed(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, GRAPH_LINK)
    choose(driver, "node 2, operation", "cheb")
    choose(driver, "node 4, input", "node 3")
    driver.wait_until_current()
    changed = {**GRAPH, "link": [0, 0, 1, 3], "ops": ["gcn", "cheb", "sage", "skip"]}
    assert copied_json(driver) == changed
    expect(drawing(driver)).to_have_accessible_name(
        "node 1: gcn of cell input, node 2: cheb of cell input, node 3: sage of node 1, node 4: skip of node 3"
    )
    driver.button("Undo").click()
    driver.button("Undo").click()
    assert copied_json(driver) == GRAPH
    expect(driver.page.get_by_role("combobox", name="node 2, operation")).to_have_value("gat")


def test_an_operation_of_an_edge_is_changed(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, IMAGES_LINK)
    choose(driver, "edge 0 → 2, operation", "avg_pool_3x3")
    driver.wait_until_current()
    assert copied_json(driver)["ops"][1] == "avg_pool_3x3"
    expect(drawing(driver)).to_have_accessible_name(re.compile("edge 0 → 2: avg_pool_3x3"))


def test_the_canonical_form_is_shown_where_it_differs(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    raw = {"space": "nas-bench-graph", "link": [0, 1, 2, 3], "ops": ["gcn", "skip", "gat", "skip"]}
    driver = open_page(url, "#nas-bench-graph/0.1.2.3/gcn.skip.gat.skip")
    response = api.post("/v1/architectures/validate", json={"architectures": [raw]}).json()
    canonical = response["validations"][0]["architecture"]
    assert canonical["ops"] != raw["ops"]
    note = driver.page.locator("#canonical-form")
    expect(note).to_contain_text(f"node 3: {canonical['ops'][2]} of node {canonical['link'][2]}")
    assert copied_json(driver) == raw  # the selects stay as they were set
    for node, operation in enumerate(canonical["ops"], start=1):
        choose(driver, f"node {node}, operation", operation)
    for node, source in enumerate(canonical["link"][1:], start=2):
        choose(driver, f"node {node}, input", str(source))
    driver.wait_until_current()
    expect(note).to_have_text("")


def test_a_cell_is_edited_with_the_keyboard(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, GRAPH_LINK)
    press(driver.page, "Tab", "Enter")
    tab_to(driver, "node 1, operation")
    press(driver.page, "ArrowDown", "Tab")
    assert layout.focused_name(driver.page) == "node 2, input"
    press(driver.page, "ArrowDown", "Tab")
    assert layout.focused_name(driver.page) == "node 2, operation"
    assert layout.has_focus_ring(driver.page)
    driver.wait_until_current()
    architecture = copied_json(driver)
    assert (architecture["link"][1], architecture["ops"][0]) == (1, "gin")
    driver.page.keyboard.press("Control+z")
    assert copied_json(driver)["link"] == GRAPH["link"]


@pytest.mark.parametrize("space", ["nas-bench-graph", "nas-bench-201"])
def test_nothing_overlaps_in_a_drawing(open_page: OpenPage, url: str, api: httpx.Client, space: str) -> None:
    driver = open_page(url)
    open_space(driver, space)
    for architecture in sample(api, 12, space=space):
        driver.follow(link_of(architecture))
        driver.wait_until_current()
        for elements in ("svg.cell text", "svg.cell rect, svg.cell circle", "svg.cell > text, svg.cell circle"):
            assert layout.overlapping(driver.page, f".drawing :is({elements})") == [], architecture


def link_of(architecture: Any) -> str:
    """Return the URL fragment of an architecture of the API."""
    if "link" in architecture:
        return f"#nas-bench-graph/{'.'.join(map(str, architecture['link']))}/{'.'.join(architecture['ops'])}"
    operations = [part.partition("~")[0] for part in architecture["arch"].replace("+", "").split("|") if part]
    return f"#nas-bench-201/{'.'.join(operations)}"


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("#nas-bench-graph/0.2.0.0/gcn.gcn.gcn.gcn", "an earlier node"),
        ("#nas-bench-graph/0.0.0.0/gcn.gcn.gcn", "3 operations"),
        ("#nas-bench-graph/0.0.0.0/gcn.gcn.gcn.gnc", "an operation gnc"),
        ("#nas-bench-201/none.none", "2 operations"),
        ("#nas-bench-graph/0.0.0.0/gcn.gcn.gcn.gcn&dataset=coro", "the link's dataset is coro"),
        ("#nas-bench-graph/0.0.0.0/gcn.gcn.gcn.gcn&colour=red", "a setting colour"),
        ("#dataset=cora", "no architecture"),
        ("#nas-bench-201/none.none.none.none.none.none&gcn-nas/S/S/S/S", "compares nas-bench-201 with gcn-nas"),
    ],
)
def test_an_invalid_link_is_refused(open_page: OpenPage, url: str, link: str, message: str) -> None:
    driver = open_page(url, link)
    expect(driver.page.locator("#editor-problem")).to_contain_text(message)


def test_a_data_set_restricts_operations_and_presets(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    driver = open_page(url, GRAPH_LINK)
    options = driver.page.get_by_role("combobox", name="node 1, operation", exact=True).locator("option")
    assert options.and_(driver.page.locator(":disabled")).count() == 0
    expect(driver.button("gat × 2")).to_be_enabled()
    driver.errors.expect("422")  # of a prediction of `gat`, which proteins does not have
    choose(driver, "Dataset", "proteins")
    expect(driver.button("gat × 2")).to_be_disabled()
    expect(driver.button("gcn × 2")).to_be_enabled()
    expect(driver.page.locator("#prediction-problem")).to_contain_text("'gat'")  # of node 2, as it was
    for operation in options.all():
        body = {"space": "nas-bench-graph", "settings": {"dataset": "proteins"}}
        architecture = {**GRAPH, "ops": [operation.inner_text(), "fc", "fc", "fc"]}
        response = api.post("/v1/architectures/validate", json={"architectures": [architecture], **body}).json()
        assert ("error" in response["validations"][0]) is operation.is_disabled(), operation.inner_text()
    choose(driver, "node 2, operation", "fc")
    driver.wait_until_current()
    expect(driver.page.locator("#prediction-problem")).to_be_hidden()
