"""Tables of our own proxy scores: a header line, then one JSON line an architecture, appended as they are computed.

{"space": …, "settings": …, "batch": …, "batch_fingerprint": …, "seed": 0, "proxies": {"zen": "1"}, …}
{"fingerprint": …, "architecture": …, "scores": {"zen": {"value": 1.2, "log": null, "status": "ok", …}}}
"""

import contextlib
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from common.documents import check_fields
from common.files import BYTE_ORDER_MARK, parse_json, read_file
from ensemble.data.benchmark import Benchmark, Scores, finite
from ensemble.data.files import json_line, write_atomically
from ensemble.errors import BenchmarkError
from models import InputError
from models.batches import BatchSpec

log = logging.getLogger(__name__)
PUBLISHED_LOGS = ("synflow",)
"""Published scores that span more magnitudes than a model can use: their logarithm is the feature."""


@dataclass(frozen=True)
class ScoreTable:
    """Proxy scores of many architectures.

    Attributes:
        header: how they were computed; `header["proxies"]` maps each proxy to its version.
        features: by fingerprint, the feature of each proxy; None where it failed.
        truncated: whether the file ended in the middle of a row, which was left out.
    """

    header: dict[str, Any]
    features: dict[str, Scores]
    truncated: bool = False

    @property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies, in the header's order."""
        return tuple(self.header["proxies"])

    def without_silent(self, benchmark: Benchmark) -> "ScoreTable":
        """Less the proxies that have a score for fewer than half of the benchmark's architectures.

        Most combiners need every score, and would be left with too few rows to learn from.

        Raises:
            BenchmarkError: no proxy is left, or fewer than half of the architectures have a score of all that are.
        """
        rows = [self.features.get(arch.fingerprint, {}) for arch in benchmark.architectures]
        there = np.array([[row.get(name) is not None for name in self.proxies] for row in rows], dtype=bool)
        often = 2 * there.sum(axis=0) >= len(rows)
        complete = int(there[:, often].all(axis=1).sum()) if often.any() else 0
        if 2 * complete < len(rows):
            covered = complete if often.any() else int(there.sum(axis=0).max(initial=0))
            found = f"scores of {covered} of the {len(rows)} architectures of {benchmark.name}"
            allowed = "a table that covers at least half of them; without one the prediction is from structure alone"
            raise BenchmarkError("scores", found, allowed)
        silent = [name for name, kept in zip(self.proxies, often, strict=True) if not kept]
        if silent:
            log.warning("left out, as fewer than half of the architectures have a score: %s", ", ".join(silent))
        kept = {name: version for name, version in self.header["proxies"].items() if name not in silent}
        return ScoreTable({**self.header, "proxies": kept}, self.features, self.truncated)

    @classmethod
    def published(cls, benchmark: Benchmark) -> "ScoreTable":
        """The scores that were published with a benchmark, as a table."""
        features = {
            entry.architecture.fingerprint: {
                name: _log(score) if name in PUBLISHED_LOGS else score for name, score in entry.scores.items()
            }
            for entry in benchmark.entries
        }
        versions = dict.fromkeys(benchmark.proxies, "published")
        header = {"space": benchmark.space.name, "settings": benchmark.space.settings, "proxies": versions}
        return cls(header, features)


def score_feature(score: Mapping[str, Any]) -> float | None:
    """What models see of a score: its logarithm where it has one, else its value; None unless it is fine and finite."""
    feature = score.get("value") if score.get("log") is None else score["log"]
    return finite(feature) if score.get("status") == "ok" else None


class _Header(BaseModel):
    """Fields of a header that others rely on."""

    space: str
    settings: dict[str, Any]
    proxies: dict[str, str]
    batch: BatchSpec | None = None
    batch_fingerprint: str | None = None
    seed: int | None = None
    repeats: int | None = None


def load_scores(path: str | Path) -> ScoreTable:
    """Read a table of scores. A row that was cut off, as a killed writer leaves it, is left out and reported.

    Raises `BenchmarkError` with file and line where the table is missing or malformed.
    """
    header, rows, truncated = read_rows(path)
    features = {row["fingerprint"]: {name: score_feature(one) for name, one in row["scores"].items()} for row in rows}
    if truncated:
        log.warning("%s: its last row was cut off and is left out", path)
    return ScoreTable(header, features, truncated)


def read_rows(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """Read the lines of a table of scores.

    Returns:
        The header, the rows, and whether a last row was cut off.

    Raises:
        BenchmarkError: names the file and the line where the table is missing or malformed.
    """
    path = Path(path)
    lines, rest = _whole_rows(_content(path))
    if not lines:
        raise BenchmarkError(f"{path.name} line 1", rest.decode(errors="replace"), "a header line")
    header = _object(lines[0], f"{path.name} line 1", "proxies")
    try:
        check_fields(_Header, header, f"{path.name} line 1")
    except InputError as error:
        raise error.renamed(error.field, BenchmarkError) from error
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines[1:], start=2):
        place = f"{path.name} line {number}"
        row = _object(line, place, "scores")
        fingerprint = row.get("fingerprint")
        if not isinstance(fingerprint, str) or fingerprint in rows:
            raise BenchmarkError(f"{place}, fingerprint", fingerprint, "a fingerprint that no earlier row has")
        for name, score in row["scores"].items():
            if not isinstance(score, dict) or not all(_is_number(score.get(part)) for part in ("value", "log")):
                allowed = "an object with value and log, each a number or null"
                raise BenchmarkError(f"{place}, scores.{name}", score, allowed)
        rows[fingerprint] = row
    return header, list(rows.values()), bool(rest)


def start_scores(path: str | Path, header: dict[str, Any]) -> None:
    """Write a new table with only its header."""
    write_atomically(Path(path), json_line(header))


def append_scores(path: str | Path, row: dict[str, Any]) -> None:
    """Add one row and wait until it is on the disk, so that a killed writer loses at most the row it was in."""
    with Path(path).open("ab") as file:
        file.write(json_line(row))
        file.flush()
        os.fsync(file.fileno())


def drop_partial_row(path: str | Path) -> None:
    """Have the last line end, so that a writer can go on appending: a row that was cut off goes."""
    path = Path(path)
    content = path.read_bytes()
    _, rest = _whole_rows(content)
    os.truncate(path, len(content) - len(rest))
    if not rest and content and not content.endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def _content(path: Path) -> bytes:
    try:
        return read_file(path, "scores", pipe=True)
    except InputError as error:
        raise error.renamed("scores", BenchmarkError) from error


def _whole_rows(content: bytes) -> tuple[list[bytes], bytes]:
    """The lines, and what a writer was killed in: a last line without its end that is no JSON."""
    *lines, rest = content.split(b"\n")
    with contextlib.suppress(InputError):
        parse_json(rest.removeprefix(BYTE_ORDER_MARK), "row")
        return [*lines, rest], b""
    return lines, rest


def _object(line: bytes, place: str, needs: str) -> dict[str, Any]:
    try:
        row = parse_json(line, place)
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error
    if not isinstance(row, dict) or not isinstance(row.get(needs), dict):
        raise BenchmarkError(f"{place}, {needs}", row, f"an object with {needs!r}, an object")
    return row


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _log(score: float | None) -> float | None:
    return math.log(score) if score is not None and score > 0 else None
