"""Log of a search that trains: a header line, then a line for each proposal and for each result.

{"format": 1, "space": "gcn-nas", "strategy": "study", "objective": "command:./train.sh {architecture}", …}
{"asked": 1, "proposed": [architecture], "seconds": 0.0}
{"number": 1, "value": 0.943, "error": null, "seconds": 612.4, "epochs": 30, "curve": [], "elapsed": 612.9}
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from common.documents import check_fields
from common.files import parse_json
from models import Architecture, InputError, SearchSpace
from search.journal import Journal
from search.objectives import TrainingResult

FORMAT = 1


class _Proposal(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    asked: int = Field(ge=1)
    proposed: list[dict[str, Any]]


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    number: int = Field(ge=1)
    value: float | None
    error: str | None
    seconds: float | None
    epochs: int | None
    curve: tuple[float, ...]
    elapsed: float


@dataclass(frozen=True)
class Proposal:
    """Answer of a strategy.

    Attributes:
        asked: number of architectures asked for.
        architectures: the proposed ones.
    """

    asked: int
    architectures: list[Architecture]


Event = Proposal | int
"""A proposal, or the number of a training that has ended."""


class TrainingLog:
    """Durable log of one search that trains, open in one process at a time. Use `open` to construct it.

    Attributes:
        path: path of the log.
        events: proposals and ends of trainings, in their order.
        architectures: proposed architectures; the number of a training is its index here, plus 1.
        results: results by number of the training, in the order in which they ended.
        elapsed: duration of the search when the last training ended, in seconds, summed over all its runs.
    """

    def __init__(self, journal: Journal, space: SearchSpace[Any]) -> None:
        self.path = journal.path
        self.events: list[Event] = []
        self.architectures: list[Architecture] = []
        self.results: dict[int, TrainingResult] = {}
        self.elapsed = 0.0
        self._journal, self._space = journal, space

    @classmethod
    @contextmanager
    def open(cls, path: str | Path, header: Mapping[str, Any], space: SearchSpace[Any]) -> Iterator["TrainingLog"]:
        """Open a log, or create it if there is none. An incomplete last line is removed.

        Args:
            path: path of the log; missing parent folders are created. A lock file is kept beside it.
            header: identity of the search, as plain data.
            space: search space of the architectures.

        Yields:
            The log with its events.

        Raises:
            InputError: the log has another header, is malformed, or is open in another process.
        """
        with Journal.open(Path(path), {"format": FORMAT, **header}) as journal:
            log = cls(journal, space)
            for i, line in enumerate(journal.lines):
                log._read(line, journal.place(i))
            yield log

    @property
    def pairs(self) -> list[tuple[Architecture, TrainingResult]]:
        """Architectures and results of all trainings that have ended, in the order in which they ended."""
        return [(self.architectures[number - 1], result) for number, result in self.results.items()]

    def add_proposal(self, asked: int, architectures: Sequence[Architecture]) -> None:
        """Append the answer of a strategy, before its trainings start."""
        row = {"asked": asked, "proposed": [self._space.to_json(arch) for arch in architectures]}
        self._journal.append([json.dumps(row)])
        self._keep_proposal(Proposal(asked, list(architectures)))

    def add_result(self, number: int, result: TrainingResult, elapsed: float) -> None:
        """Append the result of a training."""
        row = {"number": number, **asdict(result), "elapsed": round(elapsed, 3)}
        self._journal.append([json.dumps(row, allow_nan=False)])
        self._keep_result(number, result, elapsed)

    def _read(self, line: bytes, place: str) -> None:
        row = parse_json(line, place)
        if isinstance(row, dict) and "asked" in row:
            proposal = check_fields(_Proposal, row, place)
            try:
                architectures = [self._space.parse(arch) for arch in proposal.proposed]
            except InputError as error:
                raise error.renamed(f"{place}, {error.field}", InputError) from error
            self._keep_proposal(Proposal(proposal.asked, architectures))
            return
        fields = check_fields(_Result, row, place).model_dump()
        number, elapsed = fields.pop("number"), fields.pop("elapsed")
        if number > len(self.architectures) or number in self.results:
            raise InputError(f"{place}, number", number, "a training that was proposed and has no result yet")
        self._keep_result(number, TrainingResult(**fields), elapsed)

    def _keep_proposal(self, proposal: Proposal) -> None:
        self.events.append(proposal)
        self.architectures += proposal.architectures

    def _keep_result(self, number: int, result: TrainingResult, elapsed: float) -> None:
        self.events.append(number)
        self.results[number] = result
        self.elapsed = elapsed
