"""Servers that stop, restart, refuse requests or require an API key."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Route, expect

from models.gcn_nas import PENG
from service.api_keys import create_key
from service.settings import KeyLimits
from tests.page.conftest import OpenPage
from tests.page.page_driver import PageDriver, predict
from tests.real_server import Server, serving, until
from tests.waiting import PATIENCE_S

CONNECTION_ERRORS = (
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_CONNECTION_CLOSED",
    "ERR_CONNECTION_ABORTED",
    "ERR_SOCKET_NOT_CONNECTED",
    "ERR_EMPTY_RESPONSE",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
)
StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers on one store. A test requests it before `open_page`, so that no page outlives its server."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **settings))


def test_a_lost_connection_is_shown_and_restored(start_server: StartServer, open_page: OpenPage) -> None:
    server = start_server()
    driver = open_page(server.url)
    driver.errors.expect(*CONNECTION_ERRORS)
    driver.page.evaluate("window.notReloaded = true")
    banner, prediction = driver.page.locator("#connection"), driver.page.locator("#prediction")
    expect(banner).to_be_hidden()

    server.kill()
    driver.cell(1, "L").click()
    expect(banner).to_be_visible()
    expect(banner).to_have_role("alert")
    expect(banner).to_contain_text("server")
    expect(prediction).not_to_have_attribute("data-state", "current")
    driver.button("Random").click()
    driver.cell(1, "L3").click()  # the grid still works
    edited = driver.architecture()
    assert edited != PENG

    server = start_server(port=urlsplit(server.url).port)
    expect(banner).to_be_hidden()
    expect(driver.page.locator("#editor-problem")).to_be_hidden()  # the failure of the button is resolved
    driver.wait_until_current()
    driver.assert_shows(predict(server.client, edited))
    assert driver.architecture() == edited
    assert driver.page.evaluate("window.notReloaded") is True


def test_a_failed_first_request_is_repeated(driver: PageDriver) -> None:
    driver.errors.expect(*CONNECTION_ERRORS)
    driver.page.route("**/v1/spaces", lambda route: route.abort("connectionrefused"))
    driver.page.reload()
    expect(driver.page.locator("#connection")).to_be_visible()
    for button in driver.page.locator("button:enabled:visible").all():  # without effect, and without an error
        button.click()
    driver.page.unroute("**/v1/spaces")
    driver.wait_until_current()
    expect(driver.page.locator("#connection")).to_be_hidden()
    assert driver.architecture() == PENG


def test_a_job_continues_after_a_restart(start_server: StartServer, open_page: OpenPage) -> None:
    server = start_server()
    driver = open_page(server.url)
    driver.errors.expect(*CONNECTION_ERRORS, "503")
    driver.button("Score with proxies").click()
    until(lambda: server.client.get("/v1/jobs").json()["jobs"])
    server.kill()
    expect(driver.page.locator("#connection")).to_be_visible()
    expect(driver.page.locator("#progress")).to_be_visible()
    server = start_server(port=urlsplit(server.url).port)
    expect(driver.button("Scored with proxies")).to_be_visible()
    expect(driver.page.locator("#score-problem")).to_be_hidden()
    driver.assert_shows(predict(server.client, PENG, proxies=None))
    (job,) = server.client.get("/v1/jobs").json()["jobs"]
    assert (job["state"], job["counts"]["done"]) == ("done", 1)


def test_a_refusal_shows_the_server_s_message_and_no_number(start_server: StartServer, open_page: OpenPage) -> None:
    server = start_server(max_parameters=5_000_000)
    problem = server.client.post("/v1/predictions", json={"architectures": [PENG], "proxies": []}).json()
    driver = open_page(server.url, wait=False)
    driver.errors.expect("422")
    expect(driver.page.locator("#prediction-problem")).to_have_text(problem["detail"].removeprefix("architectures[0]."))
    expect(driver.page.locator("#prediction")).to_have_attribute("data-state", "error")
    outputs = ("accuracy", "compact-accuracy", "interval", "percentile", "combiners", "reference-set", "warnings")
    for output in outputs:
        assert driver.page.locator(f"#{output}").inner_text() == ""
    driver.page.get_by_role("combobox", name="Layers").select_option("4")
    driver.wait_until_current()
    expect(driver.page.locator("#prediction-problem")).to_be_hidden()
    driver.assert_shows(predict(server.client, driver.architecture()))


def test_an_api_key_is_requested_and_kept_for_the_tab(start_server: StartServer, open_page: OpenPage) -> None:
    key, entry = create_key("page", ["predict"], KeyLimits())
    wrong, _ = create_key("nobody", ["predict"], KeyLimits())
    server = start_server(keys=json.dumps([entry.model_dump(mode="json")]))
    driver = open_page(server.url, wait=False)
    driver.errors.expect("401")
    field = driver.page.get_by_role("textbox", name="API key")
    expect(field).to_be_visible()
    expect(field).to_have_attribute("type", "password")
    assert driver.page.locator("#accuracy").inner_text() == ""

    field.fill(wrong)
    field.press("Enter")
    expect(driver.page.locator("#key-problem")).to_be_visible()
    assert driver.page.locator("#key-problem").inner_text()
    expect(field).to_be_visible()

    field.fill(key)
    driver.button("Use this key").click()
    driver.wait_until_current()
    expect(field).to_be_hidden()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:
        driver.assert_shows(predict(client, PENG))
    driver.page.reload()
    driver.wait_until_current()  # the key is not requested again

    assert key not in json.dumps(driver.page.context.storage_state())
    assert key not in driver.page.url + driver.page.content()
    other_tab = PageDriver(driver.page.context.new_page(), server.url, driver.errors)
    other_tab.open(wait=False)
    expect(other_tab.page.get_by_role("textbox", name="API key")).to_be_visible()
    driver.button("Remove it").click()
    expect(driver.page.get_by_role("textbox", name="API key")).to_be_visible()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"detail": "<img src=x onerror=document.title=1> no"}', "<img src=x onerror=document.title=1> no"),
        ('{"detail": ["no"]}', "the server answered 503"),
        ("null", "the server answered 503"),
        ("{", "the server answered 503"),
    ],
)
def test_a_failure_is_shown_as_text_and_its_retry_after_is_respected(driver: PageDriver, body: str, shown: str) -> None:
    requests = []

    def fail(route: Route) -> None:
        requests.append(route.request.url)
        headers = {"Content-Type": "application/problem+json", "Retry-After": str(10**10)}
        route.fulfill(status=503, headers=headers, body=body)

    driver.errors.expect("503")
    title = driver.page.title()
    driver.wait_until_explained()
    driver.page.route("**/v1/predictions", fail)
    driver.cell(1, "L").click()
    expect(driver.page.locator("#prediction")).to_contain_text(shown)
    number = len(requests)
    driver.page.wait_for_timeout(500)
    assert len(requests) == number  # a timer of so many seconds would fire at once
    assert driver.page.title() == title
