"""Reader of the published tables of NAS-Bench-Graph: `.bench` pickles of the package, and `.npz` files.

A `.bench` is a dictionary, {key: {"valid_perf", "perf", "latency", "para"}}, with `para` in millions; an `.npz` has the
arrays `key`, `test` and `params`. The accuracy of an architecture is that of the test nodes. The time of training was
not published; `latency` is that of one forward pass.

Architectures whose published number of parameters is not that of their network are left out: of `physics`, 1,567 are
means with the record of another network.
"""

import io
import logging
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ensemble.data.json_files import read_content
from ensemble.data.readers import BenchmarkReader, Row
from ensemble.errors import BenchmarkError
from models import CostedSpace, InputError, SearchSpace, require
from models.nas_bench_graph import NasBenchGraph
from models.nas_bench_graph.datasets import DATASETS
from models.npz import load_npz

log = logging.getLogger(__name__)

MAX_MIXED_FRACTION = 0.5
"""Fraction of records with another number of parameters above which a table is one of another data set."""

Record = tuple[str, Any, Any]
"""Key, accuracy and number of parameters."""


def read_rows(path: Path, space: SearchSpace[Any]) -> Iterator[Row]:
    """Read a table as the rows of a JSON Lines benchmark.

    Args:
        path: the table.
        space: the search space, of the table's data set.

    Yields:
        Name of a row in errors, and its fields.

    Raises:
        BenchmarkError: the table is malformed, or one of another data set.
    """
    costed = require(space, CostedSpace)
    records = _npz_records(path) if path.suffix == ".npz" else _bench_records(path)
    rows: list[Row] = []
    for key, accuracy, params in records:
        place = f"{path.name}, {key}"
        try:
            architecture = costed.parse({"key": key})
        except InputError as error:
            raise BenchmarkError.at(place, error) from error
        if costed.cost(architecture).params == params:
            rows.append((place, {"architecture": {"key": key}, "accuracy": accuracy}))
    mixed = len(records) - len(rows)
    if mixed > MAX_MIXED_FRACTION * len(records):
        dataset = space.settings["dataset"]
        allowed = f"the numbers of parameters of networks for {dataset}; is it the table of another data set?"
        raise BenchmarkError(f"{path.name}, params", f"{mixed} of {len(records)} differ", allowed)
    if mixed:
        log.warning(
            "%s: %d of %d architectures left out: their number of parameters is not that of their network, so their "
            "accuracy is a mean with that of another",
            *(path.name, mixed, len(records)),
        )
    yield from rows


def _npz_records(path: Path) -> list[Record]:
    try:
        keys, accuracies, params = load_npz(path, ("key", "test", "params"), path.name)
    except InputError as error:
        raise error.renamed(error.field, BenchmarkError) from error
    for name, kinds, array in (("key", "iu", keys), ("test", "f", accuracies), ("params", "iu", params)):
        if array.ndim != 1 or array.dtype.kind not in kinds or len(array) != len(keys):
            found = f"{array.dtype}, {array.shape}"
            raise BenchmarkError(f"{path.name}, {name}", found, "numbers, one for each key; key and params whole")
    return [
        (f"{key:05d}", accuracy, count)
        for key, accuracy, count in zip(keys.tolist(), accuracies.tolist(), params.tolist(), strict=True)
    ]


def _bench_records(path: Path) -> list[Record]:
    content = read_content(path, path.name)
    try:
        table = _Unpickler(io.BytesIO(content)).load()
    except Exception as error:  # a malformed pickle may raise anything
        allowed = f"a pickled dictionary of NAS-Bench-Graph ({type(error).__name__}: {error})"
        raise BenchmarkError(path.name, "a file that cannot be read", allowed) from error
    if not isinstance(table, dict):
        raise BenchmarkError(path.name, table, "a dictionary of records by key")
    records = []
    for key, record in table.items():
        text = f"{key:05d}" if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < 10**5 else key
        place = f"{path.name}, {text}"
        if not isinstance(record, dict) or not {"perf", "para"} <= set(record):
            raise BenchmarkError(place, record, "a record with perf and para")
        if not isinstance(record["para"], float) or not 0 < record["para"] < 1e6:
            raise BenchmarkError(f"{place}, para", record["para"], "a number of millions of parameters")
        records.append((text, record["perf"], round(record["para"] * 1e6)))
    return records


class _DType:
    """Stand-in of `numpy.dtype`, which ignores everything about it: all scalars of the tables are float64."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _Scalar(float):
    """Stand-in of NumPy's scalars: a little-endian float64."""

    def __new__(cls, dtype: Any, content: Any) -> "_Scalar":
        if not isinstance(dtype, _DType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("a scalar without its type or bytes")
        (value,) = struct.unpack("<d", content)
        return super().__new__(cls, value)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a scalar with a state")


class _Unpickler(pickle._Unpickler):
    """Unpickler that imports nothing. It is the one written in Python, whose memo reserves no memory in advance."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return _Scalar
        if (module, name) == ("numpy", "dtype"):
            return _DType
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _reads(path: Path) -> bool:
    return path.suffix in (".bench", ".npz") and path.is_file()


def _settings(path: Path) -> dict[str, Any]:
    """Data set of the file's name."""
    return {"dataset": path.stem} if path.stem in DATASETS else {}


READER = BenchmarkReader(NasBenchGraph.name, _reads, read_rows, _settings)
