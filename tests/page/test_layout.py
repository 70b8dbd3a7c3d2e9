"""Layout of the page: at each width, in both themes, enlarged, without motion and with forced colors."""

import pytest
from playwright.sync_api import expect

from tests.page import layout
from tests.page.conftest import OpenPage
from tests.page.page_driver import PageDriver
from tests.page.test_keyboard import open_with_everything

WIDTHS_PX = [320, 400, 640, 700, 1000, 1280, 1600]
"""320 and 640 are 1280 pixels enlarged to 400 % (WCAG 2.2, 1.4.10) and 200 %."""
MIN_CONTRAST = 4.5
"""Contrast ratio of text (WCAG 2.2, 1.4.3)."""


def test_everything_fits_and_nothing_overlaps_at_every_width(open_page: OpenPage, url: str) -> None:
    driver = open_with_everything(open_page, url)
    for width in WIDTHS_PX:
        layout.resize(driver.page, width)
        assert (width, layout.overflow(driver.page)) == (width, 0)
        assert (width, layout.clipped(driver.page)) == (width, [])
        assert (width, layout.overlapping(driver.page)) == (width, [])
        chart = driver.page.locator("#reference-set svg").bounding_box()
        assert chart is not None
        assert chart["x"] + chart["width"] <= width


def test_an_edit_moves_nothing_that_is_clicked_next(driver: PageDriver) -> None:
    names = ["Undo", "Score with proxies", "Add to comparison", "Copy as Python"]
    driver.wait_for_reference_set()
    places = [[driver.button(name).bounding_box() for name in names]]
    warnings = driver.page.locator("#warnings li").count()
    for layer, module in ((1, "L"), (2, "L"), (3, "S")):
        driver.cell(layer, module).click()
        driver.wait_until_current()
        places.append([driver.button(name).bounding_box() for name in names])
    assert driver.page.locator("#warnings li").count() < warnings
    assert all(boxes == places[0] for boxes in places)


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_the_api_link_leads_to_a_page_that_fits(driver: PageDriver, width: int) -> None:
    layout.resize(driver.page, width)
    driver.page.get_by_role("link", name="API").click()
    expect(driver.page.locator(".opblock").first).to_be_visible()
    assert layout.overflow(driver.page) == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_is_readable(open_page: OpenPage, url: str, theme: str) -> None:
    driver = open_with_everything(open_page, url, color_scheme=theme)
    contrasts = layout.contrasts(driver.page)
    assert len(contrasts) > 200
    assert {text: ratio for text, ratio in contrasts if ratio < MIN_CONTRAST} == {}


def background(driver: PageDriver) -> str:
    color: str = driver.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def test_the_theme_follows_the_system_until_one_is_chosen(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, color_scheme="light")
    light = background(driver)
    driver.page.emulate_media(color_scheme="dark")
    dark = background(driver)
    assert light != dark
    driver.page.get_by_role("combobox", name="Theme").select_option("light")
    assert background(driver) == light
    driver.page.reload()
    driver.wait_until_current()
    assert background(driver) == light
    driver.page.get_by_role("combobox", name="Theme").select_option("system")
    assert background(driver) == dark


def test_without_motion_and_with_forced_colors(open_page: OpenPage, url: str) -> None:
    driver = open_page(url, reduced_motion="reduce", forced_colors="active")
    driver.cell(1, "L").click()
    driver.wait_until_current()
    moving = "document.getAnimations().length"
    durations = "[...document.querySelectorAll('*')].map((element) => getComputedStyle(element).transitionDuration)"
    assert driver.page.evaluate(moving) == 0
    assert set(driver.page.evaluate(durations)) == {"0s"}
    shots = []
    for _ in range(2):
        shots.append(driver.cell(1, "L").screenshot())
        driver.cell(1, "L").click()
        driver.button("Random").focus()
    assert shots[0] != shots[1]  # on and off differ without the page's own colors
    expect(driver.cell(1, "L")).to_be_checked()
