"""A server that goes away, comes back, refuses, or wants a key."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Route, expect

from service.api.schemas import PENG
from service.api_keys import create_key
from service.settings import KeyLimits
from tests.page.conftest import Visit
from tests.page.studio import PATIENCE, Studio, predicted
from tests.real_server import Server, serving, until

GONE = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING")


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers, all with one store. A test names it before `visit`, so that no page outlives its server."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **settings))


def test_a_lost_server_is_said_and_found_again(serve: Serve, visit: Visit) -> None:
    server = serve()
    studio = visit(server.url)
    studio.troubles.expect(*GONE)
    studio.page.evaluate("window.stayed = true")
    banner, prediction = studio.page.locator("#connection"), studio.page.locator("#prediction")
    expect(banner).to_be_hidden()

    server.kill()
    studio.cell(1, "L").click()
    expect(banner).to_be_visible()
    expect(banner).to_have_role("alert")
    expect(banner).to_contain_text("server")
    expect(prediction).not_to_have_attribute("data-state", "current")
    studio.button("Random").click()
    studio.cell(1, "L3").click()  # the grid can be worked on all the same
    edited = studio.architecture()
    assert edited != PENG

    server = serve(port=urlsplit(server.url).port)
    expect(banner).to_be_hidden()
    expect(studio.page.locator("#editor-problem")).to_be_hidden()  # what the button said is over
    studio.settled()
    studio.assert_shows(predicted(server.client, edited))
    assert studio.architecture() == edited
    assert studio.page.evaluate("window.stayed") is True


def test_a_page_whose_first_request_fails_comes_up_by_itself(studio: Studio) -> None:
    studio.troubles.expect(*GONE)
    studio.page.route("**/v1/spaces", lambda route: route.abort("connectionrefused"))
    studio.page.reload()
    expect(studio.page.locator("#connection")).to_be_visible()
    for button in studio.page.locator("button:enabled:visible").all():  # to do nothing, and to break nothing
        button.click()
    studio.page.unroute("**/v1/spaces")
    studio.settled()
    expect(studio.page.locator("#connection")).to_be_hidden()
    assert studio.architecture() == PENG


def test_a_job_goes_on_after_a_restart(serve: Serve, visit: Visit) -> None:
    server = serve()
    studio = visit(server.url)
    studio.troubles.expect(*GONE, "503")
    studio.button("Score with proxies").click()
    until(lambda: server.client.get("/v1/jobs").json()["jobs"])
    server.kill()
    expect(studio.page.locator("#connection")).to_be_visible()
    expect(studio.page.locator("#progress")).to_be_visible()
    server = serve(port=urlsplit(server.url).port)
    expect(studio.button("Scored with proxies")).to_be_visible(timeout=3000 * PATIENCE)
    expect(studio.page.locator("#score-problem")).to_be_hidden()
    studio.assert_shows(predicted(server.client, PENG, proxies=None))
    (job,) = server.client.get("/v1/jobs").json()["jobs"]
    assert (job["state"], job["counts"]["done"]) == ("done", 1)


def test_what_the_server_refuses_is_told_in_its_words_and_without_a_number(serve: Serve, visit: Visit) -> None:
    server = serve(max_parameters=5_000_000)
    answer = server.client.post("/v1/predictions", json={"architectures": [PENG], "proxies": []}).json()
    studio = visit(server.url, wait=False)
    studio.troubles.expect("422")
    expect(studio.page.locator("#problem")).to_have_text(answer["detail"].removeprefix("architectures[0]."))
    expect(studio.page.locator("#prediction")).to_have_attribute("data-state", "error")
    for output in ("#accuracy", "#glance", "#interval", "#percentile", "#combiners", "#population", "#warnings"):
        assert studio.page.locator(output).inner_text() == ""
    studio.page.get_by_role("combobox", name="Layers").select_option("4")
    studio.settled()
    expect(studio.page.locator("#problem")).to_be_hidden()
    studio.assert_shows(predicted(server.client, studio.architecture()))


def test_a_key_is_asked_for_and_lasts_no_longer_than_the_tab(serve: Serve, visit: Visit) -> None:
    key, entry = create_key("page", ["predict"], KeyLimits())
    wrong, _ = create_key("nobody", ["predict"], KeyLimits())
    server = serve(keys=json.dumps([entry.model_dump(mode="json")]))
    studio = visit(server.url, wait=False)
    studio.troubles.expect("401")
    field = studio.page.get_by_role("textbox", name="API key")
    expect(field).to_be_visible()
    expect(field).to_have_attribute("type", "password")
    assert studio.page.locator("#accuracy").inner_text() == ""

    field.fill(wrong)
    field.press("Enter")
    expect(studio.page.locator("#key-problem")).to_be_visible()
    assert studio.page.locator("#key-problem").inner_text()
    expect(field).to_be_visible()

    field.fill(key)
    studio.button("Use this key").click()
    studio.settled()
    expect(field).to_be_hidden()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE) as client:
        studio.assert_shows(predicted(client, PENG))
    studio.page.reload()
    studio.settled()  # without being asked again

    assert key not in json.dumps(studio.page.context.storage_state())
    assert key not in studio.page.url + studio.page.content()
    another = Studio(studio.page.context.new_page(), server.url, studio.troubles)
    another.open(wait=False)
    expect(another.page.get_by_role("textbox", name="API key")).to_be_visible()
    studio.button("Forget it").click()
    expect(studio.page.get_by_role("textbox", name="API key")).to_be_visible()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"detail": "<img src=x onerror=document.title=1> no"}', "<img src=x onerror=document.title=1> no"),
        ('{"detail": ["no"]}', "the server answered 503"),
        ("null", "the server answered 503"),
        ("{", "the server answered 503"),
    ],
)
def test_whatever_a_failing_server_says_is_shown_as_text_and_is_not_asked_for_all_the_time(
    studio: Studio, body: str, shown: str
) -> None:
    asked = []

    def failing(route: Route) -> None:
        asked.append(route.request.url)
        headers = {"Content-Type": "application/problem+json", "Retry-After": str(10**10)}
        route.fulfill(status=503, headers=headers, body=body)

    studio.troubles.expect("503")
    title = studio.page.title()
    studio.page.route("**/v1/predictions", failing)
    studio.cell(1, "L").click()
    expect(studio.page.locator("#prediction")).to_contain_text(shown)
    number = len(asked)
    studio.page.wait_for_timeout(500)
    assert len(asked) == number  # a timer of so many seconds would begin at once
    assert studio.page.title() == title
