"""Complete report on the synthetic benchmark, and its page parsed as XML."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from ensemble import Benchmark, Entry, ScoreTable, evaluate
from ensemble.report import write_report


def parsed(page: Path) -> ElementTree.Element:
    """Parse a page as XML, which fails for unclosed elements."""
    return ElementTree.fromstring(page.read_text())


def text(element: ElementTree.Element) -> str:
    return " ".join(re.split("[ \n]+", "".join(element.itertext()).strip(" \n")))


@pytest.fixture(scope="session")
def bare(benchmark: Benchmark) -> Benchmark:
    """Benchmark without scores, whose report has no figures and is fast to write."""
    return Benchmark("own", benchmark.space, tuple(Entry(e.architecture, e.accuracy) for e in benchmark.entries))


@pytest.fixture(scope="session")
def evaluation(benchmark: Benchmark, scores: ScoreTable) -> dict[str, Any]:
    result = evaluate(benchmark, scores, 2, 2, jobs=1, combiners=["ridge", "mean", "vote"])
    evaluation: dict[str, Any] = json.loads(json.dumps(result))
    return evaluation


@pytest.fixture(scope="session")
def by_epoch(benchmark: Benchmark) -> dict[int, Benchmark]:
    """Scores of zen, which improve with training; epoch 5 is missing for half of the architectures."""
    rng = np.random.default_rng(1)

    def after(epoch: int, share: float) -> Benchmark:
        entries = [
            Entry(
                entry.architecture,
                entry.accuracy,
                entry.seconds,
                {"zen": entry.accuracy + 0.02 * rng.normal() / (1 + 3 * epoch)} if i < share * len(benchmark) else {},
            )
            for i, entry in enumerate(benchmark.entries)
        ]
        return Benchmark(benchmark.name, benchmark.space, tuple(entries))

    return {0: after(0, 1.0), 1: after(1, 1.0), 5: after(5, 0.5)}


@pytest.fixture(scope="session")
def optional_parts(benchmark: Benchmark, by_epoch: dict[int, Benchmark]) -> dict[str, Any]:
    """All optional arguments of `write_report`."""
    seconds = {name: np.linspace(0.1, 0.2, len(benchmark)) for name in benchmark.proxies}
    return {"by_epoch": by_epoch, "published_seconds": seconds, "our_seconds": {"zen": seconds["zen"] / 10}}


@pytest.fixture(scope="session")
def page(
    benchmark: Benchmark,
    scores: ScoreTable,
    evaluation: dict[str, Any],
    optional_parts: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Page of a complete report. Read-only."""
    return write_report(benchmark, scores, evaluation, tmp_path_factory.mktemp("report") / "report", **optional_parts)
