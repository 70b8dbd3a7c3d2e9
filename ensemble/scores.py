"""Tables of our own proxy scores: a header line, then one JSON line an architecture, appended as they are computed.

{"space": …, "settings": …, "batch": …, "batch_fingerprint": …, "seed": 0, "proxies": {"zen": "1"}, …}
{"fingerprint": …, "architecture": …, "scores": {"zen": {"value": 1.2, "log": null, "status": "ok", …}}}
"""

import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensemble.benchmark import Benchmark, Scores
from ensemble.errors import BenchmarkError
from ensemble.files import json_line, write_atomically

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
        """
        rows = [self.features.get(arch.fingerprint, {}) for arch in benchmark.architectures]
        there = {name: sum(row.get(name) is not None for row in rows) for name in self.proxies}
        silent = [name for name, number in there.items() if 2 * number < len(rows)]
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
    if score.get("status") != "ok" or feature is None or not math.isfinite(feature):
        return None
    return float(feature)


def load_scores(path: str | Path) -> ScoreTable:
    """Read a table of scores. A last line without its end, as a killed writer leaves it, is left out and reported.

    Raises `BenchmarkError` with file and line where the table is missing or malformed.
    """
    path = Path(path)
    if not path.is_file():
        raise BenchmarkError("scores", str(path), "an existing file")
    lines, rest = _whole_lines(path.read_bytes())
    if not lines:
        raise BenchmarkError(f"{path.name} line 1", rest.decode(errors="replace"), "a header line")
    header = _row(lines[0], f"{path.name} line 1", "proxies")
    features: dict[str, Scores] = {}
    for number, line in enumerate(lines[1:], start=2):
        place = f"{path.name} line {number}"
        row = _row(line, place, "scores")
        fingerprint = row.get("fingerprint")
        if not isinstance(fingerprint, str) or fingerprint in features:
            raise BenchmarkError(f"{place}, fingerprint", fingerprint, "a fingerprint that no earlier row has")
        try:
            features[fingerprint] = {name: score_feature(score) for name, score in row["scores"].items()}
        except (AttributeError, TypeError) as error:
            raise BenchmarkError(f"{place}, scores", row["scores"], "an object of scores by proxy") from error
    return ScoreTable(header, features, truncated=bool(rest))


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
    """Cut off a last line without its end, so that a writer can go on appending."""
    path = Path(path)
    content = path.read_bytes()
    _, rest = _whole_lines(content)
    os.truncate(path, len(content) - len(rest))


def _whole_lines(content: bytes) -> tuple[list[bytes], bytes]:
    *lines, rest = content.split(b"\n")
    return lines, rest


def _row(line: bytes, place: str, needs: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BenchmarkError(place, line.decode(errors="replace"), f"JSON ({error})") from error
    if not isinstance(row, dict) or not isinstance(row.get(needs), dict):
        raise BenchmarkError(f"{place}, {needs}", row, f"an object with {needs!r}, an object")
    return row


def _log(score: float | None) -> float | None:
    return math.log(score) if score is not None and score > 0 else None
