"""The API's description for people, at `/docs`."""

import re

import httpx

from tests.service.api.test_page import POLICY


def test_it_has_every_operation_and_every_link_leads_somewhere(client: httpx.Client) -> None:
    answer = client.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == POLICY
    ids = re.findall(r' id="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'(?:href|src)="([^"]+)"', answer.text))
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)
    for link in links:
        if not link.startswith("#"):
            assert client.get(f"/{link}").status_code == 200
    paths = client.get("/openapi.json").json()["paths"]
    for title in (f"{method.upper()} {path}" for path, methods in paths.items() for method in methods):
        assert f"<code>{title}</code></h2>" in answer.text


def test_what_the_program_says_is_text_and_no_markup(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "<script" not in page
    assert "<!--" not in page
    assert not re.search(r"^\|", page, flags=re.MULTILINE)
