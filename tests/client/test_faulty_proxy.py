"""Calls through a proxy that drops, delays and duplicates requests: no result is lost, moved or computed twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import MakeClient
from tests.client.faulty_proxy import FAULTS, faulty_proxy
from tests.client.test_client import INVALID, metric
from tests.real_server import CHEAP, Server, serving

SIZE = 66


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty store."""
    with serving(tmp_path) as server:
        yield server


def test_all_calls(make_client: MakeClient, fresh_server: Server) -> None:
    def n_scored() -> float:
        return metric(fresh_server.client, "archrank_scoring_duration_seconds_count")

    with faulty_proxy(fresh_server.url, seed=3) as proxy:
        client = make_client(proxy.url, timeout=20.0)
        architectures = [*client.sample(SIZE, depth=4, seed=1), INVALID]
        results = client.predict([*architectures, architectures[0]], proxies=CHEAP)
        assert [result.architecture for result in results] == [*architectures, architectures[0]]
        assert [result.ok for result in results] == [True] * SIZE + [False, True]
        assert n_scored() == SIZE
        assert len(fresh_server.client.get("/v1/jobs").json()["jobs"]) == 1  # in spite of several submissions

        scores = client.score(architectures, proxies=CHEAP)
        assert [result.scores for result in scores[:-1]] == [result.scores for result in results[:SIZE]]
        assert n_scored() == SIZE

        many = client.sample(700, seed=2)
        ranked = client.rank(many, proxies=[])
        assert sorted(entry.position for entry in ranked) == list(range(700))
        assert [entry.architecture for entry in ranked] == [many[entry.position] for entry in ranked]
        assert [validation.parameters for validation in client.validate(many[:130])]

        job = client.submit(client.sample(20, depth=4, seed=3), proxies=CHEAP)
        positions = [position for position, _ in job.iter()]
        assert sorted(positions) == list(range(20))  # each once
        assert job.wait().state == "done"
        assert n_scored() == SIZE + 20
        assert set(FAULTS) <= set(proxy.counts)


def test_studies(make_client: MakeClient, fresh_server: Server) -> None:
    with faulty_proxy(fresh_server.url, seed=5) as proxy:
        client = make_client(proxy.url, timeout=20.0)
        study = client.study("faulty", space="gcn-nas", sources=[])
        assert client.study("faulty", space="gcn-nas", sources=[]).id == study.id
        architectures = client.sample(60, depth=4, seed=4)
        values = [i / 100 for i in range(60)]
        for architecture, value in zip(architectures[:30], values, strict=False):
            assert study.observe(architecture, value).added in (0, 1)  # 0 if an earlier attempt added it
        pairs = zip(architectures, values, strict=True)
        result = study.observe_many([{"architecture": each, "value": value} for each, value in pairs])
        assert result.observations == 60

        direct = fresh_server.client.get(f"/v1/studies/{study.id}/observations").json()["observations"]
        assert sorted(item["value"] for item in direct) == values  # none is lost, none twice
        observed = {observation.value: observation.architecture for observation in study.observations()}
        assert [observed[value] for value in values] == architectures

        predictions = study.predict(architectures, wait=10)
        assert [prediction.architecture for prediction in predictions] == architectures
        suggested = [each.architecture for _ in range(5) for each in study.suggest(2)]
        assert len({str(each) for each in suggested}) == 10
        assert not [each for each in suggested if each in architectures]
        candidates = client.sample(60, depth=4, seed=8)
        batches = [study.suggest(15, candidates) for _ in range(4)]  # no attempt reserves others
        assert len({str(each.architecture) for batch in batches for each in batch}) == 60
        document = study.export()
        study.delete()
        assert client.import_study(document).state().observations.total == 60
        assert len(client.studies()) == 1
        assert len(set(proxy.counts)) > len(FAULTS)
