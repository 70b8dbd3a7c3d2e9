"""Log lines: valid JSON, with the ids of the work, and without secrets."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api_keys import create_key
from service.app import create_app
from service.observability import logs
from service.settings import KeyLimits, Settings
from tests.conftest import ROOT
from tests.real_server import serving
from tests.service.api.test_jobs import submit, wait
from tests.service.conftest import CHEAP, SIX, SMALL
from tests.waiting import PATIENCE_S

KEY = "ark_0aB-9_zzZZ11"
URL = "postgresql://archrank:hunter2@db/archrank"
FORMATTERS = [logs.JsonFormatter(), logs.TextFormatter()]
KEYS = st.text("abcXYZ019_-", min_size=8, max_size=40)


def lines(log: Path) -> list[dict[str, Any]]:
    """Parse the log, each line of which is a JSON object."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_lines_of_a_server(tmp_path: Path) -> None:
    log = tmp_path / "log"
    key, entry = create_key("lab", ["predict"], KeyLimits())
    with serving(tmp_path / "data", log, keys=f"[{entry.model_dump_json()}]") as server:
        server.client.headers["Authorization"] = f"Bearer {key}"
        headers = {"X-Request-ID": "mine"}
        body = {"architectures": [SMALL], "proxies": CHEAP}
        assert server.client.post("/v1/predictions", json=body, headers=headers).headers["x-request-id"] == "mine"
        assert server.client.get(f"/{key}", headers=headers).status_code == 404
        place = submit(server.client, SIX)
        wait(server.client, place)
        server.process.terminate()
        server.process.wait(PATIENCE_S)
    assert key not in log.read_text()
    records = lines(log)
    for line in records:
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert line["time"].endswith("+00:00")
    (answered, not_found) = [line for line in records if line.get("request") == "mine"]
    assert (
        answered.items()
        >= {
            "logger": "service.access",
            "level": "info",
            "message": "POST /v1/predictions 200",
            "method": "POST",
            "route": "/v1/predictions",
            "caller": entry.id,
            "status": 200,
        }.items()
    )
    assert answered["seconds"] > 0
    assert answered["bytes"] > 100
    assert (not_found["route"], not_found["status"]) == ("other", 404)
    created = next(line for line in records if line.get("job"))
    assert place.endswith(created["job"])
    assert created["request"] in {line["request"] for line in records if line.get("route") == "/v1/jobs"}
    assert {line["event"] for line in records if line["logger"] == "service.workers.worker"} == {
        "spawn",
        "ready",
        "exit",
    }
    assert any(line["logger"] == "uvicorn.error" for line in records)
    assert not any(line.get("route") == "/health/ready" for line in records)


def test_level_and_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(tmp_path / "data", log, log_format="text", log_level="debug") as server:
        server.client.get("/health/live", headers={"X-Request-ID": "quiet"})
        server.process.terminate()
        server.process.wait(PATIENCE_S)
    (line,) = [line for line in log.read_text().splitlines() if "quiet" in line]
    assert "DEBUG service.access: GET /health/live 200 request=quiet method=GET" in line


CHILD = """
import time
from service.workers.process_backend import ProcessBackend, WorkerOptions

if __name__ == "__main__":
    backend = ProcessBackend({}, WorkerOptions(entry_point="service.workers.worker_main:nothing", log=("json", "info")))
    backend.start()
    while backend.health().state != "unhealthy":
        time.sleep(0.01)
    backend.stop()
"""


def test_lines_of_a_worker(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(CHILD)
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(script)], stderr=subprocess.PIPE, text=True, env=environment, check=True)
    records = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert records
    for line in records:
        assert (line["process"], line["message"]) == ("worker 0", "the worker exits")
        assert "has no attribute 'nothing'" in line["exception"]


@pytest.mark.parametrize("path", ["/health/live", "/nothing/there", "/v1/jobs/none"])
def test_every_answer_has_an_id(path: str, client: httpx.Client) -> None:
    assert client.get(path, headers={"X-Request-ID": "a.b_c-1"}).headers["x-request-id"] == "a.b_c-1"
    generated = {
        client.get(path, headers={"X-Request-ID": bad}).headers["x-request-id"] for bad in ("", "a b", "x" * 129)
    }
    assert len(generated) == 3
    assert all(len(request_id) == 32 for request_id in generated)


def test_unforeseen_error_is_answered_with_its_id() -> None:
    app = create_app(Settings())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("no one foresaw this")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/broken", headers={"X-Request-ID": "mine"})

    response = asyncio.run(ask())
    assert (response.status_code, response.headers["x-request-id"]) == (500, "mine")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "an unexpected RuntimeError; the server's log says more, of request mine"


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "args": args, "name": "test", **more})


def raised(text: str) -> Any:
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize("formatter", FORMATTERS, ids=lambda formatter: type(formatter).__name__)
@given(key=KEYS, around=st.text(st.characters(exclude_characters="@"), max_size=5))
def test_no_key_and_no_password_is_written(formatter: logging.Formatter, key: str, around: str) -> None:
    for secret in (f"ark_{key}", f"postgresql://somebody:{key}@host/database"):
        text = around + secret + around
        for entry in (
            record(text),
            record("%s %r", text, {"nested": [text]}),
            record("an error", exc_info=raised(text)),
            record("extra", url=text, headers={"authorization": text}),
        ):
            assert key not in formatter.format(entry)


def test_the_rest_of_a_line_is_kept() -> None:
    line = json.loads(logs.JsonFormatter().format(record("%s and %s", KEY, URL, count=3)))
    assert line["message"] == "ark_*** and postgresql://archrank:***@db/archrank"
    assert line["count"] == 3
    plain = "http://127.0.0.1:8000/v1 by a@b"
    assert logs.redact(plain) == plain
