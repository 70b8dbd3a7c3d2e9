"""`archrank search --url` with an invalid server: one sentence and exit code 2."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.client.conftest import SharedServer
from tests.client.raw_server import Chunks, http_response, raw_server
from tests.client.test_wrong_documents import PREDICTION


def predictions(**changes: Any) -> dict[str, Any]:
    return {"/v1/limits": {"max_architectures": 1}, "/v1/predictions": {"predictions": [PREDICTION | changes]}}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another server": ({"/v1/ensembles": ["hello"]}, "body: Input should be"),
    "an invalid card": ({"name": 1}, "unexpected response to GET"),
    "no settings": ({"settings": None}, "gcn-nas-ntu.settings: Input should be an object"),
    "settings of another space": (
        {"settings": {"colour": "red"}},
        "settings: got 'colour'; allowed: one of skeleton",
    ),
    "another space": ({"space": "gcn-\x1b[2J\nnas"}, "space: got "),
    "no batch": ({"batch": {"batch_size": -1}}, "cannot be used by this version: batch_size: "),
    "no number of frames": ({"batch": {"frames": 10**400}}, "cannot be used by this version: frames: "),
    "no seed": ({"seed": None}, "unexpected response to GET /v1/ensembles: gcn-nas-ntu.seed: "),
    "no accuracy": (predictions(accuracy=7.0), "accuracy: Input should be less than or equal to 1"),
    "no interval": (
        predictions(interval={"low": -1, "high": 1e300, "level": 0.9}),
        "low: Input should be greater than",
    ),
    "no predictions": (predictions() | {"/v1/predictions": {"predictions": []}}, "0 items for 1 architectures"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_fails_with_one_sentence(
    fault: str, server: SharedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archrank_client.transport.FIRST_CONTACT_TIMEOUT_S", 0.5)
    changes, line = FAULTS[fault]
    cards, name = server.client.get("/v1/ensembles").json(), "gcn-nas-ntu"
    card_changes = {key: value for key, value in changes.items() if not key.startswith("/")}
    bodies = {"/v1/ensembles": {name: cards[name] | card_changes}} | changes

    def respond(path: str) -> Chunks:
        return [http_response(json.dumps(bodies[path]).encode() if path in bodies else b"", status="200 OK")]

    with raw_server(respond) as lying_server:
        options = [
            "--url",
            lying_server.url,
            "--budget",
            "1",
            "--batch-size",
            "1",
            "--strategy",
            "random",
            "--out",
            tmp_path / "out",
        ]
        result = CliRunner().invoke(app, ["search", *map(str, options)])
    assert (result.exit_code, result.stdout) == (2, ""), result.exception
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.strip().isprintable()


def test_warnings_are_printed_as_text(server: SharedServer, tmp_path: Path) -> None:
    cards, name = server.client.get("/v1/ensembles").json(), "gcn-nas-ntu"
    bodies: dict[str, Any] = {"/v1/ensembles": {name: cards[name]}} | predictions(warnings=["[/b] [red]x\x1b[2J\ny"])

    def respond(path: str) -> Chunks:
        return [http_response(json.dumps(bodies[path]).encode())]

    with raw_server(respond) as lying_server:
        options = ["--url", lying_server.url, "--budget", "1", "--strategy", "random", "--out", tmp_path / "out"]
        result = CliRunner().invoke(app, ["search", *map(str, options)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "#1: [/b] [red]x [2J y" in result.stdout
