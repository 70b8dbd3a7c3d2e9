"""Editing an architecture, and its prediction from structure, which follows every edit."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Route, expect

from models.gcn_nas import PENG
from tests.page.conftest import OpenPage
from tests.page.page_driver import PERCENT_TOLERANCE, PageDriver, fragment, predict, sample


def test_a_click_edits_the_architecture_and_its_prediction_follows(driver: PageDriver, api: httpx.Client) -> None:
    before = driver.architecture()
    assert before == PENG  # the first preset
    driver.assert_shows(predict(api, before))
    for layer, module in ((1, "L"), (4, "ST"), (10, "L4n")):
        cell = driver.cell(layer, module)
        was_checked = cell.is_checked()
        cell.click()
        expect(cell).to_be_checked(checked=not was_checked)
        driver.wait_until_current()
        after = driver.architecture()
        assert (module in after["layers"][layer - 1]) is not was_checked
        driver.assert_shows(predict(api, after))
    assert sum(old != new for old, new in zip(before["layers"], after["layers"], strict=True)) == 3


def test_estimates_of_the_combiners_are_those_of_the_api(driver: PageDriver, api: httpx.Client) -> None:
    estimates, rows = predict(api, PENG)["combiners"], driver.page.locator("#combiners tbody tr")
    for name, estimate in estimates.items():
        row = rows.filter(has=driver.page.get_by_role("rowheader", name=name, exact=True))
        if estimate is None:
            expect(row).to_contain_text("needs proxies")
        else:
            accuracy, _, percentile = (
                float(text.split()[0].split("–")[0]) for text in row.get_by_role("cell").all_inner_texts()
            )
            assert accuracy == pytest.approx(100 * estimate["accuracy"], abs=PERCENT_TOLERANCE)
            assert percentile == pytest.approx(100 * estimate["percentile"], abs=0.0501)
    assert rows.count() == len(estimates)


def draw(driver: PageDriver, button: str) -> None:
    """Replace the architecture by a random one, or by a random mutation."""
    before = driver.architecture()
    driver.button(button).click()
    driver.wait_for(lambda: driver.architecture() != before)
    driver.wait_until_current()


def test_presets_and_random_architectures(driver: PageDriver, api: httpx.Client) -> None:
    sampled: list[dict[str, Any]] = []
    for _ in range(3):
        draw(driver, "Random")
        sampled.append(driver.architecture())
        driver.assert_shows(predict(api, sampled[-1]))
    assert sampled[0] != sampled[1] != sampled[2]
    assert all(len(architecture["layers"]) == 10 for architecture in sampled)  # as many as before
    draw(driver, "Mutate")
    driver.assert_shows(predict(api, driver.architecture()))
    driver.button("Peng et al. 2020").click()
    driver.wait_until_current()
    assert driver.architecture() == PENG


@pytest.mark.parametrize("depth", [4, 6, 8, 10])
def test_depth(driver: PageDriver, api: httpx.Client, depth: int) -> None:
    layers = driver.page.get_by_role("combobox", name="Layers")
    for number in (6 if depth == 4 else 4, depth):
        layers.select_option(str(number))
    expect(driver.page.get_by_role("checkbox", name="layer")).to_have_count(8 * depth)
    driver.wait_until_current()
    architecture = driver.architecture()
    assert len(architecture["layers"]) == depth
    driver.assert_shows(predict(api, architecture))
    if depth == 10:  # the layers of the preset are restored
        assert architecture == PENG


def test_undo_and_redo(driver: PageDriver) -> None:
    driver.cell(2, "L3").click()
    edited = driver.architecture()
    driver.page.keyboard.press("Control+z")
    assert driver.architecture() == PENG
    driver.button("Redo").click()
    assert driver.architecture() == edited
    driver.button("Undo").click()
    assert driver.architecture() == PENG
    expect(driver.button("Undo")).to_be_disabled()


def test_a_suggested_mutation_is_applied_by_a_click(driver: PageDriver, api: httpx.Client) -> None:
    best = predict(api, PENG, explain=True)["suggested_mutations"][0]
    expect(driver.page.locator("#mutations")).to_have_attribute("data-state", "current")
    buttons = driver.page.locator("#mutations").get_by_role("button")
    expect(buttons.first).to_contain_text(f"{100 * best['accuracy_gain']:.2f}")
    buttons.first.click()
    driver.wait_until_current()
    assert driver.architecture() == best["architecture"]
    assert driver.numbers("#accuracy") == [pytest.approx(100 * best["accuracy"], abs=PERCENT_TOLERANCE)]


def test_contributions_are_those_of_the_api(driver: PageDriver, api: httpx.Client) -> None:
    driver.wait_until_explained()
    attributions = predict(api, PENG, explain=True)["explanation"]["attributions"]
    contributions = [100 * attribution["contribution"] for attribution in attributions]
    cells = driver.page.locator("#attributions tbody tr").get_by_role("cell").all_inner_texts()
    *shown, rest = [float(text.replace("−", "-")) for text in cells if text]
    assert shown == pytest.approx(contributions[: len(shown)], abs=0.00501)
    small = contributions[len(shown) :]
    assert all(abs(contribution) < 0.005 for contribution in small)  # 0.00 each, shown as their sum
    assert rest == pytest.approx(sum(small), abs=0.00501)


def test_warnings_outside_the_reference_set(driver: PageDriver, api: httpx.Client, open_page: OpenPage) -> None:
    warnings = driver.page.locator("#warnings li")
    assert predict(api, PENG)["warnings"]
    expect(warnings).not_to_have_count(0)
    (typical,) = sample(api, depth=8)
    assert predict(api, typical)["warnings"] == []
    other = open_page(driver.url, fragment(typical))
    expect(other.page.locator("#warnings li")).to_have_count(0)


def test_the_url_contains_the_architecture(driver: PageDriver, open_page: OpenPage) -> None:
    driver.cell(3, "L4").click()
    driver.wait_until_current()
    edited = driver.architecture()
    driver.wait_for(lambda: "L4" in driver.page.url.split("#")[-1].split("/")[3].split("."))
    assert driver.page.url == f"{driver.url}/{fragment(edited)}"
    assert open_page(driver.url, fragment(edited)).architecture() == edited
    driver.page.reload()
    driver.wait_until_current()
    assert driver.architecture() == edited


@pytest.mark.parametrize("link", ["#gcn-nas/L5/S/T/S", "#gcn-nas/S", "#darts/S/S/S/S", "#%E0%A4%A", "#nonsense"])
def test_an_invalid_link_is_refused_with_a_message(open_page: OpenPage, url: str, link: str) -> None:
    driver = open_page(url, link)
    expect(driver.page.locator("#editor-problem")).to_contain_text("link")
    assert driver.architecture() == PENG


def test_the_last_edit_wins_however_late_responses_come(driver: PageDriver, api: httpx.Client) -> None:
    held: list[Route] = []
    driver.wait_until_explained()
    driver.page.route("**/v1/predictions", lambda route: held.append(route), times=1)
    driver.cell(1, "L").click()
    driver.wait_for(lambda: held)
    expect(driver.page.locator("#prediction")).not_to_have_attribute("data-state", "current")
    driver.cell(1, "L3").click()
    driver.wait_until_current()
    held[0].continue_()
    driver.page.wait_for_timeout(300)
    driver.assert_shows(predict(api, driver.architecture()))


def test_the_reference_set_is_a_chart_with_a_description(driver: PageDriver, api: httpx.Client) -> None:
    item = predict(api, PENG)
    reference_set = api.get("/v1/ensembles/gcn-nas-ntu/reference-set").json()
    chart = driver.page.locator("#reference-set").get_by_role("img")
    percentile = f"{100 * item['percentile']:.1f}"
    expect(chart).to_have_accessible_name(re.compile(rf"{reference_set['size']} trained.* {percentile}"))
    accuracies = reference_set["combiners"][item["combiner"]]["accuracy"]
    worse = sum(accuracy < item["accuracy"] for accuracy in accuracies)
    assert worse / reference_set["size"] == pytest.approx(item["percentile"], abs=0.002)
