"""Revoked keys on a real server: open responses end, jobs go on, and requests are refused."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.api_keys import create_key
from service.cli import app
from service.cli.demo import server
from service.settings import KeyLimits
from service.storage import Store
from tests.real_server import LEAN, until
from tests.service.api.test_authentication import keys
from tests.waiting import PATIENCE_S

PATHS = ("/v1/jobs", "/v1/spaces", "/metrics")


@contextmanager
def connect(url: str, key: str | None = None) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:
        yield client


class Listener:
    """Reads the events of a job in a thread, until the server ends the stream."""

    def __init__(self, url: str, key: str | None, job: str) -> None:
        self.events: list[str] = []
        self.opened = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(url, key, job))
        self._thread.start()
        assert self.opened.wait(PATIENCE_S)

    def _listen(self, url: str, key: str | None, job: str) -> None:
        with connect(url, key) as client, client.stream("GET", f"/v1/jobs/{job}/events") as stream:
            assert stream.status_code == 200
            for line in stream.iter_lines():
                self.opened.set()
                if line.startswith("event: "):
                    self.events.append(line.removeprefix("event: "))

    def ended(self) -> bool:
        return not self._thread.is_alive()


def long_body(client: httpx.Client, n: int, seed: int = 0) -> dict[str, Any]:
    """Return a request body whose scoring takes minutes."""
    sample = client.post("/v1/spaces/gcn-nas/sample", json={"number": n, "seed": seed, "fixed": {"depth": 10}}).json()
    return {"architectures": sample["architectures"]}


def long_job(client: httpx.Client) -> str:
    job_id: str = client.post("/v1/jobs", json=long_body(client, 200)).json()["id"]
    return job_id


def statuses(client: httpx.Client) -> set[int]:
    return {client.get(path).status_code for path in PATHS}


def test_keys_are_required_from_the_first_one_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = LEAN | {"ARCHRANK_DATA_DIR": str(data)}
    with server(settings, tmp_path / "errors") as url, connect(url) as anonymous_client:
        assert statuses(anonymous_client) == {200}
        anonymous = Listener(url, None, long_job(anonymous_client))
        key = keys(data, "create", "--name", "only", "--scope", "predict", "--scope", "admin")
        until(anonymous.ended)
        assert not {"done", "cancelled", "failed"} & set(anonymous.events)
        assert statuses(anonymous_client) == {401}

        with connect(url, key) as client, ThreadPoolExecutor(1) as threads:
            job = long_job(client)
            listener = Listener(url, key, job)
            body = long_body(client, 64, seed=1)
            response = threads.submit(
                client.post, "/v1/predictions", json=body, headers={"Prefer": f"wait={PATIENCE_S:.0f}"}
            )
            until(lambda: "archrank_queue_depth 0.0" not in client.get("/metrics").text)
            output = keys(data, "revoke", key.split("_")[1])
            assert "archrank keys open" in output
            until(listener.ended)
            refused = response.result()
        assert not {"done", "cancelled", "failed"} & set(listener.events)
        assert refused.status_code == 401, refused.text
        assert "was revoked" in refused.json()["detail"]
        assert statuses(anonymous_client) == {401}
        with connect(url, key) as client:
            assert statuses(client) == {401}
        with Store.open(Store.directory_url(data)) as store:
            assert store.jobs.get(job).state in ("queued", "running")

        assert "accepts requests without a key" in keys(data, "open")
        until(lambda: statuses(anonymous_client) == {200})
        assert anonymous_client.delete(f"/v1/jobs/{job}").json()["state"] == "cancelled"
        keys(data, "create", "--name", "next")
        until(lambda: statuses(anonymous_client) == {401})


@pytest.mark.parametrize("in_settings", [True, False])
def test_keys_open_is_refused_while_a_key_is_in_use(tmp_path: Path, in_settings: bool) -> None:
    env = {"ARCHRANK_DATA_DIR": str(tmp_path / "data")}
    entry = create_key("lab", ["predict"], KeyLimits())[1]
    if in_settings:
        env["ARCHRANK_KEYS"] = f"[{entry.model_dump_json(exclude_none=True)}]"
    else:
        with Store.open(Store.directory_url(tmp_path / "data")) as store:
            store.keys.add(**entry.model_dump(mode="json", exclude_none=True))
    result = CliRunner().invoke(app, ["keys", "open"], env=env)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert entry.id in result.stderr
    assert "allowed: none" in result.stderr
    with Store.open(Store.directory_url(tmp_path / "data")) as store:
        assert store.keys.anonymous() == in_settings
