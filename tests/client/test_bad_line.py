"""Through a proxy that drops, delays and duplicates: nothing is lost, moved or computed twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.client.bad_line import FAULTS, bad_line
from tests.client.conftest import Make
from tests.client.test_real import BAD, count
from tests.real_server import CHEAP, Server, serving

NUMBER = 66


@pytest.fixture
def fresh(tmp_path: Path) -> Any:
    """A server that has computed nothing."""
    with serving(tmp_path) as server:
        yield server


def test_all_of_it(make: Make, fresh: Server) -> None:
    with bad_line(fresh.url, seed=3) as line:
        client = make(line.url, timeout=20.0)
        architectures = [*client.sample(NUMBER, depth=4, seed=1), BAD]
        results = client.predict([*architectures, architectures[0]], proxies=CHEAP)
        assert [one.architecture for one in results] == [*architectures, architectures[0]]
        assert [one.ok for one in results] == [True] * NUMBER + [False, True]
        assert count(fresh, "archrank_scoring_duration_seconds_count") == NUMBER
        assert len(fresh.client.get("/v1/jobs").json()["jobs"]) == 1  # however often it was posted

        again = client.score(architectures, proxies=CHEAP)
        assert [one.scores for one in again[:-1]] == [one.scores for one in results[:NUMBER]]
        assert count(fresh, "archrank_scoring_duration_seconds_count") == NUMBER

        many = client.sample(700, seed=2)
        ranked = client.rank(many, proxies=[])
        assert sorted(one.position for one in ranked) == list(range(700))
        assert [one.architecture for one in ranked] == [many[one.position] for one in ranked]
        assert [one.parameters for one in client.validate(many[:130])]

        job = client.submit(client.sample(20, depth=4, seed=3), proxies=CHEAP)
        positions = [position for position, _ in job.iter()]
        assert sorted(positions) == list(range(20))  # each once
        assert job.wait().state == "done"
        assert count(fresh, "archrank_scoring_duration_seconds_count") == NUMBER + 20
        assert set(FAULTS) <= set(line.happened)
