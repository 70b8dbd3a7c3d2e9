"""A search of three workers whose server is killed twice: its study ends like one that was fed in order."""

import random
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from ensemble.data.loading import load_benchmark
from service.settings import SHIPPED
from tests.chaos.conftest import Recovered
from tests.conftest import data_folder
from tests.real_server import Server, serving, until
from tests.synthetic_study import observations, sample
from tests.waiting import PATIENCE_S

NUMBER, WORKERS, OVERLAP = 150, 3, 20
TARGET = "cs"
STUDY: dict[str, Any] = {
    "name": "search",
    "space": "nas-bench-graph",
    "task": "new data set",
    "sources": ["nas-bench-graph-cora", "nas-bench-graph-pubmed"],
}


@pytest.fixture(params=["synthetic", "nas-bench-graph"])
def table(request: pytest.FixtureRequest) -> tuple[list[Any], list[Any]]:
    """Observations of a data set, a tenth of them failed, and architectures to predict."""
    if request.param == "synthetic":
        rows, queried = observations(NUMBER), sample(60, seed=1)
    else:
        path = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "nas-bench-graph" / f"{TARGET}.npz"
        if not path.is_file():
            pytest.skip(f"{path} does not exist")
        benchmark = load_benchmark(path, "nas-bench-graph")
        chosen = np.random.default_rng(0).choice(len(benchmark), NUMBER + 60, replace=False).tolist()
        entries = [benchmark.entries[i] for i in chosen]
        documents = [benchmark.space.to_json(entry.architecture) for entry in entries]
        rows = [
            {"architecture": document, "value": entry.accuracy, "seconds": 1.5}
            for document, entry in zip(documents[:NUMBER], entries, strict=False)
        ]
        queried = documents[NUMBER:]
    for row in rows[::10]:
        row.update(value=None, error="out of memory")
    return rows, queried


@pytest.fixture
def ensembles(tmp_path: Path) -> Path:
    """The default ensemble and the sources of the study."""
    folder = tmp_path / "ensembles"
    folder.mkdir()
    for name in ("gcn-nas-ntu", *STUDY["sources"]):
        (folder / name).symlink_to(SHIPPED / name)
    return folder


class Worker(threading.Thread):
    """Worker of a search, which posts every observation until it is accepted.

    Attributes:
        accepted: observations that the server has accepted.
        lost: number of requests without a response.
        failure: exception that ended the worker.
    """

    def __init__(self, url: str, rows: list[Any], seed: int) -> None:
        super().__init__(daemon=True)
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)
        self._rows, self._random = list(rows), random.Random(seed)
        self.accepted: list[Any] = []
        self.lost = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._random.shuffle(self._rows)
            place = self._post("/v1/studies", STUDY).headers["location"]
            while part := self._rows[len(self.accepted) :][: self._random.randint(1, 4)]:
                self._post(f"{place}/observations", {"observations": part})
                self.accepted += part
                self._post(f"{place}/predictions", {"architectures": [self._rows[0]["architecture"]]})
        except BaseException as error:
            self.failure = error
        finally:
            self._client.close()

    def _post(self, path: str, body: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                response = self._client.post(path, json=body)
            except httpx.TransportError:
                self.lost += 1
                time.sleep(0.05)
            else:
                assert response.is_success, response.text
                return response
        raise AssertionError(f"{path} was not answered in time")


def test_a_search_whose_server_is_killed_twice(
    tmp_path: Path, table: tuple[list[Any], list[Any]], ensembles: Path, recovered: Recovered
) -> None:
    rows, queried = table
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    share = NUMBER // WORKERS
    parts = [rows[max(0, i * share - OVERLAP) : (i + 1) * share] for i in range(WORKERS)]
    workers = [Worker(f"http://127.0.0.1:{port}", part, seed) for seed, part in enumerate(parts)]
    for worker in workers:
        worker.start()
    total = sum(map(len, parts))
    kept, since = 0, time.monotonic()
    for goal in (total // 3, 2 * total // 3):
        with serving(tmp_path / "data", port=port, ensembles_dir=ensembles) as server:
            if kept:
                recovered("server killed during a search and started again", since)
                assert _study(server)["observations"]["total"] >= kept
            until(partial(_has_accepted, workers, goal))
            kept, since = len({str(row) for worker in workers for row in worker.accepted}), time.monotonic()
            server.kill()
    with serving(tmp_path / "data", port=port, ensembles_dir=ensembles) as server:
        for worker in workers:
            worker.join(PATIENCE_S)
        assert [worker.failure for worker in workers] == [None] * WORKERS
        assert sum(worker.lost for worker in workers) > 0
        assert _has_accepted(workers, total)
        searched, predictions = _state(server), _predictions(server, queried)
        exported = server.client.get(f"/v1/studies/{searched['id']}/export").json()
    with serving(tmp_path / "fresh", ensembles_dir=ensembles) as server:
        place = server.client.post("/v1/studies", json=STUDY).headers["location"]
        for row in rows:
            assert server.client.post(f"{place}/observations", json={"observations": [row]}).is_success
        in_order, expected = _state(server), _predictions(server, queried)
        assert server.client.get(f"{place}/export").json() == exported
    assert predictions == expected
    for field in ("observations", "fitted", "quality", "notes", "best"):
        assert searched[field] == in_order[field]
    assert searched["observations"]["total"] == NUMBER
    assert len({item["score"] for item in predictions}) > len(queried) // 2


def _has_accepted(workers: list[Worker], number: int) -> bool:
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure
    return sum(len(worker.accepted) for worker in workers) >= number


def _study(server: Server) -> Any:
    (study,) = server.client.get("/v1/studies", params={"name": STUDY["name"]}).json()["studies"]
    return study


def _state(server: Server) -> Any:
    """State of the study, after a fit to all observations and an estimate of its quality."""
    place = f"/v1/studies/{_study(server)['id']}"

    def fitted() -> Any:
        state = server.client.get(place, headers={"Prefer": "wait=10"}).json()
        numbers = {part and part["observations"] for part in (state["fitted"], state["quality"])}
        return state if numbers == {state["observations"]["total"]} else None

    return until(fitted)


def _predictions(server: Server, architectures: list[Any]) -> Any:
    answer = server.client.post(
        f"/v1/studies/{_study(server)['id']}/predictions",
        json={"architectures": architectures},
        headers={"Prefer": "wait=60"},
    ).json()
    assert (answer["observations"], answer["pending"]) == (NUMBER, 0)
    return answer["predictions"]
