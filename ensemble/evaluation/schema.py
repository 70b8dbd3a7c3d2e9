"""Schema of an evaluation's JSON, as `archrank evaluate --json` prints it."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from common.documents import check_fields
from common.files import read_json
from ensemble.data.benchmark import Benchmark
from ensemble.errors import BenchmarkError
from models import InputError


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Summary(_Document):
    mean: float
    std: float


class _Method(_Document):
    repeats: int
    folds: int
    seed: int


class _Benchmark(_Document):
    data_hash: str
    size: int


_Values = dict[str, float | None]
_Metrics = dict[str, float | _Values | None]
_Summaries = dict[str, _Summary | None]
_SummaryTree = dict[str, _Summary | _Summaries | None]


class _IntervalMetric(_Document):
    overall: _Summary | None
    by_stratum: _Summaries


class _IntervalMetrics(_Document):
    coverage: _IntervalMetric
    interval_width: _IntervalMetric


class _Intervals(_Document):
    level: float
    combiners: dict[str, _IntervalMetrics]


class _ReliabilityBin(_Document):
    predicted: float
    observed: float
    n: int


class _PairBrier(_Document):
    overall: _Summary | None
    within_stratum: _Summary | None


class _PairCounts(_Document):
    overall: int
    within_stratum: int


class _PairReliability(_Document):
    overall: list[_ReliabilityBin]
    within_stratum: list[_ReliabilityBin]


class _PairMetrics(_Document):
    brier: _PairBrier
    n: _PairCounts
    reliability: _PairReliability


class _Pairs(_Document):
    combiners: dict[str, _PairMetrics]


class _NoiseFraction(_Document):
    by_stratum: _Values


class _SpearmanCeiling(_Document):
    within_stratum: float
    by_stratum: _Values


class _Noise(_Document):
    std: float
    variance_fraction: _NoiseFraction
    spearman_ceiling: _SpearmanCeiling


class _Evaluation(_Document):
    benchmark: _Benchmark
    method: _Method
    published: dict[str, _Metrics]
    scores: dict[str, _Metrics]
    stratum: _Metrics
    baselines: dict[str, _SummaryTree]
    combiners: dict[str, _SummaryTree]
    intervals: _Intervals
    pairs: _Pairs
    learning_curves: dict[str, list[dict[str, _Summary | int | _Summaries | None]]]
    control: dict[str, _Metrics]
    noise: _Noise | None
    versions: dict[str, str]
    seconds: float


def load_evaluation(path: str | Path, benchmark: Benchmark) -> dict[str, Any]:
    """Read the evaluation of a benchmark.

    Args:
        path: JSON file, or a pipe.
        benchmark: the benchmark that was evaluated.

    Returns:
        The evaluation as plain data, as `evaluate` returns it.

    Raises:
        BenchmarkError: the file is no evaluation, or one of other architectures or accuracies.
        OSError: the file cannot be read.
    """
    try:
        content = read_json(Path(path), str(path), pipe=True)
        document = check_fields(_Evaluation, content, str(path))
    except InputError as error:
        allowed = f"the JSON of `archrank evaluate --json` ({error.allowed})"
        raise BenchmarkError(error.field, "something else", allowed) from error
    if document.benchmark.data_hash != benchmark.data_hash:
        allowed = f"{benchmark.data_hash!r}, that of {benchmark.name}: evaluate this benchmark"
        raise BenchmarkError(f"{path}, benchmark.data_hash", document.benchmark.data_hash, allowed)
    evaluation: dict[str, Any] = content
    return evaluation
