"""Servers are killed mid-job and start with other ensembles: no job has two ensembles' words in it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ensemble.artifact import MANIFEST, _manifest_hash
from service.settings import SHIPPED
from service.storage import Store
from tests.real_server import Server, assert_complete, serving, until

NUMBER = 1000
FIRST, SECOND = "gcn-nas-ntu", "other"


@pytest.fixture
def ensembles(tmp_path: Path) -> Path:
    """The shipped ensemble, and another that lacks one of its combiners."""
    folder = tmp_path / "ensembles"
    shutil.copytree(SHIPPED / FIRST, folder / FIRST)
    shutil.copytree(SHIPPED / FIRST, folder / SECOND)
    change(folder / SECOND, lacks="ridge")
    return folder


def change(artifact: Path, lacks: str) -> None:
    """As if it had been fitted anew, without this combiner."""
    manifest = json.loads((artifact / MANIFEST).read_text())
    manifest["combiners"].remove(lacks)
    (artifact / MANIFEST).write_text(json.dumps({**manifest, "manifest_sha256": _manifest_hash(manifest)}))


def begin(server: Server, data: Path, seed: int) -> str:
    """A job of which some is done when the server is killed."""
    place = server.submit(server.architectures(NUMBER, seed=seed), proxies=[])
    server.at_least(place, 1)
    server.kill()
    with Store.open_directory(data) as store:
        assert 0 < store.jobs.get(place.rpartition("/")[2]).done < NUMBER
    return place


def words(results: dict[int, Any]) -> set[Any]:
    """By which ensembles, and by which combiners, the results are."""
    good = [one for one in results.values() if "error" not in one]
    return {(one["ensemble"], one["ensemble_hash"], *sorted(one["combiners"])) for one in good}


def test_default_and_artifact_change(tmp_path: Path, ensembles: Path) -> None:
    given = {"ensembles_dir": ensembles}
    with serving(tmp_path, **given) as server:
        hash_ = server.client.get(f"/v1/ensembles/{FIRST}").json()["hash"]
        first = begin(server, tmp_path, seed=1)
    with serving(tmp_path, default_ensemble=SECOND, **given) as server:
        found = assert_complete(server, first, NUMBER, {})
        ((name, by, *combiners),) = words(found)
        assert (name, by) == (FIRST, hash_)
        assert "ridge" in combiners
        assert (server.job(first)["ensemble"], server.job(first)["ensemble_hash"]) == (FIRST, hash_)
        before = server.client.get(f"/v1/ensembles/{SECOND}").json()["hash"]
        second = begin(server, tmp_path, seed=2)
    change(ensembles / SECOND, lacks="forest")
    with serving(tmp_path, default_ensemble=SECOND, **given) as server:
        job = until(lambda: found if (found := server.job(second))["finished"] else None)
        assert (job["state"], job["ensemble"], job["ensemble_hash"]) == ("done", SECOND, before)
        assert job["counts"]["failed"] > 0
        results = server.results(second)
        ((name, by, *combiners),) = words(results)
        assert (name, by) == (SECOND, before)
        assert "forest" in combiners
        (failure,) = {one["error"]["detail"] for one in results.values() if "error" in one}
        assert failure.startswith("the job cannot continue: ensemble 'other' has hash ")
        assert failure.endswith(f"not {before}: post what is left as another job")
