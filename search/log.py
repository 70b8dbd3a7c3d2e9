"""Log of a search: a header line, then one JSON line per trial, appended as trials are evaluated.

{"format": 2, "space": "gcn-nas", "settings": …, "strategy": "random", "seed": 0, "batch_size": 16, …}
{"architecture": …, "accuracy": 0.9431, "flops": …, "params": …, "interval": …, "warnings": [], "error": null, …}
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from common.documents import check_fields
from common.files import parse_json
from models import CostedSpace, InputError, SearchSpace
from search.journal import Journal
from search.trials import Interval, TrialResult

FORMAT = 2


class _LoggedTrial(BaseModel):
    """One line of the log: a trial, and the duration of the search at the time it was logged, in seconds."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: dict[str, Any]
    accuracy: float | None
    flops: int | None = Field(ge=0, lt=2**63)
    params: int | None = Field(ge=0, lt=2**63)
    interval: Interval | None
    warnings: tuple[str, ...]
    error: str | None
    seconds: float


class SearchLog:
    """Durable log of one search, open in one process at a time. Use `open` to construct it.

    Attributes:
        path: path of the log.
        trials: logged trials, in the order in which they were proposed.
        seconds: duration of the search when the last trial was logged, summed over all its runs.
    """

    def __init__(self, journal: Journal, space: SearchSpace[Any]) -> None:
        self.path = journal.path
        self.trials: list[TrialResult] = []
        self.seconds = 0.0
        self._journal, self._space = journal, space

    @classmethod
    @contextmanager
    def open(cls, path: str | Path, header: Mapping[str, Any], space: SearchSpace[Any]) -> Iterator["SearchLog"]:
        """Open a log, or create it if there is none. An incomplete last line is removed.

        Args:
            path: path of the log; missing parent folders are created. A lock file is kept beside it.
            header: identity of the search, as plain data.
            space: search space of the architectures.

        Yields:
            The log with its trials.

        Raises:
            InputError: the log has another header, is malformed, or is open in another process.
        """
        with Journal.open(Path(path), {"format": FORMAT, **header}) as journal:
            log = cls(journal, space)
            for i, line in enumerate(journal.lines):
                log._read_trial(line, journal.place(i))
            yield log

    def add(self, trials: Sequence[TrialResult], seconds: float) -> None:
        """Append trials and wait until they are on the disk.

        Args:
            trials: trials to log.
            seconds: duration of the search so far.
        """
        self._journal.append([self._row(trial, seconds).model_dump_json() for trial in trials])
        self.trials += trials
        self.seconds = seconds

    def _read_trial(self, line: bytes, place: str) -> None:
        row = check_fields(_LoggedTrial, parse_json(line, place), place)
        fields = {name: getattr(row, name) for name in _LoggedTrial.model_fields.keys() - {"architecture", "seconds"}}
        for name in ("flops", "params"):
            if (fields[name] is None) == isinstance(self._space, CostedSpace):
                allowed = "a whole number" if fields[name] is None else f"null: {self._space.name} has no costs"
                raise InputError(f"{place}, {name}", fields[name], allowed)
        try:
            self.trials.append(TrialResult(architecture=self._space.parse(row.architecture), **fields))
        except InputError as error:
            raise error.renamed(f"{place}, {error.field}", InputError) from error
        self.seconds = row.seconds

    def _row(self, trial: TrialResult, seconds: float) -> _LoggedTrial:
        fields = {name: getattr(trial, name) for name in _LoggedTrial.model_fields.keys() - {"architecture", "seconds"}}
        return _LoggedTrial(architecture=self._space.to_json(trial.architecture), **fields, seconds=round(seconds, 3))
