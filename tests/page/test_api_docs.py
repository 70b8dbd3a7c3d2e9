"""The API page at `/docs` (Swagger UI), in a browser and under the Content-Security-Policy."""

import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from service.api_keys import create_key
from service.cli.demo import server
from service.settings import KeyLimits
from tests.page.page_driver import BrowserErrors
from tests.real_server import LEAN
from tests.waiting import PATIENCE_S

KEY, ENTRY = create_key("docs", ["predict"], KeyLimits())
OPERATION = "#operations-predictions-validate_architectures"
BODY = json.dumps({"architectures": [{"layers": [["S"], ["T"], ["ST"], ["L"]]}]})


@pytest.fixture(scope="module")
def keyed_url() -> Iterator[str]:
    """A server that requires an API key."""
    with server(LEAN | {"ARCHRANK_KEYS": f"[{ENTRY.model_dump_json()}]"}) as address:
        yield address


def test_every_operation_is_shown_and_can_be_tried_with_a_key(keyed_url: str, browser: Browser) -> None:
    with browser.new_context() as context:
        errors = BrowserErrors(context, keyed_url)
        errors.expect("401")
        page = context.new_page()
        page.goto(f"{keyed_url}/docs")
        paths = httpx.get(f"{keyed_url}/openapi.json", timeout=PATIENCE_S).json()["paths"]
        expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in paths.values()))
        operation = page.locator(OPERATION)
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.locator("textarea").fill(BODY)
        operation.get_by_role("button", name="Execute").click()
        status = operation.locator(".live-responses-table .response-col_status")
        expect(status.last).to_contain_text("401")

        page.get_by_role("button", name="Authorize").first.click()
        dialog = page.locator(".dialog-ux")
        dialog.get_by_role("textbox").fill(KEY)
        dialog.get_by_role("button", name="Apply credentials").click()
        dialog.get_by_role("button", name="Close").first.click()
        operation.get_by_role("button", name="Execute").click()
        expect(status.last).to_contain_text("200")
        expect(operation.locator(".live-responses-table")).to_contain_text('"fingerprint"')
        assert errors.unexpected() == []
