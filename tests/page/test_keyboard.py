"""The page without a mouse, and with a screen reader."""

import json
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, Route, expect

from tests.page.conftest import OpenPage
from tests.page.layout import focused_name, has_focus_ring
from tests.page.page_driver import MODULES, PageDriver, compare, fragment
from tests.page.test_scoring import FOUR_LAYERS, score

AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(driver: PageDriver, name: str, backwards: bool = False) -> None:
    """Press Tab until an element whose name begins with `name` has the focus."""
    key, seen = "Shift+Tab" if backwards else "Tab", []
    for _ in range(100):
        press(driver.page, key)
        seen.append(focused_name(driver.page))
        if seen[-1].startswith(name):
            return
    raise AssertionError(f"Tab does not reach {name!r}, but {seen}")


def test_edit_apply_and_score_without_a_mouse(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, fragment(FOUR_LAYERS))
    tab_to(driver, "layer 1, module L")
    press(driver.page, "ArrowRight", "ArrowDown")
    assert focused_name(driver.page) == "layer 2, module L4n"
    press(driver.page, "Space")
    assert "L4n" in driver.architecture()["layers"][1]
    press(driver.page, "Home", "ArrowUp", "ArrowUp", "ArrowLeft")  # beyond the edge
    assert focused_name(driver.page) == "layer 1, module L"
    press(driver.page, "Control+End")
    assert focused_name(driver.page) == "layer 4, module ST"

    expect(driver.page.locator("#mutations")).to_have_attribute("data-state", "current")
    before, architecture = driver.numbers("#accuracy")[0], driver.architecture()
    tab_to(driver, "add ")
    press(driver.page, "Enter")
    driver.wait_until_current()
    assert driver.architecture() != architecture
    assert driver.numbers("#accuracy")[0] >= before
    assert focused_name(driver.page) != "BODY"

    tab_to(driver, "Score with proxies", backwards=True)
    press(driver.page, "Enter")
    expect(driver.button("Scored with proxies")).to_be_visible()
    assert driver.page.locator("#proxies tbody tr").count() > 0


def test_the_grid_is_one_stop_of_the_tab_key(driver: PageDriver) -> None:
    tab_to(driver, "layer 1, module L")
    press(driver.page, "ArrowDown", "ArrowRight", "Tab")
    assert not focused_name(driver.page).startswith("layer")
    press(driver.page, "Shift+Tab")
    assert focused_name(driver.page) == "layer 2, module L4n"


def test_the_skip_link_leads_to_the_architecture(driver: PageDriver) -> None:
    before = driver.architecture()
    press(driver.page, "Tab")
    assert focused_name(driver.page) == "Skip to the architecture"
    press(driver.page, "Enter", "Tab")
    assert focused_name(driver.page) == "layer 1, module L"
    expect(driver.page.locator("#editor-problem")).to_be_hidden()
    driver.page.wait_for_timeout(300)  # the URL is updated with a delay
    assert driver.architecture() == before
    driver.page.reload()
    driver.wait_until_current()
    assert driver.architecture() == before


def test_the_focus_is_visible_everywhere_and_cycles(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, fragment(FOUR_LAYERS))
    compare(driver, "L4n", "ST")
    score(driver)
    driver.page.get_by_role("link", name="Skip to the architecture").focus()
    visible: dict[str, bool] = {}
    for _ in range(200):
        press(driver.page, "Tab")
        if (name := focused_name(driver.page)) in visible or name == "BODY":
            break
        visible[name] = has_focus_ring(driver.page)
    assert {name for name, is_visible in visible.items() if not is_visible} == set()
    names = {
        "Random",
        "Theme",
        "Layers",
        "Undo",
        "Copy as Python",
        "Remove B",
        "Jobs",
        "Contributions to the prediction",
    }
    assert names - set(visible) == set()


def test_the_focus_stays_where_the_comparison_is_drawn_again(open_page: OpenPage, url: str) -> None:
    driver, held = open_page(url, fragment(FOUR_LAYERS)), list[Route]()
    compare(driver, "L4n", "ST")
    button = driver.button("Score all with proxies")
    expect(button).to_be_visible()
    driver.wait_until_explained()
    driver.page.route("**/v1/predictions", lambda route: held.append(route), times=1)
    score(driver)  # of one of the two, after which they are compared anew
    driver.wait_for(lambda: held)
    button.focus()
    button.evaluate("(element) => { element.dataset.before = ''; }")
    held[0].continue_()
    expect(driver.page.locator("[data-before]")).to_have_count(0)
    assert focused_name(driver.page) == "Score all with proxies"


def test_changes_are_announced(driver: PageDriver) -> None:
    expect(driver.page.get_by_role("status")).to_have_attribute("id", "status")
    driver.record_announcements()
    driver.cell(1, "L").click()
    driver.wait_until_current()
    driver.wait_for_announcement(driver.page.locator("#accuracy").inner_text())
    driver.wait_for_announcement(f"{driver.page.locator('#warnings li').count()} warning")
    driver.button("Add to comparison").click()
    driver.wait_for_announcement("comparison as A")


def open_with_everything(open_page: OpenPage, url: str, **options: Any) -> PageDriver:
    """Open the page with all of its parts."""
    driver = open_page(url, fragment(FOUR_LAYERS), **options)
    compare(driver, "L4n", "ST")
    score(driver)
    for name in ("About the ensemble", "Jobs"):
        driver.page.get_by_role("heading", name=name).click()
    expect(driver.page.locator("#jobs tbody tr").first).to_be_visible()
    return driver


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(open_page: OpenPage, url: str, theme: str) -> None:
    driver = open_with_everything(open_page, url, color_scheme=theme)
    results = Axe().run(driver.page, options={"runOnly": {"type": "tag", "values": AXE_RULES}})
    assert results.response["passes"]
    violations = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in results.response["violations"]}
    assert not violations, json.dumps(violations, indent=1)


def test_names_and_order_for_a_screen_reader(open_page: OpenPage, url: str) -> None:
    page = open_with_everything(open_page, url).page
    tags = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("headings => headings.map((heading) => heading.tagName)")
    levels = [int(tag[1]) for tag in tags]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("banner", "main"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("grid").get_by_role("row")).to_have_count(2 + 4)
    for module in MODULES:
        expect(page.get_by_role("columnheader", name=module, exact=True)).to_have_count(1)
