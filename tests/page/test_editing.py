"""Drawing an architecture, and its prediction from structure, which follows every edit."""

import re

import httpx
import pytest
from playwright.sync_api import Route, expect

from service.api.schemas import PENG
from tests.page.conftest import Visit
from tests.page.studio import Studio, fragment, predicted


def test_a_click_edits_the_architecture_and_its_prediction_follows(studio: Studio, api: httpx.Client) -> None:
    before = studio.architecture()
    assert before == PENG  # the first preset
    studio.assert_shows(predicted(api, before))
    for layer, module in ((1, "L"), (4, "ST"), (10, "L4n")):
        cell = studio.cell(layer, module)
        there = cell.is_checked()
        cell.click()
        expect(cell).to_be_checked(checked=not there)
        studio.settled()
        after = studio.architecture()
        assert (module in after["layers"][layer - 1]) is not there
        studio.assert_shows(predicted(api, after))
    assert sum(one != other for one, other in zip(before["layers"], after["layers"], strict=True)) == 3


def test_combiners_say_what_the_api_says(studio: Studio, api: httpx.Client) -> None:
    said, rows = predicted(api, PENG)["combiners"], studio.page.locator("#combiners tbody tr")
    for name, estimate in said.items():
        row = studio.page.locator("#combiners tbody tr").filter(
            has=studio.page.get_by_role("rowheader", name=name, exact=True)
        )
        if estimate is None:
            expect(row).to_contain_text("needs proxies")
        else:
            accuracy = float(row.get_by_role("cell").first.inner_text().split()[0])
            assert accuracy == pytest.approx(100 * estimate["accuracy"], abs=0.00501)
    assert rows.count() == len(said)


def test_presets_and_random_architectures(studio: Studio, api: httpx.Client) -> None:
    seen = []
    for _ in range(3):
        before = studio.architecture()
        studio.button("Random").click()
        studio.until(lambda before=before: studio.architecture() != before)
        studio.settled()
        seen.append(studio.architecture())
        studio.assert_shows(predicted(api, seen[-1]))
    assert seen[0] != seen[1] != seen[2]
    studio.button("Peng et al. 2020").click()
    studio.settled()
    assert studio.architecture() == PENG


@pytest.mark.parametrize("depth", [4, 6, 8, 10])
def test_depth(studio: Studio, api: httpx.Client, depth: int) -> None:
    layers = studio.page.get_by_role("combobox", name="Layers")
    for number in (6 if depth == 4 else 4, depth):
        layers.select_option(str(number))
    expect(studio.page.get_by_role("checkbox", name="layer")).to_have_count(8 * depth)
    studio.settled()
    architecture = studio.architecture()
    assert len(architecture["layers"]) == depth
    studio.assert_shows(predicted(api, architecture))
    if depth == 10:  # what was there before
        assert architecture == PENG


def test_undo_and_redo(studio: Studio) -> None:
    studio.cell(2, "L3").click()
    edited = studio.architecture()
    studio.page.keyboard.press("Control+z")
    assert studio.architecture() == PENG
    studio.button("Redo").click()
    assert studio.architecture() == edited
    studio.button("Undo").click()
    assert studio.architecture() == PENG
    expect(studio.button("Undo")).to_be_disabled()


def test_an_edit_that_would_raise_it_is_applied_by_a_click(studio: Studio, api: httpx.Client) -> None:
    best = predicted(api, PENG, explain=True)["edits"][0]
    expect(studio.page.locator("#edits")).to_have_attribute("data-state", "current")
    edits = studio.page.locator("#edits").get_by_role("button")
    expect(edits.first).to_contain_text(f"{best['points']:.2f}")
    edits.first.click()
    studio.settled()
    layer, module, action = (best["edit"][name] for name in ("layer", "module", "action"))
    assert (module in studio.architecture()["layers"][layer]) is (action == "add")
    assert studio.numbers("#accuracy") == [pytest.approx(100 * best["accuracy"], abs=0.00501)]


def test_reasons_are_those_of_the_api(studio: Studio, api: httpx.Client) -> None:
    expect(studio.page.locator("#reasons")).to_have_attribute("data-state", "current")
    reasons = [one["points"] for one in predicted(api, PENG, explain=True)["explanation"]["reasons"]]
    cells = studio.page.locator("#reasons tbody tr").get_by_role("cell").all_inner_texts()
    *shown, rest = [float(text.replace("−", "-")) for text in cells if text]
    assert shown == pytest.approx(reasons[: len(shown)], abs=0.00501)
    assert all(abs(points) < 0.005 for points in reasons[len(shown) :])  # 0.00 by themselves, and said together
    assert rest == pytest.approx(sum(reasons[len(shown) :]), abs=0.00501)


def test_warnings_of_what_is_unlike_the_trained(studio: Studio, api: httpx.Client, visit: Visit) -> None:
    warnings = studio.page.locator("#warnings li")
    assert predicted(api, PENG)["warnings"]
    expect(warnings).not_to_have_count(0)
    (usual,) = api.get("/v1/spaces/gcn-nas/sample", params={"n": 1, "depth": 8, "seed": 0}).json()["architectures"]
    assert predicted(api, usual)["warnings"] == []
    other = visit(studio.url, fragment(usual))
    expect(other.page.locator("#warnings li")).to_have_count(0)


def test_the_address_holds_the_architecture(studio: Studio, visit: Visit) -> None:
    studio.cell(3, "L4").click()
    studio.settled()
    edited = studio.architecture()
    studio.until(lambda: "L4" in studio.page.url.split("#")[-1].split("/")[3].split("."))
    assert studio.page.url == f"{studio.url}/{fragment(edited)}"
    assert visit(studio.url, fragment(edited)).architecture() == edited
    studio.page.reload()
    studio.settled()
    assert studio.architecture() == edited


@pytest.mark.parametrize("address", ["#gcn-nas/L5/S/T/S", "#gcn-nas/S", "#darts/S/S/S/S", "#%E0%A4%A", "#nonsense"])
def test_an_address_that_means_nothing_is_refused_in_words(visit: Visit, url: str, address: str) -> None:
    studio = visit(url, address)
    expect(studio.page.locator("#editor-problem")).to_contain_text("link")
    assert studio.architecture() == PENG


def test_the_last_edit_wins_however_late_answers_come(studio: Studio, api: httpx.Client) -> None:
    held: list[Route] = []
    studio.page.route("**/v1/predictions", lambda route: held.append(route), times=1)
    studio.cell(1, "L").click()
    studio.until(lambda: held)
    expect(studio.page.locator("#prediction")).not_to_have_attribute("data-state", "current")
    studio.cell(1, "L3").click()
    studio.settled()
    held[0].continue_()
    studio.page.wait_for_timeout(300)
    studio.assert_shows(predicted(api, studio.architecture()))


def test_where_it_lies_among_the_trained_is_a_picture_with_words(studio: Studio, api: httpx.Client) -> None:
    item = predicted(api, PENG)
    population = api.get("/v1/ensembles/gcn-nas-ntu/population").json()
    picture = studio.page.locator("#population").get_by_role("img")
    expect(picture).to_have_accessible_name(re.compile(rf"{population['number']} trained.* {item['percentile']:.1f}"))
    worse = sum(one < item["accuracy"] for one in population["combiners"][item["combiner"]]["accuracy"])
    assert 100 * worse / population["number"] == pytest.approx(item["percentile"], abs=0.2)
