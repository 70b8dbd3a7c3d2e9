"""The page without a mouse, and as a screen reader has it."""

import json
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page import looks
from tests.page.conftest import Visit
from tests.page.studio import MODULES, Studio, compare, fragment
from tests.page.test_scoring import FOUR, score

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(studio: Studio, name: str, back: bool = False) -> None:
    """Press Tab until the focus is there."""
    key, seen = "Shift+Tab" if back else "Tab", []
    for _ in range(100):
        press(studio.page, key)
        seen.append(looks.focus(studio.page))
        if seen[-1].startswith(name):
            return
    raise AssertionError(f"Tab does not reach {name!r}, but {seen}")


def test_edit_apply_and_score_without_a_mouse(visit: Visit, url: str) -> None:
    studio = visit(url, fragment(FOUR))
    tab_to(studio, "layer 1, module L")
    press(studio.page, "ArrowRight", "ArrowDown")
    assert looks.focus(studio.page) == "layer 2, module L4n"
    press(studio.page, "Space")
    assert "L4n" in studio.architecture()["layers"][1]
    press(studio.page, "Home", "ArrowUp", "ArrowUp", "ArrowLeft")  # no further than the edge
    assert looks.focus(studio.page) == "layer 1, module L"
    press(studio.page, "Control+End")
    assert looks.focus(studio.page) == "layer 4, module ST"

    expect(studio.page.locator("#edits")).to_have_attribute("data-state", "current")
    before, drawn = studio.numbers("#accuracy")[0], studio.architecture()
    tab_to(studio, "add ")
    press(studio.page, "Enter")
    studio.settled()
    assert studio.architecture() != drawn
    assert studio.numbers("#accuracy")[0] >= before
    assert looks.focus(studio.page) != "BODY"

    tab_to(studio, "Score with proxies", back=True)
    press(studio.page, "Enter")
    expect(studio.button("Scored with proxies")).to_be_visible()
    assert studio.page.locator("#proxies tbody tr").count() > 0


def test_the_grid_is_one_stop_of_the_tab_key(studio: Studio) -> None:
    tab_to(studio, "layer 1, module L")
    press(studio.page, "ArrowDown", "ArrowRight", "Tab")
    assert not looks.focus(studio.page).startswith("layer")
    press(studio.page, "Shift+Tab")
    assert looks.focus(studio.page) == "layer 2, module L4n"


def test_the_link_to_the_grid_leads_there(studio: Studio) -> None:
    before = studio.architecture()
    press(studio.page, "Tab")
    assert looks.focus(studio.page) == "Skip to the grid"
    press(studio.page, "Enter", "Tab")
    assert looks.focus(studio.page) == "layer 1, module L"
    expect(studio.page.locator("#editor-problem")).to_be_hidden()
    studio.page.wait_for_timeout(300)  # the address is kept up a little later
    assert studio.architecture() == before
    studio.page.reload()
    studio.settled()
    assert studio.architecture() == before


def test_the_focus_is_seen_everywhere_and_goes_around(visit: Visit, url: str) -> None:
    studio = visit(url, fragment(FOUR))
    compare(studio, "L4n", "ST")
    score(studio)
    studio.page.get_by_role("link", name="Skip to the grid").focus()
    seen: dict[str, bool] = {}
    for _ in range(200):
        press(studio.page, "Tab")
        if (name := looks.focus(studio.page)) in seen or name == "BODY":
            break
        seen[name] = looks.focus_is_seen(studio.page)
    assert {name for name, is_seen in seen.items() if not is_seen} == set()
    wanted = {"Random", "Theme", "Layers", "Undo", "Copy as Python", "Remove B", "Jobs", "Why"}
    assert wanted - set(seen) == set()


def test_what_happens_is_told(studio: Studio) -> None:
    status = studio.page.get_by_role("status")
    studio.cell(1, "L").click()
    studio.settled()
    expect(status).to_contain_text(studio.page.locator("#accuracy").inner_text())
    expect(status).to_contain_text(f"{studio.page.locator('#warnings li').count()} warning")
    studio.button("Add to comparison").click()
    expect(status).to_contain_text("comparison as A")


def everything(visit: Visit, url: str, **options: Any) -> Studio:
    """The page with all that it can show."""
    studio = visit(url, fragment(FOUR), **options)
    compare(studio, "L4n", "ST")
    score(studio)
    for name in ("What predictions rest on", "Jobs"):
        studio.page.get_by_role("heading", name=name).click()
    expect(studio.page.locator("#jobs tbody tr").first).to_be_visible()
    return studio


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, url: str, theme: str) -> None:
    studio = everything(visit, url, color_scheme=theme)
    found = Axe().run(studio.page, options={"runOnly": {"type": "tag", "values": RULES}})
    assert found.response["passes"]
    violations = {one["id"]: [node["html"] for node in one["nodes"]] for one in found.response["violations"]}
    assert not violations, json.dumps(violations, indent=1)


def test_names_and_order_for_a_screen_reader(visit: Visit, url: str) -> None:
    page = everything(visit, url).page
    tags = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map((one) => one.tagName)")
    levels = [int(tag[1]) for tag in tags]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("banner", "main"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("grid").get_by_role("row")).to_have_count(2 + 4)
    for module in MODULES:
        expect(page.get_by_role("columnheader", name=module, exact=True)).to_have_count(1)
