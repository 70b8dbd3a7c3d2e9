"""Serialised answers: repeated requests are answered as before, from the same ensembles, within a limit of memory."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.api.answers import MAX_ENTRY_BYTES, AnswerCache
from service.api.documents import prediction_response
from service.api.schemas import PredictionResponse
from service.api_keys import create_key
from service.app import create_app
from service.inference import pipeline
from service.inference.context import AppContext
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import Requester
from service.settings import KeyLimits, Settings
from tests.real_server import ENSEMBLES
from tests.service.conftest import ARCHITECTURES, CHEAP, SIX, SMALL
from tests.waiting import PATIENCE_S

PATH = "/v1/predictions"
JSON = {"Content-Type": "application/json"}
STRUCTURE = {"architectures": [SMALL], "proxies": []}
BODIES: list[dict[str, Any]] = [
    STRUCTURE,
    {**STRUCTURE, "detail": "brief"},
    {**STRUCTURE, "combiner": "forest"},
    {**STRUCTURE, "architectures": [*ARCHITECTURES, SMALL], "compare": True},
    {"architectures": [SMALL, SIX], "proxies": CHEAP},
    {"architectures": [SMALL, SIX], "proxies": CHEAP, "seed": 3},
]


@cache
def default_ensemble() -> EnsembleRegistry:
    return EnsembleRegistry.load(Settings(device="cpu", ensembles_dir=ENSEMBLES))


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    """Run the application without a server."""
    app = create_app(Settings(device="cpu", backend="inline", data_dir=folder, **settings), default_ensemble())
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=JSON, timeout=PATIENCE_S) as client,
    ):
        yield app, client


def run(work: Callable[[FastAPI, httpx.AsyncClient], Awaitable[None]], folder: Path, **settings: Any) -> None:
    async def within() -> None:
        async with serving(folder, **settings) as (app, client):
            await work(app, client)

    asyncio.run(within())


def without_seconds(response: httpx.Response) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    assert list(document)[-1] == "seconds"
    assert document.pop("seconds") > 0
    return document


def headers(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    return [header for header in response.headers.raw if header[0] not in (b"x-request-id", b"content-length")]


async def counts(client: httpx.AsyncClient) -> dict[str, float]:
    """Counters of architectures, cache requests and HTTP requests to predict."""
    lines = (await client.get("/metrics")).text.splitlines()
    names = ("archrank_architectures", "archrank_cache_requests", "archrank_http_requests")
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith(names) and "/metrics" not in line)
    return {name: float(value) for name, value in pairs}


def increase(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


def access_fields(record: logging.LogRecord) -> dict[str, Any]:
    names = ("levelname", "message", "method", "route", "status", "caller")
    return {name: getattr(record, name) for name in names}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps({**body, "architectures": "…"}))
def test_a_repeated_answer_is_the_same(
    body: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        content = json.dumps(body)
        first = await client.post(PATH, content=content)
        numbers = [await counts(client)]
        caplog.clear()
        predicted = await client.post(PATH, content=content)
        numbers.append(await counts(client))
        with monkeypatch.context() as patch:
            patch.delattr(pipeline, "predict")  # the third answer does without
            repeated = await client.post(PATH, content=content)
        numbers.append(await counts(client))
        assert (predicted.status_code, repeated.status_code) == (200, 200)
        assert without_seconds(repeated) == without_seconds(predicted)
        assert json.dumps(list(repeated.json())) == json.dumps(list(predicted.json()))
        assert headers(repeated) == headers(predicted)
        assert int(repeated.headers["content-length"]) == len(repeated.content)
        assert repeated.headers["x-request-id"] != predicted.headers["x-request-id"]
        assert increase(*numbers[1:]) == increase(*numbers[:2])
        assert increase(*numbers[1:])
        records = [record for record in caplog.records if record.name == "service.access" and "POST" in record.message]
        assert access_fields(records[0]) == access_fields(records[1])
        if body.get("detail") != "brief":
            assert [item["cached"] for item in first.json()["predictions"]] == [False] * len(body["architectures"])
            assert all(item["cached"] for item in repeated.json()["predictions"])

    with caplog.at_level(logging.INFO, "service.access"):
        run(work, tmp_path)


def test_a_repeated_answer_has_the_same_form(tmp_path: Path) -> None:
    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        for _ in range(3):
            response = await client.post(PATH, content=json.dumps(STRUCTURE))
        document = PredictionResponse.model_validate_json(response.content)
        assert document.model_dump_json().encode() == response.content

    run(work, tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        {**STRUCTURE, "explain": True},
        {**STRUCTURE, "combiner": "vote", "proxies": CHEAP},
        {**STRUCTURE, "architectures": [SMALL, {"layers": [["L5"]]}]},
    ],
    ids=["explained", "depends on the set", "an error"],
)
def test_other_answers_are_made_anew(body: dict[str, Any], tmp_path: Path) -> None:
    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        for _ in range(2):
            assert (await client.post(PATH, content=json.dumps(body))).status_code == 200
        assert app.state.answers.size == 0

    run(work, tmp_path)


def test_other_ensembles_answer_anew(tmp_path: Path) -> None:
    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        first = [await client.post(PATH, content=json.dumps(STRUCTURE)) for _ in range(3)][-1].json()
        context: AppContext = app.state.context
        loaded = context.ensembles.get()
        other = copy(loaded.ensemble)
        other.manifest = {**loaded.manifest, "manifest_sha256": "f" * 64, "default": "ridge"}
        replaced = replace(loaded, ensemble=other)
        ensembles = EnsembleRegistry({loaded.name: replaced}, loaded.name, context.ensembles.device)
        app.state.context = replace(context, ensembles=ensembles)
        try:
            for _ in range(3):
                second = (await client.post(PATH, content=json.dumps(STRUCTURE))).json()
                assert second.get("ensemble") == first["ensemble"], second
                assert second["ensemble_hash"] == second["predictions"][0]["ensemble_hash"] == replaced.hash
                assert second["predictions"][0]["accuracy"] != first["predictions"][0]["accuracy"]
        finally:
            app.state.context = context

    run(work, tmp_path)


def test_repeated_requests_are_checked_and_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.authentication.monotonic", lambda: 1000.0)  # no request is allowed again meanwhile
    pairs = [create_key(name, ["predict"], KeyLimits(rate_limit=limit)) for name, limit in (("a", 20), ("b", None))]
    (limited, unlimited), entries = zip(*pairs, strict=True)

    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        content = json.dumps(STRUCTURE)

        async def post(key: str, **headers: str) -> httpx.Response:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.post(PATH, content=content, headers={"Authorization": f"Bearer {key}", **fields})

        for _ in range(3):
            assert (await post(unlimited)).status_code == 200
        assert app.state.answers.size > 0
        assert [(await post(limited)).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert (await post("ark_unknown")).status_code == 401
        assert (await client.post(PATH, content=content)).status_code == 401
        assert (await post(unlimited, content_type="text/plain")).status_code == 415
        assert (await post(unlimited, prefer="wait=0")).status_code == 202
        assert (await post(unlimited, prefer="wait=9")).status_code == 200
        assert (await client.post(f"{PATH}?detail=brief", content=content)).status_code == 401

    run(work, tmp_path, keys=list(entries))


def test_a_key_revoked_while_the_body_arrives_is_refused_and_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        content = json.dumps(STRUCTURE)
        for _ in range(2):
            assert (await client.post(PATH, content=content)).status_code == 200
        assert app.state.answers.size > 0
        before = await counts(client)
        monkeypatch.setattr(app.state.authenticator, "is_valid", lambda caller: False)
        for body in (content, json.dumps(STRUCTURE | {"seed": 3}), "{"):
            assert (await client.post(PATH, content=body)).status_code == 401
        counted = increase(before, await counts(client))
        assert set(counted.values()) == {3}
        assert all(name.startswith("archrank_http_requests") for name in counted)

    run(work, tmp_path)


def test_memory_is_bounded(tmp_path: Path) -> None:
    async def work(app: FastAPI, client: httpx.AsyncClient) -> None:
        context: AppContext = app.state.context
        for _ in range(2):
            result = await pipeline.predict([SMALL], PredictionQuery([]), context, Requester())
        document = prediction_response(result)
        cache = AnswerCache(20_000)
        for number in range(100):
            cache.put(b"%d" % number, document, result, context)
            assert 0 < cache.size <= 20_000
        assert cache.get(b"0", context) is None
        assert cache.get(b"99", context) is not None
        size = cache.size
        cache.put(b"x" * MAX_ENTRY_BYTES, document, result, context)
        assert cache.size == size
        disabled = AnswerCache(0)
        disabled.put(b"0", document, result, context)
        assert disabled.size == 0
        assert disabled.get(b"0", context) is None

    run(work, tmp_path)
