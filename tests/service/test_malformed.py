"""Whatever is posted, the answer is a problem document that says what would have been right, and never a 5xx."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.service.conftest import SMALL

LAYERS = SMALL["layers"]
MASK = [[0, 0, 0, 0, 0, 1, 0, 0]] * 4


def one(architecture: Any, **more: Any) -> bytes:
    return json.dumps({"architectures": [architecture], **more}).encode()


MALFORMED: dict[str, tuple[bytes, int, str]] = {
    "empty body": (b"", 400, "JSON"),
    "half an object": (b'{"architectures": [', 400, "JSON"),
    "text after the object": (one(SMALL) + b"x", 400, "Extra data"),
    "single quotes": (b"{'architectures': []}", 400, "double quotes"),
    "comment": (b"// hi\n{}", 400, "JSON"),
    "trailing comma": (b'{"architectures": [],}', 400, "JSON"),
    "not UTF-8": (b'{"architectures": ["\xff"]}', 400, "UTF-8"),
    "UTF-16": ('{"architectures": []}'.encode("utf-16"), 400, "UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + one(SMALL), 400, "BOM"),
    "NaN": (one({"weights": [[float("nan")] * 8] * 4}), 400, "NaN"),
    "Infinity": (one({"weights": [[float("inf")] * 8] * 4}), 400, "finite"),
    "infinite exponent": (b'{"architectures": [{"weights": [[1e999]]}]}', 400, "finite"),
    "endless integer": (b'{"architectures": [], "seed": ' + b"9" * 5000 + b"}", 400, "ordinary length"),
    "name twice": (b'{"architectures": [], "architectures": []}', 400, "at most once"),
    "nested 33 deep": (b'{"architectures": ' + b"[" * 32 + b"]" * 32 + b"}", 400, "32 levels"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, 400, "32 levels"),
    "objects nested 20,000 deep": (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400, "32 levels"),
    "null": (b"null", 422, "object"),
    "a list": (b"[]", 422, "object"),
    "a string": (b'"architectures"', 422, "object"),
    "a number": (b"1", 422, "object"),
    "no architectures": (b"{}", 422, "architectures"),
    "architectures null": (b'{"architectures": null}', 422, "list"),
    "architectures an object": (b'{"architectures": {}}', 422, "list"),
    "architectures empty": (b'{"architectures": []}', 422, "at least one"),
    "unknown field": (one(SMALL, proxy=["nwot"]), 422, "one of architectures, proxies, seed"),
    "half a surrogate pair as field": (b'{"architectures": [1], "\\ud800": 1}', 422, "ud800"),
    "unknown proxy": (one(SMALL, proxies=["nwot", "nowt"]), 422, "proxies[1]: got 'nowt'; allowed: one of"),
    "proxies a string": (one(SMALL, proxies="nwot"), 422, "list"),
    "proxies of numbers": (one(SMALL, proxies=[1]), 422, "string"),
    "seed negative": (one(SMALL, seed=-1), 422, "greater than or equal to 0"),
    "seed too large": (one(SMALL, seed=2**32), 422, "less than 4294967296"),
    "seed a fraction": (one(SMALL, seed=0.5), 422, "integer"),
    "seed a string": (one(SMALL, seed="0"), 422, "integer"),
    "seed true": (one(SMALL, seed=True), 422, "integer"),
    "architecture null": (one(None), 422, '"layers", "mask" or "weights"'),
    "architecture a string": (one("S"), 422, '"layers", "mask" or "weights"'),
    "architecture empty": (one({}), 422, "exactly one of"),
    "architecture in two forms": (one({"layers": LAYERS, "mask": MASK}), 422, "exactly one of"),
    "architecture with a field too many": (one({**SMALL, "depth": 4}), 422, "depth"),
    "another space": (one({"space": "darts", "layers": LAYERS}), 422, "gcn-nas"),
    "space a number": (one({"space": 1, "layers": LAYERS}), 422, "gcn-nas"),
    "five layers": (one({"layers": [["S"]] * 5}), 422, "4, 6, 8 or 10"),
    "no layers": (one({"layers": []}), 422, "4, 6, 8 or 10"),
    "layers an object": (one({"layers": {"0": ["S"]}}), 422, "list"),
    "a layer that is a string": (one({"layers": ["S"] * 4}), 422, "layers[0]"),
    "unknown module": (one({"layers": [["S"], ["L9"], ["S"], ["S"]]}), 422, "layers[1][0]: got 'L9'; allowed: one of"),
    "a module twice": (one({"layers": [["S", "S"], ["S"], ["S"], ["S"]]}), 422, "at most once"),
    "a module that is a number": (one({"layers": [[1], ["S"], ["S"], ["S"]]}), 422, "one of L,"),
    "mask too narrow": (one({"mask": [[1] * 7] * 4}), 422, "8 entries"),
    "mask with a 2": (one({"mask": [[2] * 8] * 4}), 422, "0, 1, false or true"),
    "mask with a string": (one({"mask": [["1"] * 8] * 4}), 422, "0, 1, false or true"),
    "weights of strings": (one({"weights": [["0.1"] * 8] * 4}), 422, "finite number"),
    "weights of truth values": (one({"weights": [[True] * 8] * 4}), 422, "finite number"),
}
PREDICTIONS_ONLY = {
    "unknown ensemble": (one(SMALL, ensemble="ntu"), 422, "ensemble: got 'ntu'; allowed: one of gcn-nas-ntu"),
    "ensemble a path": (one(SMALL, ensemble="../gcn-nas-ntu"), 422, "one of gcn-nas-ntu"),
    "unknown combiner": (one(SMALL, combiner="oracle"), 422, "combiner: got 'oracle'; allowed: one of"),
}
SCORES_ONLY = {
    "ensemble": (one(SMALL, ensemble="gcn-nas-ntu"), 422, "one of architectures, proxies, seed"),
    "combiner": (one(SMALL, combiner="ridge"), 422, "one of architectures, proxies, seed"),
}


def check(response: httpx.Response, status: int, word: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:archrank:problem:")
    assert document["title"]
    assert document["instance"] == response.request.url.path
    assert word in document["detail"]
    assert all(set(error) == {"field", "value", "allowed"} for error in document["errors"])


def send(client: httpx.Client, path: str, body: bytes) -> httpx.Response:
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("case", [*MALFORMED, *PREDICTIONS_ONLY])
def test_malformed_prediction_request(case: str, client: httpx.Client) -> None:
    body, status, word = {**MALFORMED, **PREDICTIONS_ONLY}[case]
    check(send(client, "/v1/predictions", body), status, word)


@pytest.mark.parametrize("case", [*MALFORMED, *SCORES_ONLY])
def test_malformed_score_request(case: str, client: httpx.Client) -> None:
    body, status, word = {**MALFORMED, **SCORES_ONLY}[case]
    check(send(client, "/v1/scores", body), status, word)


def test_all_malformed_architectures_are_named(client: httpx.Client) -> None:
    response = client.post("/v1/predictions", json={"architectures": [1, {"layers": [["S"]] * 3}]})
    fields = [error["field"] for error in response.json()["errors"]]
    assert response.status_code == 422
    assert fields == ["architectures[0].architecture", "architectures[1].layers (number of layers)"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"])
def test_other_content_types(kind: str, client: httpx.Client) -> None:
    check(client.post("/v1/predictions", content=one(SMALL), headers={"Content-Type": kind}), 415, "application/json")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/vnd.archrank+json", "Application/JSON"]
)
def test_content_types_that_are_json(kind: str, client: httpx.Client) -> None:
    body = one(SMALL, proxies=[])
    assert client.post("/v1/predictions", content=body, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize("size", [2**20 + 1, 3 * 2**20, 12 * 2**20])
def test_large_body(client: httpx.Client, size: int) -> None:
    check(send(client, "/v1/predictions", b" " * size), 413, "1048576 bytes")


def test_large_body_in_chunks_without_a_length(url: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 2**15

    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{url}/v1/predictions", content=chunks(), headers=headers, timeout=30)
    check(response, 413, "1048576 bytes")


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("GET", "/", 404, "/docs"),
        ("GET", "/v1/nothing", 404, "/docs"),
        ("GET", "/v1/predictions", 405, "POST"),
        ("DELETE", "/v1/ensembles", 405, "GET"),
        ("GET", "/v1/ensembles/nothing", 404, "one of gcn-nas-ntu"),
        ("GET", "/v1/spaces/darts/sample", 404, "one of gcn-nas"),
        ("GET", "/v1/spaces/gcn-nas/sample?n=0", 422, "n: got '0'"),
        ("GET", "/v1/spaces/gcn-nas/sample?n=1001", 422, "1000"),
        ("GET", "/v1/spaces/gcn-nas/sample?n=many", 422, "integer"),
        ("GET", "/v1/spaces/gcn-nas/sample?seed=-1", 422, "seed"),
        ("GET", "/v1/spaces/gcn-nas/sample?depth=5", 422, "4, 6, 8 or 10"),
        ("GET", "/v1/spaces/gcn-nas/sample?depth=" + "9" * 5000, 422, "integer"),
    ],
)
def test_other_requests(method: str, path: str, status: int, word: str, client: httpx.Client) -> None:
    check(client.request(method, path), status, word)


@pytest.mark.parametrize("size", [2**18, 2**22])
def test_large_headers(size: int, url: str) -> None:
    """Refused, not read to their end: a client that goes on sending finds the connection closed."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * size)
        try:
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        except ConnectionError:
            assert size > 2**20


def test_server_is_well_afterwards(client: httpx.Client) -> None:
    assert client.get("/health/ready").json() == {"status": "ok"}
