"""Servers are killed mid-job and restarted with other ensembles: no job mixes results of two ensembles."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ensemble.artifact import MANIFEST, _manifest_hash
from service.settings import SHIPPED
from service.storage import Store
from tests.real_server import Server, assert_complete, serving, until

NUMBER, PER_SAMPLE = 5000, 1000
FIRST, SECOND = "gcn-nas-ntu", "other"


@pytest.fixture
def ensembles(tmp_path: Path) -> Path:
    """The shipped ensemble, and another that lacks one of its combiners."""
    directory = tmp_path / "ensembles"
    shutil.copytree(SHIPPED / FIRST, directory / FIRST)
    shutil.copytree(SHIPPED / FIRST, directory / SECOND)
    change(directory / SECOND, lacks="ridge")
    return directory


def change(artifact: Path, lacks: str) -> None:
    """Change an artifact as if it had been fitted without this combiner."""
    manifest = json.loads((artifact / MANIFEST).read_text())
    manifest["combiners"].remove(lacks)
    (artifact / MANIFEST).write_text(json.dumps({**manifest, "manifest_sha256": _manifest_hash(manifest)}))


def begin(server: Server, data: Path, seed: int) -> str:
    """Create a job, and kill the server when a part of it is done."""
    seeds = range(seed * NUMBER, seed * NUMBER + NUMBER // PER_SAMPLE)
    architectures = [item for part in seeds for item in server.architectures(PER_SAMPLE, seed=part)]
    place = server.submit(architectures, proxies=[])
    server.wait_until_finished(place, 1)
    server.kill()
    with Store.open(Store.directory_url(data)) as store:
        assert 0 < store.jobs.get(place.rpartition("/")[2]).done < NUMBER
    return place


def sources(results: dict[int, Any]) -> set[Any]:
    """Ensembles and combiners of the results."""
    predicted = [result for result in results.values() if "error" not in result]
    return {(result["ensemble"], result["ensemble_hash"], *sorted(result["combiners"])) for result in predicted}


def test_default_and_artifact_change(tmp_path: Path, ensembles: Path) -> None:
    settings: dict[str, Any] = {"ensembles_dir": ensembles}
    with serving(tmp_path, **settings) as server:
        hash_ = server.client.get(f"/v1/ensembles/{FIRST}").json()["hash"]
        first = begin(server, tmp_path, seed=1)
    with serving(tmp_path, default_ensemble=SECOND, **settings) as server:
        results = assert_complete(server, first, NUMBER, {})
        ((name, by, *combiners),) = sources(results)
        assert (name, by) == (FIRST, hash_)
        assert "ridge" in combiners
        assert (server.job(first)["ensemble"], server.job(first)["ensemble_hash"]) == (FIRST, hash_)
        before = server.client.get(f"/v1/ensembles/{SECOND}").json()["hash"]
        second = begin(server, tmp_path, seed=2)
    change(ensembles / SECOND, lacks="forest")
    with serving(tmp_path, default_ensemble=SECOND, **settings) as server:
        job = until(lambda: status if (status := server.job(second))["finished_at"] else None)
        assert (job["state"], job["ensemble"], job["ensemble_hash"]) == ("done", SECOND, before)
        assert job["counts"]["failed"] > 0
        results = server.results(second)
        ((name, by, *combiners),) = sources(results)
        assert (name, by) == (SECOND, before)
        assert "forest" in combiners
        (failure,) = {one["error"]["detail"] for one in results.values() if "error" in one}
        assert failure.startswith("the job cannot continue: ensemble 'other' has hash ")
        assert failure.endswith(f"not {before}; submit the remaining architectures as a new job")
