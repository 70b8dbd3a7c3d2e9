"""API keys on a real server: authentication, scopes and limits; keys are never logged."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from typer.testing import CliRunner

from service.api_keys import create_key, matches
from service.app import create_app
from service.cli import app
from service.cli.demo import server
from service.settings import KeyEntry, KeyLimits, Settings
from service.storage import Store
from tests.real_server import LEAN, until
from tests.service.conftest import FOUR_LAYERS, SMALL
from tests.waiting import PATIENCE_S

BODY = {"architectures": [SMALL], "proxies": []}


class Keyed(NamedTuple):
    url: str
    data: Path
    errors: Path
    admin: str

    def client(self, key: str | None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False)


def keys(data: Path, *arguments: str) -> str:
    """Run `archrank keys`, and return its output."""
    command = (sys.executable, "-m", "service.cli", "keys", *arguments)
    env = {**os.environ, "ARCHRANK_DATA_DIR": str(data)}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Run a server whose store has an admin's key."""
    data, errors = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("log") / "errors"
    admin = keys(data, "create", "--name", "operator", "--scope", "admin")
    with server(LEAN | {"ARCHRANK_DATA_DIR": str(data)}, errors) as url:
        yield Keyed(url, data, errors, admin)


@pytest.fixture(scope="module")
def new_key(keyed: Keyed) -> Iterator[Callable[..., str]]:
    """Return a function that creates keys while the server runs."""
    with Store.open(Store.directory_url(keyed.data)) as store:

        def create(*scopes: Any, **limits: Any) -> str:
            key, entry = create_key("test", scopes or ("predict",), KeyLimits(**limits))
            store.keys.add(**entry.model_dump(mode="json", exclude_none=True))
            return key

        yield create


def assert_refused(response: httpx.Response, status: int, word: str) -> httpx.Response:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert word in response.json()["detail"]
    return response


OPEN = {"/health/live", "/health/ready"}
OPERATIONS = [
    (method, path)
    for path, methods in create_app(Settings()).openapi()["paths"].items()
    for method in methods
    if path not in OPEN
]


def assert_requires_a_key(keyed: Keyed, method: str, path: str, headers: dict[bytes, bytes]) -> None:
    with keyed.client(None) as client:
        response = client.request(
            method, path.format(id="0" * 32, name="gcn-nas", observation_id="0" * 32), content=b"{", headers=headers
        )
        assert assert_refused(response, 401, "API key").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_requires_a_key(keyed: Keyed, method: str, path: str) -> None:
    assert_requires_a_key(keyed, method, path, {})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ark_0123456789ab_" + "x" * 43, "Basic YTpi", "Bearer \xe9"])
@pytest.mark.parametrize(("method", "path"), [OPERATIONS[0], OPERATIONS[-1]])
def test_a_header_without_a_valid_key_is_refused(keyed: Keyed, method: str, path: str, header: str) -> None:
    assert_requires_a_key(keyed, method, path, {b"Authorization": header.encode("latin-1")})


def test_health_requires_no_key(keyed: Keyed) -> None:
    with keyed.client(None) as client:
        assert all(client.get(path).status_code == 200 for path in OPEN)


def test_a_new_key_is_valid_at_once(keyed: Keyed, new_key: Callable[..., str]) -> None:
    with keyed.client(new_key()) as client:
        assert client.post("/v1/predictions", json=BODY).status_code == 200
        assert client.get("/v1/spaces").status_code == 200


@pytest.mark.parametrize(
    "change", [lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"), str.upper, lambda key: key + "x"]
)
def test_an_altered_key_is_refused(keyed: Keyed, new_key: Callable[..., str], change: Callable[[str], str]) -> None:
    with keyed.client(change(new_key())) as client:
        assert_refused(client.post("/v1/predictions", json=BODY), 401, "API key")


def test_scopes(keyed: Keyed, new_key: Callable[..., str]) -> None:
    with keyed.client(keyed.admin) as client:
        assert_refused(client.post("/v1/predictions", json=BODY), 403, "this needs predict")
        assert_refused(client.post("/v1/jobs", json=BODY), 403, "this needs predict")
        assert client.get("/v1/jobs").status_code == 200


def test_jobs_are_visible_to_their_owner_and_to_admins(keyed: Keyed, new_key: Callable[..., str]) -> None:
    with keyed.client(new_key()) as owner, keyed.client(new_key()) as other, keyed.client(keyed.admin) as admin:
        place = owner.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "mine"}).headers["location"]
        theirs = other.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "mine"}).headers["location"]
        assert place != theirs
        for path in (place, f"{place}/results", f"{place}/events"):
            assert owner.get(path).status_code == admin.get(path).status_code == 200
            assert_refused(other.get(path), 404, "there is no job")
        assert_refused(other.delete(place), 404, "there is no job")
        listed = [{job["id"] for job in client.get("/v1/jobs").json()["jobs"]} for client in (owner, other, admin)]
        assert len(listed[0]) == len(listed[1]) == 1
        assert listed[0] | listed[1] <= listed[2]


def test_a_revoked_key_is_refused_soon(keyed: Keyed, new_key: Callable[..., str]) -> None:
    key = new_key()
    with keyed.client(key) as client:
        assert client.get("/v1/proxies").status_code == 200
        assert "is revoked" in keys(keyed.data, "revoke", key.split("_")[1])
        until(lambda: client.get("/v1/proxies").status_code != 200)
        assert_refused(client.get("/v1/proxies"), 401, "revoked")


def test_rate_limit(keyed: Keyed, new_key: Callable[..., str]) -> None:
    with keyed.client(new_key(rate_limit=60)) as client, keyed.client(new_key()) as other:
        responses = [client.get("/v1/proxies") for _ in range(40)]
        limited = [response for response in responses if response.status_code == 429]
        assert len(responses) - len(limited) >= 10  # a burst of ten seconds' worth
        assert limited
        assert int(assert_refused(limited[0], 429, "60 requests a minute").headers["retry-after"]) >= 1
        assert other.get("/v1/proxies").status_code == 200


def test_max_active_jobs(keyed: Keyed, new_key: Callable[..., str]) -> None:
    with keyed.client(new_key(max_active_jobs=1)) as client:
        many = client.post("/v1/spaces/gcn-nas/sample", json={"number": 20, "fixed": {"depth": 10}}).json()[
            "architectures"
        ]

        def post_first() -> httpx.Response:
            return client.post("/v1/jobs", json={"architectures": many}, headers={"Idempotency-Key": "first"})

        place = post_first().headers["location"]
        assert "retry-after" in assert_refused(client.post("/v1/jobs", json=BODY), 429, "at most 1").headers
        assert post_first().headers["location"] == place  # the same job
        client.delete(place)
        assert client.post("/v1/jobs", json=BODY).status_code == 202


def test_keys_are_neither_logged_nor_stored(keyed: Keyed, new_key: Callable[..., str]) -> None:
    key = new_key()
    with keyed.client(key) as client:
        client.get("/v1/nothing")
        client.post("/v1/predictions", json={"architectures": [FOUR_LAYERS, {"layers": [key]}], "proxies": []})
    for file in [keyed.errors, *keyed.data.iterdir()]:
        content = file.read_bytes()
        assert all(secret.encode() not in content for secret in (key, key[17:], keyed.admin, keyed.admin[17:])), file
    assert key not in keys(keyed.data, "list", "--json")


def test_keys_of_the_settings(tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-m",
        "service.cli",
        "keys",
        "create",
        "--name",
        "lab",
        "--rate-limit",
        "9",
        "--settings",
    )
    env = {**os.environ, "ARCHRANK_DATA_DIR": str(tmp_path / "none")}
    printed = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    entry = KeyEntry.model_validate_json(printed.stdout)
    assert matches(entry, printed.stderr.strip())
    assert (entry.name, set(entry.scopes), entry.limits.rate_limit) == ("lab", {"predict"}, 9)
    assert not (tmp_path / "none").exists()


def test_ids_are_shown_in_full_on_a_narrow_terminal(tmp_path: Path) -> None:
    env = {"ARCHRANK_DATA_DIR": str(tmp_path), "COLUMNS": "60"}
    scopes = ("--scope", "predict", "--scope", "admin")
    created = CliRunner().invoke(app, ["keys", "create", "--name", "monitors of the machine", *scopes], env=env).stdout
    listed = CliRunner().invoke(app, ["keys", "list"], env=env).stdout
    assert created.split("_")[1] in listed
    assert max(map(len, listed.splitlines())) <= 60


@pytest.mark.parametrize(
    "options",
    [
        ("--scope", "all"),
        ("--rate-limit", "0"),
        ("--rate-limit", "1" + 400 * "0"),
        ("--queue-share", "2"),
        ("--max-active-jobs", "-1"),
    ],
)
def test_invalid_keys_are_not_created(tmp_path: Path, options: tuple[str, str]) -> None:
    env = {"ARCHRANK_DATA_DIR": str(tmp_path / "none")}
    result = CliRunner().invoke(app, ["keys", "create", "--name", "lab", *options], env=env)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "ark_" not in result.stdout
    assert not (tmp_path / "none").exists()
