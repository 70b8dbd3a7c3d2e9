"""Folder of a build: what was sampled, what has been trained, checkpoints, and the table.

build.json: the specification, the data, the sample, and versions.
trainings.jsonl: journal; the identity of the build, then samples, `{"architectures": …}`, and results,
    `{"fingerprint": …, "seed": …, "accuracy": …}`.
checkpoints/: one file for each training that runs or was interrupted.
table.jsonl: the benchmark, written anew after each training.
"""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from common.atomic_files import TEMPORARY_PREFIX, write_atomically
from common.errors import InputError
from common.files import parse_json
from common.version import archrank_version
from models import Architecture, SearchSpace
from search.journal import Journal
from training.benchmark.pool import TrainingEnded
from training.benchmark.results import result_from_json, result_to_json
from training.benchmark.specification import Training
from training.benchmark.table import table_content
from training.record import TrainingResult

TRAININGS, TABLE, BUILD, CHECKPOINTS = "trainings.jsonl", "table.jsonl", "build.json", "checkpoints"


class BuildFolder:
    """Open folder of a build. Use `open` to construct it.

    Attributes:
        path: the folder.
        architectures: the sample.
        results: result of each training that has ended or failed.
    """

    def __init__(self, path: Path, space: SearchSpace[Any], journal: Journal) -> None:
        self.path, self._space, self._journal = path, space, journal
        self.architectures: list[Architecture] = []
        self.results: dict[Training, TrainingResult] = {}

    @classmethod
    @contextmanager
    def open(cls, path: Path, space: SearchSpace[Any], identity: Mapping[str, Any]) -> Iterator[Self]:
        """Open a folder, or create it.

        Args:
            path: the folder.
            space: search space of the architectures.
            identity: everything that the accuracies depend on, as plain JSON.

        Yields:
            The folder, which no other process can open.

        Raises:
            InputError: the folder is of another build, in use, or malformed.
        """
        with Journal.open(path / TRAININGS, identity, "build") as journal:
            folder = cls(path, space, journal)
            folder._read()
            folder.checkpoints.mkdir(exist_ok=True)
            folder._remove_leftovers()
            if not (path / BUILD).exists():
                document = {**identity, "versions": _versions()}
                write_atomically(path / BUILD, (json.dumps(document, indent=1) + "\n").encode())
            yield folder

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def table(self) -> Path:
        """Path of the table."""
        return self.path / TABLE

    def add_architectures(self, architectures: Sequence[Architecture]) -> None:
        """Append architectures to the sample."""
        if architectures:
            self._append({"architectures": [self._space.to_json(architecture) for architecture in architectures]})
            self.architectures += architectures

    def add_result(self, ended: TrainingEnded) -> None:
        """Append a result, renew the table, and remove the checkpoint."""
        training = ended.training
        self._append(
            {
                "fingerprint": training.architecture.fingerprint,
                "seed": training.seed,
                **result_to_json(ended.result),
                "environment": ended.environment,
            }
        )
        self.results[training] = ended.result
        self.write_table()
        self._checkpoint(training).unlink(missing_ok=True)

    def write_table(self) -> None:
        """Write the table."""
        write_atomically(self.table, table_content(self._space, self.architectures, self.results))

    def _checkpoint(self, training: Training) -> Path:
        return self.checkpoints / f"{training.name}.pt"

    def _append(self, line: Mapping[str, Any]) -> None:
        self._journal.append([json.dumps(line, separators=(",", ":"), allow_nan=False)])

    def _read(self) -> None:
        by_fingerprint: dict[str, Architecture] = {}
        for index, line in enumerate(self._journal.lines):
            place = self._journal.place(index)
            entry = parse_json(line, place)
            try:
                if "architectures" in entry:
                    new = [self._space.parse(architecture) for architecture in entry["architectures"]]
                    self.architectures += new
                    by_fingerprint |= {architecture.fingerprint: architecture for architecture in new}
                    continue
                training = Training(by_fingerprint[entry["fingerprint"]], entry["seed"])
            except (TypeError, KeyError) as error:
                raise InputError(place, entry, "architectures, or the result of a training of one of them") from error
            self.results[training] = result_from_json(entry, place)

    def _remove_leftovers(self) -> None:
        """Remove checkpoints of trainings that have ended, and unfinished files."""
        for training in self.results:
            self._checkpoint(training).unlink(missing_ok=True)
        for folder in (self.path, self.checkpoints):
            for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
                path.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    return {
        "archrank": archrank_version(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
