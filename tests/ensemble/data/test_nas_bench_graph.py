"""Reader of NAS-Bench-Graph's published tables: `.npz` files, and pickles that import nothing."""

import logging
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble.data.loading import load_benchmark
from ensemble.errors import BenchmarkError
from models import get_space
from models.nas_bench_graph import NasBenchGraph
from models.nas_bench_graph.datasets import DATASETS
from tests.conftest import data_folder

KEYS = ("88811", "00123", "51078", "61274", "78801")
CORA = NasBenchGraph()


def params(key: str, space: NasBenchGraph = CORA) -> int:
    return space.cost(space.parse(key)).params


def dtype_pickle() -> bytes:
    """Pickled `numpy.dtype("<f8")` with its state, as NumPy 1 writes it."""
    state = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    return b"cnumpy\ndtype\n" + b"(X\x02\x00\x00\x00f8K\x00K\x01tR" + state + b"b"


def float64_pickle(value: float) -> bytes:
    """Pickled numpy float64: `scalar(dtype, bytes)`."""
    raw = struct.pack("<d", value)
    return b"cnumpy.core.multiarray\nscalar\n(" + dtype_pickle() + b"C" + bytes([len(raw)]) + raw + b"tR"


def text_pickle(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def bench_pickle(records: Mapping[str, Mapping[str, float]]) -> bytes:
    """A `.bench` file of protocol 3: key → record, floats except `para`, a pickled numpy float64."""
    content = b"\x80\x03}("
    for key, record in records.items():
        content += b"J" + struct.pack("<i", int(key)) + b"}("
        for name, value in record.items():
            pickled = float64_pickle(value) if name == "para" else b"G" + struct.pack(">d", value)
            content += text_pickle(name) + pickled
        content += b"u"
    return content + b"u."


def records(space: NasBenchGraph = CORA) -> dict[str, dict[str, float]]:
    return {
        key: {"valid_perf": 0.7, "perf": 0.5 + i / 100, "latency": 0.01, "para": params(key, space) / 1e6}
        for i, key in enumerate(KEYS)
    }


def write_npz(path: Path, **changes: Any) -> Path:
    table = {
        "key": np.array([int(key) for key in KEYS], dtype=np.int32),
        "valid": np.full(len(KEYS), 0.7),
        "test": 0.5 + np.arange(len(KEYS)) / 100,
        "latency": np.full(len(KEYS), 0.01, dtype=np.float32),
        "params": np.array([params(key) for key in KEYS]),
    }
    np.savez(path, **{name: array for name, array in (table | changes).items() if array is not None})
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    path = tmp_path / "cora.bench"
    path.write_bytes(bench_pickle(records()))
    return path


def test_the_files_of_these_tests_are_what_numpy_pickles(bench: Path) -> None:
    """Read with the standard unpickler, which resolves both names."""
    table = pickle.loads(bench.read_bytes())
    assert {f"{key:05d}": record for key, record in table.items()} == records()
    assert all(type(record["para"]) is np.float64 for record in table.values())


def test_pickles_and_arrays_are_the_same_benchmark(bench: Path, tmp_path: Path) -> None:
    tables = [load_benchmark(bench), load_benchmark(write_npz(tmp_path / "cora.npz"), CORA)]
    for table in tables:
        assert table.space.settings == {"dataset": "cora"}
        accuracy = {CORA.parse(key).fingerprint: 0.5 + i / 100 for i, key in enumerate(KEYS)}
        assert {entry.architecture.fingerprint: entry.accuracy for entry in table.entries} == accuracy
        assert all(entry.seconds is None and not entry.scores for entry in table.entries)
    assert tables[0].data_hash == tables[1].data_hash


def test_pickles_of_numpy_are_read(tmp_path: Path) -> None:
    """All protocols that have bytes."""
    table = {int(key): {**record, "para": np.float64(record["para"])} for key, record in records().items()}
    for protocol in range(3, pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / "cora.bench"
        path.write_bytes(pickle.dumps(table, protocol=protocol))
        assert len(load_benchmark(path)) == len(KEYS)


def test_the_name_of_the_file_is_the_data_set(tmp_path: Path) -> None:
    space = NasBenchGraph("physics")
    path = tmp_path / "physics.bench"
    path.write_bytes(bench_pickle(records(space)))
    assert load_benchmark(path).space.settings == {"dataset": "physics"}
    renamed = path.rename(tmp_path / "table.bench")
    assert len(load_benchmark(renamed, space)) == len(KEYS)
    with pytest.raises(BenchmarkError, match="5 of 5 differ'; allowed: the numbers of parameters of networks for cora"):
        load_benchmark(renamed)


def test_records_mixed_with_another_networks_are_left_out_with_a_line(
    bench: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mixed = records()
    mixed["51078"]["para"] += 0.1
    bench.write_bytes(bench_pickle(mixed))
    counts = np.array([params(key) for key in KEYS])
    counts[KEYS.index("51078")] += 100_000
    for path in (bench, write_npz(tmp_path / "cora.npz", params=counts)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            table = load_benchmark(path)
        assert CORA.parse("51078") not in table.architectures
        assert len(table) == len(KEYS) - 1
        (message,) = caplog.messages
        assert message.startswith(f"{path.name}: 1 of 5 architectures left out: their number of parameters")


class Malicious:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_anything_but_two_names_is_refused(tmp_path: Path, protocol: int) -> None:
    path, touched = tmp_path / "cora.bench", tmp_path / "touched"
    for obj in (
        Malicious(Path.touch, touched),
        Malicious(exec, f"open({str(touched)!r}, 'w')"),
        Malicious(getattr, 1, "real"),
        {88811: {"perf": 0.8, "para": np.float64(1.0), "latency": np.zeros(3)}},
        {88811: Path("x")},
        np.dtype,
        print,
    ):
        path.write_bytes(pickle.dumps(obj, protocol=protocol))
        with pytest.raises(BenchmarkError, match=r"it names |a dictionary of records"):
            load_benchmark(path)
    assert not touched.exists()


def test_the_allowed_names_cannot_be_altered(tmp_path: Path) -> None:
    """State or attributes given to the stand-ins themselves, instead of to their objects."""
    path = tmp_path / "cora.bench"
    scalar, dtype = b"cnumpy.core.multiarray\nscalar\n", b"cnumpy\ndtype\n"
    state = b"}" + text_pickle("x") + b"K\x01s"
    for content in (
        scalar + state + b"b.",
        dtype + state + b"b.",
        scalar + b"N" + state + b"\x86b.",
        scalar + b"(K\x01K\x02tR.",
        scalar + b"(" + dtype_pickle() + b"C\x04abcdtR.",
        dtype_pickle() + b".",
        b"cnumpy\ndtype.__class__\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x12dtype.__subclasses__\x93.",
    ):
        path.write_bytes(content)
        with pytest.raises(BenchmarkError, match="cora"):
            load_benchmark(path)
    path.write_bytes(bench_pickle(records()))
    assert len(load_benchmark(path)) == len(KEYS)


def test_malformed_pickles_are_refused(bench: Path) -> None:
    content = bench.read_bytes()
    rng = np.random.default_rng(0)
    broken = [b"", b".", b"N.", b"\x80\x03", b"(((", b"\x80\x63N.", b"r\xff\xff\xff\x7f", b"\x95" + b"\xff" * 8]
    broken += [content[:length] for length in rng.integers(1, len(content), size=40)]
    for part in broken:
        bench.write_bytes(part)
        with pytest.raises(BenchmarkError, match="cora"):
            load_benchmark(bench)


def test_altered_pickles_are_read_or_refused(bench: Path) -> None:
    content = bench.read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(100):
        altered = bytearray(content)
        altered[rng.integers(len(content))] = rng.integers(256)
        bench.write_bytes(altered)
        try:
            load_benchmark(bench)
        except BenchmarkError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 2], "a dictionary of records"),
        ({}, "at least one"),
        ({88811: [0.8]}, "88811: .* a record with perf and para"),
        ({88811: {"perf": 0.8}}, "a record with perf and para"),
        ({88811: {"perf": 0.8, "para": "1"}}, "88811, para: .* millions"),
        ({88811: {"perf": 0.8, "para": float("nan")}}, "88811, para: .* millions"),
        ({88811: {"perf": 1.8, "para": 0.502535}}, "88811, accuracy: .* a fraction"),
        ({88811: {"perf": None, "para": 0.502535}}, "88811, accuracy: .* a fraction"),
        ({88888: {"perf": 0.8, "para": 0.502535}}, "88888, ops: .* other than skip"),
        ({-1: {"perf": 0.8, "para": 0.502535}}, "-1, key: .* five digits"),
        ({"x": {"perf": 0.8, "para": 0.502535}}, "x, key: .* five digits"),
        ({True: {"perf": 0.8, "para": 0.502535}}, "True, key: .* five digits"),
        ({78801: {"perf": 0.8, "para": 0.5}, 78810: {"perf": 0.8, "para": 0.5}}, "2 of 2 differ"),
    ],
)
def test_malformed_tables_name_the_record(bench: Path, table: Any, message: str) -> None:
    bench.write_bytes(pickle.dumps(table))
    with pytest.raises(BenchmarkError, match=message):
        load_benchmark(bench)


def test_an_architecture_twice_is_refused(bench: Path) -> None:
    record = {"perf": 0.8, "para": params("78801") / 1e6}
    bench.write_bytes(pickle.dumps({78801: record, 78810: record}))
    with pytest.raises(BenchmarkError, match="each architecture once"):
        load_benchmark(bench)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": None}, "params"),
        ({"key": np.array(["88811"] * 5)}, "key"),
        ({"key": np.array([88811.0] * 5)}, "key"),
        ({"test": np.array([0.5])}, "test"),
        ({"test": np.array([None] * 5)}, "test"),
        ({"params": np.ones((5, 1), dtype=int)}, "params"),
    ],
)
def test_malformed_arrays_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write_npz(tmp_path / "cora.npz", **changes)
    with pytest.raises(BenchmarkError, match=message):
        load_benchmark(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BenchmarkError, match=r"cora\.npz"):
        load_benchmark(path)


def test_a_table_of_another_space_is_refused(bench: Path) -> None:
    with pytest.raises(BenchmarkError):
        load_benchmark(bench, get_space("gcn-nas"))


@pytest.mark.parametrize("name", ["physics", "proteins"])
def test_published_tables(name: str, caplog: pytest.LogCaptureFixture) -> None:
    file = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "nas-bench-graph" / f"{name}.npz"
    if not file.is_file():
        pytest.skip(f"{file} does not exist")
    table = load_benchmark(file)
    with np.load(file) as arrays:
        size = len(arrays["key"])
    assert table.space.settings == {"dataset": name}
    assert name in DATASETS
    assert len(table) == size - (1260 if name == "physics" else 0)
    assert caplog.messages == [] if name != "physics" else "1260 of 21000" in caplog.text
