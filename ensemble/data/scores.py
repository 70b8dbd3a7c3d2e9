"""Tables of proxy scores: JSON Lines files with a header line, then one row per architecture.

{"space": …, "settings": …, "batch": …, "batch_fingerprint": …, "seed": 0, "proxies": {"zen": "1"}, …}
{"fingerprint": …, "architecture": …, "scores": {"zen": {"value": 1.2, "log": null, "status": "ok", …}}}
"""

import contextlib
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from common.atomic_files import json_line, write_atomically
from common.documents import check_fields
from common.files import BYTE_ORDER_MARK, parse_json, read_file
from ensemble.data.benchmark import Benchmark, ProxyScores, as_finite
from ensemble.errors import BenchmarkError
from models import BuildableSpace, InputError, SearchSpace, get_space, require

log = logging.getLogger(__name__)
PUBLISHED_LOGS = ("synflow",)
"""Proxies whose published scores span so many orders of magnitude that their logarithm is the feature."""
MIN_COVERED_FRACTION = 0.5
"""Fraction of a benchmark's architectures that a proxy, and all proxies together, have to have scores of."""


@dataclass(frozen=True)
class ScoreTable:
    """Proxy scores of many architectures.

    Attributes:
        header: settings that the scores were computed with; `header["proxies"]` maps each proxy to its version.
        features: feature of each proxy by fingerprint; None where it failed.
        truncated: true where the file ended inside a row, which was skipped.
        left_out: reason, by name, for each proxy of the header that is not to be used.
    """

    header: dict[str, Any]
    features: dict[str, ProxyScores]
    truncated: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxies that are not left out, in the header's order."""
        return tuple(name for name in self.header["proxies"] if name not in self.left_out)

    def check_space(self, space: SearchSpace[Any]) -> None:
        """Check that the networks that were scored are those of a search space and its settings.

        Args:
            space: the search space of a benchmark.

        Raises:
            BenchmarkError: they are others, such as the networks for another data set.
        """
        if not self._is_of(space):
            scored = self._space
            allowed = f"scores of the benchmark's space, {space.name} {json.dumps(space.settings)}"
            raise BenchmarkError("scores", f"{scored.name} {json.dumps(scored.settings)}", allowed)

    def covers(self, benchmark: Benchmark) -> bool:
        """Return True if every architecture of a benchmark has a row, of its space and settings."""
        return self._is_of(benchmark.space) and all(
            arch.fingerprint in self.features for arch in benchmark.architectures
        )

    def _is_of(self, space: SearchSpace[Any]) -> bool:
        return (self._space.name, self._space.settings) == (space.name, space.settings)

    @cached_property
    def _space(self) -> SearchSpace[Any]:
        name: str = self.header["space"]
        try:
            return get_space(name, **self.header["settings"])
        except InputError as error:
            raise error.renamed(f"scores, {error.field}", BenchmarkError) from error

    def leave_out_sparse_proxies(self, benchmark: Benchmark) -> "ScoreTable":
        """Leave out the proxies with scores for fewer than half of a benchmark's architectures.

        Most combiners need every score and would be left with too few training rows.

        Args:
            benchmark: the architectures to be learned from.

        Raises:
            BenchmarkError: no proxy remains, fewer than half of the architectures have scores of all that remain, or
                networks of another space or other settings were scored.
        """
        self.check_space(benchmark.space)
        rows = [self.features.get(arch.fingerprint, {}) for arch in benchmark.architectures]
        has_score = np.array([[row.get(name) is not None for name in self.proxies] for row in rows], dtype=bool)
        min_rows = MIN_COVERED_FRACTION * len(rows)
        is_kept = has_score.sum(axis=0) >= min_rows
        complete = int(has_score[:, is_kept].all(axis=1).sum()) if is_kept.any() else 0
        if complete < min_rows:
            covered = complete if is_kept.any() else int(has_score.sum(axis=0).max(initial=0))
            value = f"scores of {covered} of the {len(rows)} architectures of {benchmark.name}"
            allowed = "a table that covers at least half of them, or none, to predict from structure alone"
            raise BenchmarkError("scores", value, allowed)
        sparse = [name for name, kept in zip(self.proxies, is_kept, strict=True) if not kept]
        if sparse:
            log.warning("proxies with scores for fewer than half of the architectures left out: %s", ", ".join(sparse))
        reasons = self.left_out | dict.fromkeys(sparse, "it has scores of fewer than half of the architectures")
        return replace(self, left_out=reasons)

    @classmethod
    def from_published(cls, benchmark: Benchmark) -> "ScoreTable":
        """Make a table of a benchmark's published scores.

        Args:
            benchmark: the benchmark.
        """
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
    """Return the feature of a score: its logarithm where it has one, else its value.

    Args:
        score: a proxy score as plain data, with `value`, `log` and `status`.

    Returns:
        The feature, or None where the score failed or is not finite.
    """
    feature = score.get("value") if score.get("log") is None else score["log"]
    return as_finite(feature) if score.get("status") == "ok" else None


class _Header(BaseModel):
    """Required and optional fields of a header."""

    space: str
    settings: dict[str, Any]
    proxies: dict[str, str]
    batch: dict[str, Any] | None = None
    batch_fingerprint: str | None = None
    seed: int | None = None
    repeats: int | None = None


def load_scores(path: str | Path) -> ScoreTable:
    """Read a table of scores.

    A truncated last row, as an interrupted writer leaves it, is skipped with a warning.

    Args:
        path: the table.

    Raises:
        BenchmarkError: the table is missing or malformed. Names the file and the line.
    """
    header, rows, truncated = read_rows(path)
    features = {
        row["fingerprint"]: {name: score_feature(score) for name, score in row["scores"].items()} for row in rows
    }
    if truncated:
        log.warning("%s: truncated last row skipped", path)
    return ScoreTable(header, features, truncated, _not_applicable(rows))


def _not_applicable(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Reason of each proxy that is not applicable to any of the architectures."""
    reasons: dict[str, str] = {}
    for row in rows:
        for name, score in row["scores"].items():
            if score.get("status") == "not_applicable":
                reasons.setdefault(name, f"it is not applicable: {score.get('note')}")
    applicable = {name for row in rows for name, score in row["scores"].items() if score.get("status") == "ok"}
    return {name: reason for name, reason in reasons.items() if name not in applicable}


def read_rows(path: str | Path) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """Read the header and the rows of a table of scores.

    Args:
        path: the table.

    Returns:
        The header, the rows, and true where the last row was truncated.

    Raises:
        BenchmarkError: the table is missing or malformed. Names the file and the line.
    """
    path = Path(path)
    lines, rest = _whole_rows(_content(path))
    if not lines:
        raise BenchmarkError(f"{path.name} line 1", rest.decode(errors="replace"), "a header line")
    header = _object(lines[0], f"{path.name} line 1", "proxies")
    _check_header(header, f"{path.name} line 1")
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines[1:], start=2):
        place = f"{path.name} line {number}"
        row = _object(line, place, "scores")
        fingerprint = row.get("fingerprint")
        if not isinstance(fingerprint, str) or fingerprint in rows:
            raise BenchmarkError(f"{place}, fingerprint", fingerprint, "a fingerprint that no earlier row has")
        for name, score in row["scores"].items():
            if not isinstance(score, dict) or not all(_is_number_or_null(score.get(key)) for key in ("value", "log")):
                allowed = "an object with value and log, each a number or null"
                raise BenchmarkError(f"{place}, scores.{name}", score, allowed)
        rows[fingerprint] = row
    return header, list(rows.values()), bool(rest)


def _check_header(header: dict[str, Any], place: str) -> None:
    """Check the fields of a header, and its batch by the task of its space."""
    try:
        check_fields(_Header, header, place)
    except InputError as error:
        raise error.renamed(error.field, BenchmarkError) from error
    if header.get("batch") is None:
        return
    try:
        task = require(get_space(header["space"], **header["settings"]), BuildableSpace).task
    except InputError as error:
        raise error.renamed(f"{place}, {error.field}", BenchmarkError) from error
    try:
        task.batch_spec(**header["batch"])
    except InputError as error:
        raise error.renamed(f"{place}, batch.{error.field}", BenchmarkError) from error


def start_scores(path: str | Path, header: dict[str, Any]) -> None:
    """Write a new table of scores, without rows.

    Args:
        path: the table. An existing one is replaced.
        header: settings of the scores.
    """
    write_atomically(Path(path), json_line(header))


def append_scores(path: str | Path, row: dict[str, Any]) -> None:
    """Append a row to a table of scores and flush it to disk.

    Args:
        path: the table.
        row: fingerprint, architecture and scores.
    """
    with Path(path).open("ab") as file:
        file.write(json_line(row))
        file.flush()
        os.fsync(file.fileno())


def drop_partial_row(path: str | Path) -> None:
    """Prepare a table for appending: remove a truncated last row, and terminate the last line.

    Args:
        path: the table.
    """
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
    """Split into complete lines and a truncated last one: a line that has no line end and is no JSON."""
    *lines, rest = content.split(b"\n")
    with contextlib.suppress(InputError):
        parse_json(rest.removeprefix(BYTE_ORDER_MARK), "row")
        return [*lines, rest], b""
    return lines, rest


def _object(line: bytes, place: str, required: str) -> dict[str, Any]:
    try:
        row = parse_json(line, place)
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error
    if not isinstance(row, dict) or not isinstance(row.get(required), dict):
        raise BenchmarkError(f"{place}, {required}", row, f"an object with {required!r}, an object")
    return row


def _is_number_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _log(score: float | None) -> float | None:
    return math.log(score) if score is not None and score > 0 else None
