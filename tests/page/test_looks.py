"""How the page looks: at each width, in both themes, enlarged, without motion and with forced colours."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.page import looks
from tests.page.conftest import Visit
from tests.page.studio import Studio
from tests.page.test_keyboard import everything

WIDTHS = [320, 400, 640, 700, 1000, 1280, 1600]
"""From 1280 pixels enlarged to 400 % (WCAG 2.2, 1.4.10) and 200 % to a wide window."""
READABLE = 4.5
"""Contrast of text (WCAG 2.2, 1.4.3)."""


def test_at_every_width_all_of_it_fits_and_nothing_covers_anything(visit: Visit, url: str) -> None:
    studio = everything(visit, url)
    for width in WIDTHS:
        studio.page.set_viewport_size({"width": width, "height": 900})
        studio.page.wait_for_timeout(100)  # what is drawn to measure is drawn again
        assert (width, looks.overflow(studio.page)) == (width, 0)
        assert (width, looks.clipped(studio.page)) == (width, [])
        assert (width, looks.overlapping(studio.page)) == (width, [])
        picture = studio.page.locator("#population svg").bounding_box()
        assert picture is not None
        assert picture["x"] + picture["width"] <= width


def test_an_edit_moves_nothing_that_is_clicked_next(studio: Studio) -> None:
    names = ["Undo", "Score with proxies", "Add to comparison", "Copy as Python"]
    places = [[studio.button(name).bounding_box() for name in names]]
    warned = studio.page.locator("#warnings li").count()
    for layer, module in ((1, "L"), (2, "L"), (3, "S")):
        studio.cell(layer, module).click()
        studio.settled()
        places.append([studio.button(name).bounding_box() for name in names])
    assert studio.page.locator("#warnings li").count() < warned
    assert all(one == places[0] for one in places)


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_the_description_of_the_api_is_one_column(studio: Studio, width: int) -> None:
    studio.page.set_viewport_size({"width": width, "height": 900})
    studio.page.get_by_role("link", name="API").click()
    boxes = [box for one in studio.page.locator("main > *").all()[:20] if (box := one.bounding_box())]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert all(above["y"] + above["height"] <= below["y"] for above, below in pairwise(boxes))
    assert looks.overflow(studio.page) == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_is_readable(visit: Visit, url: str, theme: str) -> None:
    studio = everything(visit, url, color_scheme=theme)
    measured = looks.contrasts(studio.page)
    assert len(measured) > 200
    assert {text: ratio for text, ratio in measured if ratio < READABLE} == {}


def background(studio: Studio) -> str:
    colour: str = studio.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_the_theme_follows_the_system_until_one_is_chosen(visit: Visit, url: str) -> None:
    studio = visit(url, color_scheme="light")
    light = background(studio)
    studio.page.emulate_media(color_scheme="dark")
    dark = background(studio)
    assert light != dark
    studio.page.get_by_role("combobox", name="Theme").select_option("light")
    assert background(studio) == light
    studio.page.reload()
    studio.settled()
    assert background(studio) == light
    studio.page.get_by_role("combobox", name="Theme").select_option("system")
    assert background(studio) == dark


def test_without_motion_and_with_forced_colours(visit: Visit, url: str) -> None:
    studio = visit(url, reduced_motion="reduce", forced_colors="active")
    studio.cell(1, "L").click()
    studio.settled()
    moving = "document.getAnimations().length"
    durations = "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one).transitionDuration)"
    assert studio.page.evaluate(moving) == 0
    assert set(studio.page.evaluate(durations)) == {"0s"}
    shots = []
    for _ in range(2):
        shots.append(studio.cell(1, "L").screenshot())
        studio.cell(1, "L").click()
        studio.button("Random").focus()
    assert shots[0] != shots[1]  # in and out are told apart without our colours
    expect(studio.cell(1, "L")).to_be_checked()
