"""Folder of a build: what was sampled, what has been trained, checkpoints, and the table.

build.json: the specification, the data, the sample, and versions.
trainings.jsonl: journal; the identity of the build, then samples, `{"architectures": …, "repeated": …}`, with the
    fingerprints of the architectures that several seeds train, and results, `{"fingerprint": …, "seed": …,
    "accuracy": …}`.
checkpoints/: one file for each training that runs or was interrupted.
table.jsonl: the benchmark, written anew after each training.
"""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from common.atomic_files import TEMPORARY_PREFIX, write_atomically
from common.errors import InputError
from common.files import parse_json
from common.version import archrank_version
from ensemble.data.loading import table_content
from models import Architecture, SearchSpace
from search.journal import Journal
from training.benchmark.pool import TrainingEnded
from training.benchmark.results import result_from_json, result_to_json
from training.benchmark.specification import Training
from training.benchmark.table import table_entries
from training.record import TrainingResult

TRAININGS, TABLE, BUILD, CHECKPOINTS = "trainings.jsonl", "table.jsonl", "build.json", "checkpoints"


class BuildFolder:
    """Open folder of a build, which is empty until the first sample. Use `open` to construct it.

    Attributes:
        path: the folder.
        architectures: the sample.
        repeated: those of the sample that several seeds train.
        results: result of each training that has ended or failed.
    """

    def __init__(self, path: Path, space: SearchSpace[Any], identity: Mapping[str, Any], stack: ExitStack) -> None:
        self.path, self._space, self._identity, self._stack = path, space, identity, stack
        self._journal: Journal | None = None
        self.architectures: list[Architecture] = []
        self.repeated: set[Architecture] = set()
        self.results: dict[Training, TrainingResult] = {}

    @classmethod
    @contextmanager
    def open(cls, path: Path, space: SearchSpace[Any], identity: Mapping[str, Any]) -> Iterator[Self]:
        """Open a folder, or create it. A new one is removed again if no sample is added to it.

        Args:
            path: the folder.
            space: search space of the architectures.
            identity: everything that the accuracies depend on, as plain JSON.

        Yields:
            The folder, which no other process can open once it has a sample.

        Raises:
            InputError: the folder is of another build, in use, or malformed.
        """
        is_new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                folder = cls(path, space, identity, stack)
                if (path / TRAININGS).exists():
                    folder._open_journal()
                yield folder
        finally:
            if is_new:
                with suppress(OSError):  # it has content
                    path.rmdir()

    @property
    def is_created(self) -> bool:
        """True once the build has a sample."""
        return self._journal is not None

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def table(self) -> Path:
        """Path of the table."""
        return self.path / TABLE

    def extend(self, architectures: Sequence[Architecture], repeated: Sequence[Architecture]) -> None:
        """Append architectures to the sample, and choose some of the whole sample that several seeds train.

        Raises:
            InputError: another process has begun a build in the folder.
        """
        if self._journal is None:
            self._open_journal()
            if self.architectures:
                raise InputError(str(self.path), "in use", "the folder of a build that no other process runs")
        if architectures:
            self._append(
                {
                    "architectures": [self._space.to_json(architecture) for architecture in architectures],
                    "repeated": [architecture.fingerprint for architecture in repeated],
                }
            )
            self.architectures += architectures
            self.repeated.update(repeated)

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
        entries = table_entries(self.architectures, self.results)
        write_atomically(self.table, table_content(self._space, entries))

    def _checkpoint(self, training: Training) -> Path:
        return self.checkpoints / training.checkpoint

    def _append(self, line: Mapping[str, Any]) -> None:
        assert self._journal is not None, "results follow a sample"
        self._journal.append([json.dumps(line, separators=(",", ":"), allow_nan=False)])

    def _open_journal(self) -> None:
        """Open the journal, or create it, and read it."""
        self._journal = self._stack.enter_context(Journal.open(self.path / TRAININGS, self._identity, "build"))
        self._read(self._journal)
        self.checkpoints.mkdir(exist_ok=True)
        self._remove_leftovers()
        if not (self.path / BUILD).exists():
            document = {**self._identity, "versions": _versions()}
            write_atomically(self.path / BUILD, (json.dumps(document, indent=1) + "\n").encode())

    def _read(self, journal: Journal) -> None:
        by_fingerprint: dict[str, Architecture] = {}
        for index, line in enumerate(journal.lines):
            place = journal.place(index)
            entry = parse_json(line, place)
            try:
                if "architectures" in entry:
                    new = [self._space.parse(architecture) for architecture in entry["architectures"]]
                    self.architectures += new
                    by_fingerprint |= {architecture.fingerprint: architecture for architecture in new}
                    self.repeated |= {by_fingerprint[fingerprint] for fingerprint in entry["repeated"]}
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
