"""The JSON of an evaluation, as `archrank evaluate --json` prints it, read back."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from common.documents import check_fields
from common.files import read_json
from ensemble.data.benchmark import Benchmark
from ensemble.errors import BenchmarkError
from models import InputError


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Summary(_Part):
    mean: float
    sd: float


class _Method(_Part):
    repeats: int
    folds: int
    seed: int


class _Data(_Part):
    data_hash: str
    architectures: int


Measures = dict[str, float | None]
Summaries = dict[str, _Summary | None]


class _Intervals(_Part):
    level: float
    combiners: dict[str, Summaries]


class _Reliability(_Part):
    predicted: float
    observed: float
    pairs: int


class _Probabilities(_Part):
    brier: _Summary | None
    pairs: int
    reliability: list[_Reliability]


class _Scopes(_Part):
    all: _Probabilities
    within_depth: _Probabilities


class _Pairs(_Part):
    combiners: dict[str, _Scopes]


class _Noise(_Part):
    sd: float
    within_depth: float
    share: Measures
    ceiling: Measures


class _Evaluation(_Part):
    benchmark: _Data
    method: _Method
    published: dict[str, Measures]
    scores: dict[str, Measures]
    depth: Measures
    baselines: dict[str, Summaries]
    combiners: dict[str, Summaries]
    intervals: _Intervals
    pairs: _Pairs
    learning: dict[str, list[dict[str, _Summary | int | None]]]
    control: dict[str, Measures]
    noise: _Noise
    versions: dict[str, str]
    seconds: float


def load_evaluation(path: str | Path, benchmark: Benchmark) -> dict[str, Any]:
    """Read an evaluation of that benchmark.

    Raises `BenchmarkError` where the file is something else, or about other architectures or accuracies.
    """
    try:
        content = read_json(Path(path), str(path), pipe=True)
        read = check_fields(_Evaluation, content, str(path))
    except InputError as error:
        allowed = f"the JSON of `archrank evaluate --json` ({error.allowed})"
        raise BenchmarkError(error.field, "something else", allowed) from error
    if read.benchmark.data_hash != benchmark.data_hash:
        allowed = f"{benchmark.data_hash!r}, that of {benchmark.name}: evaluate this benchmark"
        raise BenchmarkError(f"{path}, benchmark.data_hash", read.benchmark.data_hash, allowed)
    evaluation: dict[str, Any] = content
    return evaluation
