"""`detail="brief"` of both clients."""

import asyncio
import json
from typing import Any, cast

import httpx
import pytest
from archrank_client import AsyncClient, BriefPrediction, Client, Failure, UnexpectedResponseError

INVALID = {"space": "gcn-nas", "layers": [["L5"]]}


def test_brief_predictions_have_the_numbers_of_full_ones(url: str) -> None:
    with Client(url) as client:
        architectures: list[Any] = client.sample(70, seed=11)
        architectures += [INVALID, architectures[0]]
        full = client.predict(architectures, proxies=[])
        brief = client.predict(architectures, proxies=[], detail="brief")
        for one, other, architecture in zip(full, brief, architectures, strict=True):
            assert one.ok == other.ok
            if other.ok:
                assert isinstance(other, BriefPrediction)
                assert (one.accuracy, one.interval, one.ranking_score) == (
                    other.accuracy,
                    other.interval,
                    other.ranking_score,
                )
                assert other.architecture == architecture
        assert isinstance(brief[70], Failure)
        ranked = client.rank(architectures, proxies=[], detail="brief")
        expected = client.rank(architectures, proxies=[])
        assert [(each.rank, each.position) for each in ranked] == [(each.rank, each.position) for each in expected]
        assert ranked[0].architecture == architectures[ranked[0].position]


def test_brief_jobs(url: str) -> None:
    with Client(url) as client:
        architectures = [*client.sample(3, seed=12), INVALID]
        job = client.submit(architectures, proxies=[], detail="brief")
        results = cast("list[BriefPrediction | Failure]", job.results())
        assert [type(result) for result in results] == [BriefPrediction] * 3 + [Failure]
        assert [result.accuracy for result in results[:3]] == [
            result.accuracy for result in client.predict(architectures[:3], proxies=[])
        ]
        assert client.job(job.id).results()[:3] == results[:3]


def test_async_client(url: str) -> None:
    async def main() -> None:
        async with AsyncClient(url) as client:
            architectures = await client.sample(3, seed=13)
            ranked = await client.rank(architectures, proxies=[], detail="brief")
            assert [each.rank for each in ranked] == [1, 2, 3]
            job = await client.submit(architectures, proxies=[], detail="brief")
            results = cast("list[BriefPrediction]", await job.results())
            assert [results[each.position].accuracy for each in ranked] == [each.accuracy for each in ranked]

    asyncio.run(main())


def test_large_requests_only_where_the_server_allows_them() -> None:
    sizes: list[int] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/limits":
            return httpx.Response(200, json={"max_architectures": 2, "max_brief_architectures": 5})
        body = json.loads(request.content)
        assert body["detail"] == "brief"
        sizes.append(len(body["architectures"]))
        item = {"accuracy": 0.9, "interval": None, "ranking_score": 0.9, "rank": 1}
        return httpx.Response(200, json={"predictions": [item] * sizes[-1]})

    with Client("http://server", transport=httpx.MockTransport(respond), max_concurrency=1) as client:
        architectures = [{"layers": [i]} for i in range(7)]
        assert all(result.rank is None for result in client.predict(architectures, proxies=[], detail="brief"))
        assert sizes == [5, 2]


@pytest.mark.parametrize("detail", ["short", "", None])
def test_unknown_details_are_refused(detail: Any) -> None:
    with Client("http://server") as client, pytest.raises(ValueError, match="'full' or 'brief'"):
        client.predict([{}], detail=detail)


def test_a_brief_prediction_without_numbers_is_refused() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        item = {"accuracy": None, "interval": None, "ranking_score": None, "rank": 1}
        return httpx.Response(200, json={} if request.url.path == "/v1/limits" else {"predictions": [item]})

    with (
        Client("http://server", transport=httpx.MockTransport(respond)) as client,
        pytest.raises(UnexpectedResponseError),
    ):
        client.predict([{}], proxies=[], detail="brief")
