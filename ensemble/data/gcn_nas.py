"""The public files of the `gcn-nas` benchmark: one JSON file per architecture.

github.com/Monkey-Coders/GCN-NAS-xiaoiker, folder `experiment/data`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ensemble.data.json_files import parse_object, read_content
from ensemble.data.readers import BenchmarkReader, Row
from ensemble.errors import BenchmarkError
from models import SearchSpace

UNTRAINED_SCORES = "zero_cost_scores"
"""Field of the public files with the scores before training; `_<epoch>` is appended for those after an epoch."""


def read_public_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the public files of a benchmark, each with one architecture under its hash.

    Args:
        path: the folder, or the folder above its `data` folder. A file holds no records.

    Yields:
        File name and record.

    Raises:
        BenchmarkError: a file is malformed.
    """
    folder = path / "data" if (path / "data").is_dir() else path
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        content = parse_object(read_content(file, file.name), file.name)
        records = list(content.values())
        if len(records) != 1 or not isinstance(records[0], dict):
            raise BenchmarkError(file.name, content, "an object with one architecture under its hash")
        for name in ("weights", "val_acc"):
            if name not in records[0]:
                raise BenchmarkError(f"{file.name}, {name}", None, "a value: the field is missing")
        yield file.name, records[0]


def public_scores(record: Mapping[str, Any], field: str, place: str) -> dict[str, dict[str, Any]]:
    """Return the scores of a public record as `{"score": …, "time": …}` by proxy.

    Args:
        record: the record.
        field: name of its field. A record without it has no scores.
        place: name of the record in errors.

    Raises:
        BenchmarkError: the field is malformed.
    """
    scores = record.get(field, {})
    if not isinstance(scores, dict) or not all(
        isinstance(score, dict) and "score" in score for score in scores.values()
    ):
        raise BenchmarkError(f"{place}, {field}", scores, 'an object of {"score": …} by proxy')
    return scores


def _rows(path: Path, space: SearchSpace[Any]) -> Iterator[Row]:
    """Yield the public records as rows of a JSON Lines benchmark."""
    for name, record in read_public_records(path):
        scores = public_scores(record, UNTRAINED_SCORES, name)
        yield (
            name,
            {
                "architecture": {"weights": record["weights"]},
                "accuracy": record["val_acc"],
                "seconds": record.get("time"),
                "scores": {proxy: score["score"] for proxy, score in scores.items()},
            },
        )


READER = BenchmarkReader("gcn-nas", Path.is_dir, _rows)
