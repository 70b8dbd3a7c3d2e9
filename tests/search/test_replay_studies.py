"""Replays of studies on a synthetic table; the page's tables are those of the committed runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay.studies import report
from benchmarks.replay.studies.__main__ import PAGE, RESULTS
from benchmarks.replay.studies.candidates import Candidates, SubsetDomain
from benchmarks.replay.studies.methods import BUDGET, METHODS, run_method
from ensemble import feature_table
from models import get_space

SPACE = get_space("nas-bench-graph")


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    """Candidates whose accuracy two of three sources know roughly; a tenth have proxy scores."""
    rng = np.random.default_rng(0)
    architectures = sorted({SPACE.sample(rng) for _ in range(400)}, key=lambda arch: arch.fingerprint)
    n = len(architectures)
    accuracy = rng.normal(size=n)
    sources = np.column_stack([accuracy + rng.normal(size=n), accuracy + rng.normal(size=n), rng.normal(size=n)])
    proxies = np.where(np.arange(n)[:, None] % 10 == 0, rng.normal(size=(n, 3)), np.nan)
    table = feature_table(SPACE, architectures)
    strata = table.strata.astype(float)
    return Candidates("cora", SPACE, architectures, accuracy, table.values[:, :20], sources, strata, proxies)


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_seeded_and_improve(name: str, candidates: Candidates) -> None:
    half = candidates.random_half(0)
    run = run_method(name, half, 0)
    assert run == run_method(name, half, 0)
    numbers, best = zip(*run, strict=True)
    assert list(numbers) == sorted(set(numbers))
    assert list(best) == sorted(set(best))
    assert best[-1] <= round(half.accuracy.max(), 6)


def test_sources_help_and_a_study_learns_which(candidates: Candidates) -> None:
    curves = {
        name: np.mean(
            [report._curve(run_method(name, candidates.random_half(seed), seed)) for seed in range(3)], axis=0
        )
        for name in ("random", "study with sources")
    }
    assert curves["study with sources"][19] > curves["random"][19] + 0.3


def test_halves_are_rows_of_the_table(candidates: Candidates) -> None:
    half = candidates.random_half(1)
    assert len(half) == len(candidates) // 2
    for i in (0, len(half) - 1):
        row = candidates.index[half.architectures[i]]
        assert half.accuracy[i] == candidates.accuracy[row]
        assert half.sources[i].tolist() == candidates.sources[row].tolist()
    domain, rng = SubsetDomain(SPACE, half.architectures), np.random.default_rng(0)
    assert all(domain.mutate(domain.sample(rng), rng) in half.index for _ in range(50))


def test_tables_by_hand(tmp_path: Path) -> None:
    runs = [
        {"table": "cora", "method": name, "seed": seed, "possible": 0.9, "best": best}
        for name in METHODS
        for seed, best in enumerate([[[1, 0.7], [5, 0.8]], [[1, 0.6], [2, 0.8], [60, 0.9]]])
    ]
    runs += [{"table": "cora", "method": "random", "seed": 2, "possible": 0.9, "best": [[1, 0.1]]}]
    made = report.make_tables(runs)
    assert "| cora (2 seeds) | 10.00 / 10.00 / 10.00 / 5.00 |" in made["replay of studies, regret"]
    assert "| cora | 2 | 10.00 | 5.00 | 4 | no |" in made["replay of studies, against random search"]
    report.write_figure(runs, tmp_path / "figure.svg")
    assert "study with sources" in (tmp_path / "figure.svg").read_text()
    assert BUDGET == 100


def test_the_pages_tables_are_those_of_the_committed_runs() -> None:
    page = PAGE.read_text()
    for name, table in report.make_tables(report.load_runs(RESULTS)).items():
        found = re.search(f"<!-- table: {re.escape(name)} -->\n(.*?)<!-- end -->", page, flags=re.DOTALL)
        assert found is not None
        assert found[1] == table, "run python -m benchmarks.replay.studies --show"
