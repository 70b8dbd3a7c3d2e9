"""The page of the studies: list, creation, a study's view, its observations and suggestions."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import FilePayload, Locator, Route, expect

from models import get_space
from tests.page import layout
from tests.page.conftest import OpenPage
from tests.page.page_driver import PageDriver, copied_json, sample
from tests.page.test_connection import CONNECTION_ERRORS
from tests.page.test_keyboard import AXE_RULES, press, tab_to
from tests.page.test_layout import MIN_CONTRAST, WIDTHS_PX
from tests.real_server import until

SPACE = "nas-bench-graph"
HEADER = ["architecture", "value", "error", "seconds", "epochs"]
NUM_OBSERVATIONS = 30
FAILED = 4


def observations(api: httpx.Client, n: int = NUM_OBSERVATIONS, failed: int = FAILED) -> list[Any]:
    """Return observations whose values increase with the number of operations that are not skips."""
    architectures = sample(api, n, seed=11, space=SPACE)
    rows: list[Any] = []
    for i, architecture in enumerate(architectures):
        if i < failed:
            rows.append({"architecture": architecture, "value": None, "error": "out of memory, step 7"})
        else:
            value = 0.5 + 0.1 * sum(name != "skip" for name in architecture["ops"]) + 0.001 * i
            rows.append({"architecture": architecture, "value": round(value, 4), "seconds": 60.5, "epochs": 8})
    return rows


def create(api: httpx.Client, name: str, **definition: Any) -> Any:
    """Create a study by the API, and wait until it is fitted to its observations and its quality is estimated."""
    body = {"name": name, "space": SPACE, "settings": {"dataset": "cora"}, "sources": [f"{SPACE}-arxiv"], **definition}
    response = api.post("/v1/studies", json=body)
    assert response.is_success, response.text
    return fitted(api, response.json()["id"])


def fitted(api: httpx.Client, study: str) -> Any:
    """Return the state of a study whose predictor includes all of its observations."""

    def state() -> Any:
        state = api.get(f"/v1/studies/{study}", headers={"Prefer": "wait=10"}).json()
        numbers = {part and part["observations"] for part in (state["fitted"], state["quality"])}
        return state if numbers == {state["observations"]["total"]} else None

    return until(state)


@pytest.fixture(scope="module")
def study(api: httpx.Client) -> Iterator[Any]:
    """State of a fitted study, which the tests do not change."""
    state = create(api, "shared", task="my graphs", observations=observations(api))
    yield state
    api.delete(f"/v1/studies/{state['id']}")


def open_study(open_page: OpenPage, url: str, study: Any, **options: Any) -> PageDriver:
    driver = open_page(url, f"studies#{study['id']}", **options)
    expect(driver.page.get_by_role("heading", name=study["name"], exact=True)).to_be_visible()
    return driver


def cells(table: Locator) -> list[list[str]]:
    """Return the texts of a table's body."""
    script = "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    rows: list[list[str]] = table.locator("tbody tr").evaluate_all(script)
    return rows


def choose_file(field: Locator, name: str, text: str) -> None:
    field.set_input_files(FilePayload(name=name, mimeType="text/plain", buffer=text.encode()))


def choose_csv(driver: PageDriver, text: str) -> None:
    choose_file(driver.page.get_by_label("CSV file"), "observations.csv", text)


def csv_text(rows: list[Any], header: list[str] = HEADER) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(header)
    for row in rows:
        texts = {name: "" if row.get(name) is None else str(row[name]) for name in header}
        writer.writerow([json.dumps(row["architecture"]), *(texts[name] for name in header[1:])])
    return stream.getvalue()


def number(text: str) -> float | None:
    match = re.match(r"[−-]?\d+(\.\d+)?", text)
    return float(match[0].replace("−", "-")) if match else None


def approx(value: float | None, digits: int) -> Any:
    """Return a value to the shown digits; None where it is not defined."""
    return None if value is None else pytest.approx(value, abs=0.5001 * 10**-digits)


def test_a_study_is_created_listed_and_deleted(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    driver = open_page(url)
    driver.page.get_by_role("link", name="Studies").click()
    page = driver.page
    page.get_by_label("Name", exact=False).first.fill("by-hand")
    page.get_by_label("Task or data set").fill("graphs of ours")
    page.get_by_label("Search space").select_option(SPACE)
    page.get_by_label("Dataset").select_option("pubmed")
    page.get_by_label("Metric").fill("loss")
    page.get_by_label("Direction").select_option("minimize")
    page.get_by_label("Unit").select_option("number")
    page.get_by_role("checkbox", name=f"{SPACE}-cora").uncheck()
    driver.button("Create study").click()
    expect(page.get_by_role("heading", name="by-hand")).to_be_visible()
    (state,) = api.get("/v1/studies", params={"name": "by-hand"}).json()["studies"]
    assert page.url == f"{url}/studies#{state['id']}"
    assert (state["space"], state["settings"]) == (SPACE, {"dataset": "pubmed"})
    assert state["task"] == "graphs of ours"
    assert state["metric"] == {"name": "loss", "direction": "minimize", "unit": "number"}
    names = set(api.get("/v1/spaces").json()[SPACE]["ensembles"])
    assert set(state["sources"]) == names - {f"{SPACE}-cora"}
    for note in api.get(f"/v1/studies/{state['id']}").json()["notes"]:
        expect(page.get_by_role("list", name="Notes", exact=True)).to_contain_text(note)

    driver.errors.expect("409")
    page.get_by_role("link", name="All studies").click()
    expect(page.get_by_role("table", name="Studies")).to_contain_text("by-hand")
    page.get_by_label("Name", exact=False).first.fill("by-hand")
    driver.button("Create study").click()
    expect(page.get_by_role("alert", name="Errors of the new study")).to_contain_text("by-hand")

    page.get_by_role("link", name="by-hand").click()
    for answer in ("Keep", "Delete"):
        driver.button("Delete study").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("by-hand")
        dialog.get_by_role("button", name=answer).click()
        expect(dialog).to_be_hidden()
        if answer == "Keep":
            assert api.get(f"/v1/studies/{state['id']}").is_success
    expect(page.get_by_role("heading", name="Your studies")).to_be_visible()
    assert api.get(f"/v1/studies/{state['id']}").status_code == 404


def test_quality_best_and_observations_are_those_of_the_api(open_page: OpenPage, url: str, study: Any) -> None:
    driver = open_study(open_page, url, study)
    page, quality = driver.page, study["quality"]
    expect(page.locator("#basis")).to_contain_text(f"rests on {NUM_OBSERVATIONS} observations")
    page.get_by_text("Quality as a table").click()
    rows = cells(page.get_by_role("table", name="Quality by number of trained architectures"))
    assert len(rows) == len(quality["curve"]) > 1
    for row, point in zip(rows, quality["curve"], strict=True):
        assert row[0] == str(point["n"])
        fields = ("spearman", "sources_spearman", "stratum_spearman")
        assert [number(text) for text in row[1:4]] == [approx(point[field], 3) for field in fields]
        coverage = point["coverage"]
        assert number(row[4]) == approx(None if coverage is None else 100 * coverage, 0)
    expect(page.locator("#quality-text")).to_contain_text(f"{quality['spearman']:.3f}".replace("-", "−"))
    expect(page.locator("#quality-chart").get_by_role("img")).to_be_visible()

    best = cells(page.get_by_role("table", name="Best observations"))
    assert [number(row[1]) for row in best] == [approx(item["value"], 4) for item in study["best"]]

    page.locator("#observations summary").click()
    table = page.get_by_role("table", name="Observations, newest first")
    expect(table.locator("tbody tr")).to_have_count(NUM_OBSERVATIONS)
    expect(table).to_contain_text("failed: out of memory, step 7")
    points = page.locator("#scatter-chart .points").get_attribute("d")
    assert points is not None
    held_out = [row for row in cells(table) if number(row[1]) is not None and number(row[2]) is not None]
    assert points.count("M") == len(held_out) == NUM_OBSERVATIONS - FAILED


def test_suggestions_are_those_of_the_api_and_open_in_the_editor(
    open_page: OpenPage, url: str, api: httpx.Client, study: Any
) -> None:
    driver = open_study(open_page, url, study)
    driver.button("Suggest 5").click()
    table = driver.page.get_by_role("table", name="Suggestions")
    expect(table.locator("tbody tr")).to_have_count(5)
    body = {"number": 5, "reserve": False}
    answer = api.post(f"/v1/studies/{study['id']}/suggestions", json=body).json()
    expect(driver.page.locator("#suggestion-text")).to_contain_text(f"{answer['observations']} observations")
    for row, item in zip(cells(table), answer["suggestions"], strict=True):
        assert number(row[1]) == approx(item["value"], 4)
        assert number(row[3]) == approx(100 * item["percentile"], 1)
    driver.button("Copy JSON 2").click()
    expect(driver.page.locator("#copy-note")).to_be_visible()
    copied = json.loads(driver.page.evaluate("navigator.clipboard.readText()"))
    assert copied == answer["suggestions"][1]["architecture"]
    table.get_by_role("link").nth(1).click()
    driver.wait_until_current()
    space = get_space(SPACE)
    assert space.parse(copied_json(driver)) == space.parse(copied)
    expect(driver.page.get_by_role("combobox", name="Dataset")).to_have_value("cora")
    driver.page.go_back()
    expect(table.locator("tbody tr")).to_have_count(5)  # kept while the editor was open
    driver.button("Observe 2").click()
    text = driver.page.get_by_role("textbox", name="Architecture: JSON").input_value()
    assert json.loads(text) == copied


def test_observations_are_added_by_hand(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    state = create(api, "manual", metric={"name": "accuracy", "direction": "maximize", "unit": "percent"})
    driver = open_study(open_page, url, state)
    page, errors = driver.page, driver.page.get_by_role("alert", name="Errors of the observation")
    architecture, other = sample(api, 2, seed=3, space=SPACE)
    box = page.get_by_role("textbox", name="Architecture: JSON")
    for field, text, message in (
        ("Architecture", "{]", "architecture: got {], allowed: an architecture as a JSON object"),
        ("Value", "0,7", "value: got 0,7, allowed: 0 to 100, as the unit is percent"),
        ("Value", "170", "value: got 170, allowed: 0 to 100"),
        ("Seconds", "-1", "seconds: got -1, allowed: a number of at least 0"),
        ("Epochs", "1.5", "epochs: got 1.5, allowed: a whole number"),
    ):
        box.fill(json.dumps(architecture))
        page.get_by_role("textbox", name="Value").fill("70.5")
        page.get_by_role("textbox", name=field).fill(text)
        driver.button("Add observation").click()
        expect(errors).to_contain_text(message)
        page.get_by_label("Seconds").fill("")
        page.get_by_label("Epochs").fill("")
    driver.errors.expect("422")
    box.fill(json.dumps(architecture | {"ops": ["gcn", "other", "gcn", "gcn"]}))
    driver.button("Add observation").click()
    expect(errors).to_contain_text("'other'")
    assert fitted(api, state["id"])["observations"]["total"] == 0

    fragment = f"{'.'.join(map(str, architecture['link']))}/{'.'.join(architecture['ops'])}"
    box.fill(f"{url}/#gcn-nas/L/S/T/ST")
    driver.button("Add observation").click()
    expect(errors).to_contain_text(f"an architecture of {SPACE}")
    box.fill(f"{url}/#{SPACE}/{fragment}&dataset=cora")
    page.get_by_role("textbox", name="Value").fill("70.5")
    page.get_by_label("Epochs").fill("20")
    driver.button("Add observation").click()
    expect(page.locator("#observe-note")).to_have_text("The observation was added.")
    expect(errors).to_be_hidden()
    box.fill(json.dumps(other))
    page.get_by_role("radio", name="failed").check()
    driver.button("Add observation").click()
    expect(errors).to_contain_text("reason")
    page.get_by_label("Reason of the failure").fill("diverged")
    driver.button("Add observation").click()
    expect(page.locator("#definition")).to_contain_text("2: 1 trained, 1 failed")
    expect(page.locator("#basis")).to_contain_text("rests on 2 observations")  # it refreshes by itself
    stored = api.get(f"/v1/studies/{state['id']}/observations").json()["observations"]
    assert [(item["value"], item["error"], item["epochs"]) for item in stored] == [
        (70.5, None, 20),
        (None, "diverged", None),
    ]
    space = get_space(SPACE)
    assert [space.parse(item["architecture"]) for item in stored] == [space.parse(architecture), space.parse(other)]

    page.locator("#observations summary").click()
    row = page.get_by_role("table", name="Observations, newest first").get_by_role("row").filter(has_text="diverged")
    row.get_by_role("button", name="Delete observation").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#definition")).to_contain_text("1: 1 trained, 0 failed")
    assert fitted(api, state["id"])["observations"]["total"] == 1


WRONG_LINES: list[tuple[Callable[[list[str]], list[str]], str]] = [
    (lambda lines: ["architecture,accuracy", *lines[1:]], "line 1, header: got accuracy, allowed: the columns"),
    (lambda lines: ["architecture;value", *lines[1:]], "line 1, header: got architecture;value"),
    (lambda lines: ["value", "0.5"], "allowed: a header with the column architecture"),
    (lambda lines: lines[:1], "line 2, architecture: got nothing, allowed: at least one observation"),
    (lambda lines: [*lines, '{"ops": 1},0.5,,,'], 'line 5, quotes: got {"ops": 1}'),
    (lambda lines: [*lines, '"{""ops"": 1}'], "line 5, quotes"),
    (lambda lines: [*lines, "{},0.5"], "line 5, cells: got 2, allowed: 5, as the header has"),
    (
        lambda lines: [*lines, "[],0.5,,,"],
        "line 5, architecture: got [], allowed: an architecture as a JSON object",
    ),
    (lambda lines: [*lines, "{},1.5,,,"], "line 5, value: got 1.5, allowed: 0 to 1, as the unit is fraction"),
    (lambda lines: [*lines, "{},NaN,,,"], "line 5, value: got NaN"),
    (lambda lines: [*lines, "{},,,,"], "line 5, value: got nothing"),
    (lambda lines: [*lines, "{},0.5,diverged,,"], "line 5, error: got diverged, allowed: nothing beside a value"),
    (lambda lines: [*lines, "{},0.5,,1e999,"], "line 5, seconds: got 1e999"),
    (lambda lines: [*lines, "", "{},0.5,,,-3"], "line 6, epochs: got -3, allowed: a whole number"),
]
"""Changes of a valid file of three observations, and the error that names the line."""


def test_a_wrong_line_is_named_and_nothing_is_uploaded(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    state = create(api, "refused")
    driver = open_study(open_page, url, state)
    lines = csv_text(observations(api, 3, failed=1)).splitlines()
    for change, message in WRONG_LINES:
        choose_csv(driver, "\n".join(change(lines)))
        expect(driver.page.get_by_role("alert", name="Errors of the upload")).to_contain_text(message)
        expect(driver.page.locator("#upload-note")).to_contain_text("Nothing was uploaded")
        expect(driver.page.locator("#upload")).to_be_hidden()
    assert fitted(api, state["id"])["observations"]["total"] == 0


def test_a_csv_file_is_uploaded(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    state = create(api, "uploaded")
    driver = open_study(open_page, url, state)
    page, errors = driver.page, driver.page.get_by_role("alert", name="Errors of the upload")
    rows = observations(api)
    refused = [*rows[:-1], {"architecture": rows[0]["architecture"] | {"link": [0, 9, 0, 0]}, "value": 0.5}]
    driver.errors.expect("422")
    choose_csv(driver, csv_text(refused))
    driver.button(f"Upload {NUM_OBSERVATIONS} observations").click()
    expect(errors).to_contain_text(re.compile(rf"line {NUM_OBSERVATIONS + 1}, architecture.*link"))
    assert fitted(api, state["id"])["observations"]["total"] == 0

    choose_csv(driver, "\ufeff" + csv_text(rows).replace("\n", "\r\n"))
    expect(page.locator("#upload-note")).to_contain_text(f"{NUM_OBSERVATIONS - FAILED} trained, {FAILED} failed")
    driver.button(f"Upload {NUM_OBSERVATIONS} observations").click()
    expect(page.locator("#upload-note")).to_have_text(f"{NUM_OBSERVATIONS} observations added.")
    expect(errors).to_be_hidden()
    stored = api.get(f"/v1/studies/{state['id']}/observations").json()["observations"]
    posted = [{"error": None, "seconds": None, "epochs": None, **row} for row in rows]
    assert [{name: item[name] for name in HEADER} for item in stored] == [
        {name: row[name] for name in HEADER} for row in posted
    ]
    expect(page.locator("#basis")).to_contain_text(f"rests on {NUM_OBSERVATIONS} observations")
    expect(page.locator("#quality-chart").get_by_role("img")).to_be_visible()

    choose_csv(driver, csv_text(rows[:2]))
    driver.button("Upload 2 observations").click()
    expect(page.locator("#upload-note")).to_contain_text("the study had 2 already")
    with page.expect_download() as download:
        driver.button("Download a template").click()
    template = download.value.path().read_text()
    assert template.splitlines()[0].split(",")[: len(HEADER)] == HEADER
    choose_csv(driver, template)  # its values are still to be measured
    expect(errors).to_contain_text("line 2, value: got nothing")


def test_export_and_import(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    state = create(api, "to-move", observations=observations(api, 5, failed=1))
    driver = open_study(open_page, url, state)
    with driver.page.expect_download() as download:
        driver.button("Export").click()
    exported = download.value.path().read_text()
    assert json.loads(exported) == api.get(f"/v1/studies/{state['id']}/export").json()
    assert download.value.suggested_filename == "to-move.json"
    api.delete(f"/v1/studies/{state['id']}")
    driver.errors.expect("404")
    driver.page.reload()
    expect(driver.page.locator("#load-problem")).to_contain_text(state["id"])
    driver.page.get_by_role("link", name="All studies").click()
    field, errors = (
        driver.page.get_by_label("Exported study"),
        driver.page.get_by_role("alert", name="Errors of the import"),
    )
    driver.errors.expect("422")
    for name, text, message in (("no.json", "{", "no.json"), ("other.json", "{}", "allowed")):
        choose_file(field, name, text)
        expect(errors).to_contain_text(message)
    choose_file(field, "study.json", exported)
    expect(driver.page.get_by_role("heading", name="to-move")).to_be_visible()
    expect(driver.page.locator("#definition")).to_contain_text("5: 4 trained, 1 failed")
    (restored,) = api.get("/v1/studies", params={"name": "to-move"}).json()["studies"]
    assert api.get(f"/v1/studies/{restored['id']}/export").json() == json.loads(exported)


def with_everything(open_page: OpenPage, url: str, study: Any, **options: Any) -> PageDriver:
    """Open a study with all of its parts."""
    driver = open_study(open_page, url, study, **options)
    driver.button("Suggest 5").click()
    expect(driver.page.get_by_role("table", name="Suggestions")).to_be_visible()
    driver.page.get_by_text("Quality as a table").click()
    driver.page.locator("#observations summary").click()
    choose_csv(driver, "value\n1")
    expect(driver.page.get_by_role("alert", name="Errors of the upload")).to_be_visible()
    return driver


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_study_is_accessible_and_readable(open_page: OpenPage, url: str, study: Any, theme: str) -> None:
    driver = with_everything(open_page, url, study, color_scheme=theme)
    for view in ("study", "list"):
        results = Axe().run(driver.page, options={"runOnly": {"type": "tag", "values": AXE_RULES}})
        violations = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in results.response["violations"]}
        assert not violations, view + json.dumps(violations, indent=1)
        contrasts = layout.contrasts(driver.page)
        assert len(contrasts) > 30
        assert {text: ratio for text, ratio in contrasts if ratio < MIN_CONTRAST} == {}
        if view == "study":
            driver.page.get_by_role("link", name="All studies").click()
            expect(driver.page.get_by_role("table", name="Studies")).to_be_visible()


def test_the_study_fits_at_every_width(open_page: OpenPage, url: str, study: Any) -> None:
    driver = with_everything(open_page, url, study)
    for view in ("study", "list"):
        for width in WIDTHS_PX:
            layout.resize(driver.page, width)
            assert (width, layout.overflow(driver.page)) == (width, 0)
            assert (width, layout.clipped(driver.page)) == (width, [])
            assert (width, layout.clipped(driver.page, "svg")) == (width, [])
            assert (width, layout.overlapping(driver.page)) == (width, [])
        if view == "study":
            driver.page.get_by_role("link", name="All studies").click()
            expect(driver.page.get_by_role("table", name="Studies")).to_be_visible()


def test_a_study_is_used_without_a_mouse(open_page: OpenPage, url: str, api: httpx.Client) -> None:
    state = create(api, "keyboard")
    driver = open_page(url, "studies")
    page = driver.page
    press(page, "Tab", "Enter")
    tab_to(driver, "keyboard")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="keyboard")).to_be_visible()
    (architecture,) = sample(api, space=SPACE)
    tab_to(driver, "Architecture: JSON")
    page.keyboard.insert_text(json.dumps(architecture))
    tab_to(driver, "Value")
    page.keyboard.type("0.5")
    press(page, "Enter")
    expect(page.locator("#observe-note")).to_have_text("The observation was added.")
    expect(page.get_by_role("status").last).to_have_text("The observation was added.")
    tab_to(driver, "Delete study", backwards=True)
    press(page, "Enter")
    assert layout.focused_name(page) == "Keep"
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert layout.focused_name(page) == "Delete study"
    page.get_by_role("link", name="Skip to the studies").focus()
    visible: dict[str, bool] = {}
    for _ in range(100):
        press(page, "Tab")
        if (name := layout.focused_name(page)) in visible or name == "BODY":
            break
        visible[name] = layout.has_focus_ring(page)
    assert {"Export", "Suggest 5", "Add observation", "Download a template"} - set(visible) == set()
    assert {name for name, is_visible in visible.items() if not is_visible} == set()
    driver.page.close()  # it would ask for the deleted study
    api.delete(f"/v1/studies/{state['id']}")


def test_a_lost_connection_is_shown_and_nothing_is_added_twice(
    open_page: OpenPage, url: str, api: httpx.Client
) -> None:
    state = create(api, "interrupted")
    driver = open_study(open_page, url, state)
    driver.errors.expect(*CONNECTION_ERRORS)
    page = driver.page
    (architecture,) = sample(api, space=SPACE)
    page.get_by_role("textbox", name="Architecture: JSON").fill(json.dumps(architecture))
    page.get_by_role("textbox", name="Value").fill("0.5")
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.route("**/health/**", lambda route: route.abort("connectionrefused"))
    driver.button("Add observation").click()
    expect(page.locator("#connection")).to_be_visible()
    expect(page.get_by_role("alert", name="Errors of the observation")).to_contain_text("did not answer")
    page.unroute("**/v1/**")
    page.unroute("**/health/**")
    expect(page.locator("#connection")).to_be_hidden()
    for note in ("The observation was added.", "The study had this observation already."):
        page.get_by_role("textbox", name="Architecture: JSON").fill(json.dumps(architecture))
        page.get_by_role("textbox", name="Value").fill("0.5")
        driver.button("Add observation").click()
        expect(page.locator("#observe-note")).to_have_text(note)
    driver.page.close()  # it would ask for the deleted study
    api.delete(f"/v1/studies/{state['id']}")


def test_an_answer_that_comes_after_another_study_was_opened_changes_nothing(
    open_page: OpenPage, url: str, api: httpx.Client, study: Any
) -> None:
    state, held = create(api, "left"), list[Route]()
    driver = open_study(open_page, url, state)
    page, box = driver.page, driver.page.get_by_role("textbox", name="Architecture: JSON")
    observed, other = (json.dumps(architecture) for architecture in sample(api, 2, seed=5, space=SPACE))
    page.route("**/observations", lambda route: held.append(route), times=1)
    box.fill(observed)
    page.get_by_role("textbox", name="Value").fill("0.5")
    driver.button("Add observation").click()
    driver.wait_for(lambda: held)
    driver.follow(f"#{study['id']}")
    expect(page.get_by_role("heading", name=study["name"], exact=True)).to_be_visible()
    box.fill(other)
    with page.expect_response("**/observations"):
        held[0].continue_()
    expect(driver.button("Add observation")).to_have_attribute("aria-disabled", "false")
    expect(box).to_have_value(other)
    expect(page.locator("#observe-note")).to_have_text("")
    assert fitted(api, state["id"])["observations"]["total"] == 1
    api.delete(f"/v1/studies/{state['id']}")


def test_an_api_key_is_requested(open_page: OpenPage, url: str) -> None:
    driver = open_page(url)
    driver.errors.expect("401")

    def refuse(route: Route) -> None:
        route.fulfill(status=401, content_type="application/problem+json", body='{"detail": "an API key is needed"}')

    driver.page.route("**/v1/**", refuse)
    driver.open("studies", wait=False)
    field = driver.page.get_by_role("textbox", name="API key")
    field.fill("ark_test")
    field.press("Enter")
    expect(driver.page.locator("#key-problem")).to_have_text("This key was refused: an API key is needed")
    driver.page.unroute("**/v1/**")
    driver.page.reload()  # without the refused key
    expect(driver.page.locator("body")).to_have_attribute("data-ready", "true")
    expect(field).to_be_hidden()
