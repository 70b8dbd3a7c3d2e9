"""Readers of untrusted bytes, with valid inputs and the errors that they may raise; any other error is a crash."""

import asyncio
import gzip
import hashlib
import io
import json
import socket
import struct
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import uvicorn
from archrank_client.errors import UnexpectedResponseError
from archrank_client.events import EventParser
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from uvicorn.server import ServerState

from common.strict_json import loads
from ensemble import Ensemble, load_benchmark, load_scores
from ensemble.artifact import ARRAYS, COMPRESSED, MANIFEST
from ensemble.errors import ArtifactError, BenchmarkError
from ensemble.evaluation.schema import load_evaluation
from ensemble.report import score_seconds
from models import BatchError, InputError, get_space
from models.gcn_nas.batches import npz_batch, ntu_batch
from proxies.evolved import load_document
from proxies.registry import proxies_by_name
from search import Interval, SearchLog, TrialResult
from service.server.protocol import LimitedProtocol
from service.settings import Settings
from tests.fuzz import graph_files, http_head

SPACE = get_space("gcn-nas")
COMPRESSED_ARRAYS = ARRAYS + COMPRESSED
ROWS = 24
RESPONSE_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: name of the target.
        seeds: function that returns valid inputs.
        read: function that reads an input, given an empty folder.
        refusals: errors that `read` may raise.
        tokens: pieces of the format.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], Any]
    refusals: tuple[type[Exception], ...] = (InputError,)
    tokens: Sequence[bytes] = ()

    def run(self, content: bytes) -> None:
        """Read an input, in a new folder; any error but a refusal is raised."""
        with TemporaryDirectory() as folder, suppress(*self.refusals):
            self.read(content, Path(folder))


def _architectures() -> list[Any]:
    rng = np.random.default_rng(0)
    distinct = {arch.fingerprint: arch for arch in (SPACE.sample(rng) for _ in range(2 * ROWS))}
    return list(distinct.values())[:ROWS]


def _architecture_texts() -> list[bytes]:
    forms = [SPACE.to_json(_architectures()[0]), {"mask": [[0, 1, 0, 0, 0, 1, 0, 0]] * 4}, [[0.5] * 8] * 4]
    return [json.dumps(form).encode() for form in forms]


def _read_architecture(content: bytes, folder: Path) -> None:
    arch = SPACE.parse(loads(content, 32))
    assert SPACE.parse(SPACE.to_json(arch)) == arch


def _evolved_proxy() -> list[bytes]:
    expressions: list[Any] = [["sub", "zen", ["mul", 0.5, "num_layers"]], ["mean", ["norm", ["gram", "data.output"]]]]
    return [json.dumps({"name": "mine", "expression": expression}).encode() for expression in expressions]


def _read_evolved_proxy(content: bytes, folder: Path) -> None:
    (folder / "mine.json").write_bytes(content)
    _ = load_document(folder / "mine.json", proxies_by_name()).formula.latex


def _table() -> list[bytes]:
    rows = [
        {"architecture": SPACE.to_json(arch), "accuracy": 0.9 + 0.001 * i, "seconds": 1.5, "scores": {"zen": 1.0 * i}}
        for i, arch in enumerate(_architectures())
    ]
    curve = {"training_loss": [2.0, 1.5], "validation_loss": [2.5, 2.0], "accuracy": [0.25, 0.5]}
    training = {"seed": 0, "accuracy": 0.9, "curve": curve, "scores": {"0": {"zen": 1.5}, "2": {"zen": None}}}
    trained = rows[0] | {"epochs": 2, "trainings": [training, training | {"seed": 1}]}
    return ["\n".join(map(json.dumps, rows)).encode(), json.dumps(rows[0]).encode(), json.dumps(trained).encode()]


def _read_table(content: bytes, folder: Path) -> None:
    (folder / "table.jsonl").write_bytes(content)
    load_benchmark(folder / "table.jsonl").summary  # noqa: B018


def _public_file() -> list[bytes]:
    scores = {"zen": {"score": 1.5, "time": 1.0}, "jacov": {"score": "Nan", "time": 1.0}}
    record = {"weights": [[0.05] * 5 + [0.12, 0.05, 0.05]] * 4, "val_acc": 0.93, "time": 5.0}
    return [json.dumps({"hash": {**record, "zero_cost_scores": scores, "zero_cost_scores_3": scores}}).encode()]


def _read_public_file(content: bytes, folder: Path) -> None:
    from ensemble.report import load_epochs, published_seconds

    (folder / "x.json").write_bytes(content)
    benchmark = load_benchmark(folder)
    load_epochs(folder, benchmark)
    published_seconds(folder, benchmark)


def _scores() -> list[bytes]:
    header = {"space": "gcn-nas", "settings": SPACE.settings, "batch": None, "seed": 0, "proxies": {"zen": "1"}}
    score = {"value": 1.5, "log": None, "status": "ok", "seconds": 0.1, "error": None}
    rows = [{"fingerprint": arch.fingerprint, "scores": {"zen": score}} for arch in _architectures()]
    return ["\n".join(map(json.dumps, [header, *rows])).encode()]


@lru_cache
def _benchmark() -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.jsonl"
        path.write_bytes(_table()[0])
        return load_benchmark(path)


def _read_scores(content: bytes, folder: Path) -> None:
    path = folder / "scores.jsonl"
    path.write_bytes(content)
    table = load_scores(path)
    get_space(table.header["space"], **table.header["settings"])
    score_seconds(path, _benchmark())
    table.leave_out_sparse_proxies(_benchmark())


def _evaluation() -> list[bytes]:
    summary = {"spearman": {"mean": 0.5, "std": 0.1}, "mae": None}
    interval = {"overall": summary["spearman"], "by_stratum": {"4": None}}
    reliability = [{"predicted": 0.5, "observed": 0.5, "n": 1}]
    pairs = {
        "brier": {"overall": None, "within_stratum": None},
        "n": {"overall": 1, "within_stratum": 1},
        "reliability": {"overall": reliability, "within_stratum": reliability},
    }
    evaluation = {
        "benchmark": _benchmark().summary,
        "method": {"repeats": 1, "folds": 2, "seed": 0},
        "published": {"zen": {"spearman": 0.5}},
        "scores": {},
        "stratum": {"spearman": 0.5, "spearman_by_stratum": {"4": None}},
        "baselines": {"stratum": summary},
        "combiners": {"structure": summary},
        "intervals": {"level": 0.9, "combiners": {"structure": {"coverage": interval, "interval_width": interval}}},
        "pairs": {"combiners": {"structure": pairs}},
        "learning_curves": {"structure": [{"n_train": 25, **summary}]},
        "control": {"structure": {"within_stratum_spearman": 0.1}},
        "noise": {
            "std": 0.1,
            "variance_fraction": {"by_stratum": {}},
            "spearman_ceiling": {"within_stratum": 0.5, "by_stratum": {}},
        },
        "versions": {"numpy": "2"},
        "seconds": 1.0,
    }
    return [json.dumps(evaluation).encode()]


def _read_evaluation(content: bytes, folder: Path) -> None:
    (folder / "evaluation.json").write_bytes(content)
    load_evaluation(folder / "evaluation.json", _benchmark())


HEADER = {"strategy": "random", "seed": 0}


def _search_log() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "search.jsonl"
        with SearchLog.open(path, HEADER, SPACE) as log:
            log.add([TrialResult(arch, 0.9, 100, 100, Interval(0.8, 0.95, 0.9)) for arch in _architectures()[:2]], 1.0)
        return [path.read_bytes()]


def _read_search_log(content: bytes, folder: Path) -> None:
    (folder / "search.jsonl").write_bytes(content)
    with SearchLog.open(folder / "search.jsonl", HEADER, SPACE) as log:
        assert all(trial.accuracy is None or 0 <= trial.accuracy <= 1 for trial in log.trials)


def _sequences() -> dict[str, Any]:
    frames = np.random.default_rng(0).normal(size=(12, 25, 3)).astype("f4")
    return {"frames": frames, "lengths": np.full(6, 2), "label": np.repeat([0, 1, 2], 2)}


def _npz() -> list[bytes]:
    archives = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **_sequences())
        archives.append(buffer.getvalue())
    return archives


def _read_npz(content: bytes, folder: Path) -> None:
    (folder / "x.npz").write_bytes(content)
    npz_batch(SPACE.task, folder / "x.npz", 4, 8)


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _read_npz_member(content: bytes, folder: Path) -> None:
    """Read the first array of an archive; mutations of a whole archive rarely pass its checksum."""
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        for name, array in _sequences().items():
            archive.writestr(f"{name}.npy", content if name == "frames" else _npy(array))
    npz_batch(SPACE.task, folder / "x.npz", 4, 8)


def _read_npy(content: bytes, folder: Path) -> None:
    (folder / "x.npy").write_bytes(content)
    (folder / "y.npy").write_bytes(_npy(np.array([0, 1])))
    ntu_batch(SPACE.task, folder / "x.npy", folder / "y.npy", 2, 4)


def _read_labels(content: bytes, folder: Path) -> None:
    (folder / "x.npy").write_bytes(_npy(np.ones((2, 3, 4, 25, 2), "f4")))
    name = "y.npy" if content.startswith(b"\x93") else "y.json"
    (folder / name).write_bytes(content)
    ntu_batch(SPACE.task, folder / "x.npy", folder / name, 2, 4)


@lru_cache
def _artifact() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        Ensemble.fit(_benchmark(), name="small", folds=2, combiners=["ridge"], jobs=1).save(Path(folder) / "small")
        return {path.name: path.read_bytes() for path in (Path(folder) / "small").iterdir()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _load(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    ensemble = Ensemble.load(folder)
    (prediction,) = ensemble.predict([_architectures()[0]])
    assert prediction.accuracy is not None
    assert 0 <= prediction.accuracy <= 1


def _signed(manifest: Any) -> bytes:
    """Return the manifest as JSON; if it is an object, with its correct hash."""
    if isinstance(manifest, dict):
        rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
        manifest = {
            **rest,
            "manifest_sha256": _sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()),
        }
    return json.dumps(manifest).encode()


def _manifest() -> list[bytes]:
    return [json.dumps(json.loads(_artifact()[MANIFEST])).encode()]


def _read_manifest(content: bytes, folder: Path) -> None:
    with suppress(ValueError, RecursionError):  # invalid JSON is read unsigned
        content = _signed(json.loads(content))
    _load(folder, {**_artifact(), MANIFEST: content})


def _arrays() -> bytes:
    return gzip.decompress(_artifact()[COMPRESSED_ARRAYS])


def _read_arrays(name: str, content: bytes, folder: Path) -> None:
    """Read an artifact with other arrays, compressed or not as the name of their file says."""
    files = dict(_artifact())
    manifest = json.loads(files[MANIFEST])
    del files[COMPRESSED_ARRAYS], manifest["parts"][COMPRESSED_ARRAYS]
    manifest["parts"][name] = {"sha256": _sha256(content), "bytes": len(content)}
    _load(folder, {**files, name: content, MANIFEST: _signed(manifest)})


def _array_head() -> list[bytes]:
    content = _arrays()
    return [content[8 : 8 + struct.unpack("<Q", content[:8])[0]]]


def _read_array_head(content: bytes, folder: Path) -> None:
    """Read an array header in front of the valid numbers."""
    whole = _arrays()
    rest = whole[8 + struct.unpack("<Q", whole[:8])[0] :]
    _read_arrays(ARRAYS, struct.pack("<Q", len(content)) + content + rest, folder)


def _read_events(content: bytes, folder: Path) -> None:
    EventParser().feed(content)


@lru_cache
def _echo() -> FastAPI:
    app = FastAPI()
    app.state.settings = Settings()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def answer(request: Request) -> int:
        with suppress(ClientDisconnect):
            return len(await request.body())
        return -1

    return app


def _read_http(content: bytes, folder: Path) -> None:
    """Send bytes to a server and close the sending side; the server ends the connection without an error."""
    asyncio.run(asyncio.wait_for(_converse(content), RESPONSE_TIMEOUT_S))


async def _converse(content: bytes) -> None:
    loop, failures = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    config = uvicorn.Config(_echo(), http=LimitedProtocol, ws="none", log_config=None, access_log=False)
    config.load()
    ours, theirs = socket.socketpair()
    await loop.connect_accepted_socket(lambda: LimitedProtocol(config, ServerState(), {}), theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(content)
    if writer.can_write_eof():
        writer.write_eof()
    with suppress(ConnectionError):  # the server closed the connection early
        await reader.read()
    writer.close()
    assert not failures, failures


HTTP = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
FIELDS = (
    b"Upgrade: h2c\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Content-Length: 5\r\n",
    b"HTTP/1.0",
)
EVENTS = b'id: 1\nevent: item\ndata: {"completion": 1}\n\nevent: done\ndata: {}\n\n'
KINDS = (b"<f8", b"<i8", b"|O", b"<c16", b"<m8", b"|b1", b">f4", b"(2,)", b"True", b"'shape': ")
TYPES = (b'"I64"', b'"F32"', b'"F16"', b'"BF16"', b'"BOOL"', b'"U8"', b"[0]", b"[1]", b'"shape":', b'"dtype":')

TARGETS = (
    Target("architecture", _architecture_texts, _read_architecture),
    Target("evolved-proxy", _evolved_proxy, _read_evolved_proxy),
    Target("table", _table, _read_table, (BenchmarkError,)),
    Target("public-file", _public_file, _read_public_file, (BenchmarkError,)),
    Target("scores", _scores, _read_scores),
    Target("evaluation", _evaluation, _read_evaluation, (BenchmarkError,)),
    Target("search-log", _search_log, _read_search_log),
    Target("npz", _npz, _read_npz, (BatchError,), [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"]),
    Target("npz-member", lambda: [_npy(_sequences()["frames"])], _read_npz_member, (BatchError,), KINDS),
    Target("npy", lambda: [_npy(np.ones((2, 3, 4, 25, 2), "f4"))], _read_npy, (BatchError,), KINDS),
    Target("labels", lambda: [b"[0, 1]", _npy(np.array([0, 1]))], _read_labels, (BatchError,), KINDS),
    Target("graph-indices", graph_files.index_seeds, graph_files.read_indices, (BatchError,), KINDS),
    *(
        Target(
            f"planetoid-{part}",
            partial(graph_files.pickle_seeds, part),
            partial(graph_files.read_pickled, part),
            (BatchError,),
            graph_files.NAMES,
        )
        for part in ("tx", "ty", "graph")
    ),
    Target("manifest", _manifest, _read_manifest, (ArtifactError,)),
    Target("arrays", lambda: [_arrays()], partial(_read_arrays, ARRAYS), (ArtifactError,)),
    Target(
        "compressed-arrays",
        lambda: [_artifact()[COMPRESSED_ARRAYS]],
        partial(_read_arrays, COMPRESSED_ARRAYS),
        (ArtifactError,),
    ),
    Target("array-head", _array_head, _read_array_head, (ArtifactError,), TYPES),
    Target("events", lambda: [EVENTS, EVENTS.replace(b"\n", b"\r\n")], _read_events, (UnexpectedResponseError,)),
    Target("http", lambda: [*HTTP, CHUNKED], _read_http, (), FIELDS),
    Target("http-head", http_head.seeds, http_head.read, http_head.REFUSALS, http_head.LINES),
)
