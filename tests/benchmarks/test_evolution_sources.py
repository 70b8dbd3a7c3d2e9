"""Scores of cells that the evolution's CSV has are not computed again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evolution import sources
from ensemble import Benchmark, Entry
from models import get_space
from service.cli.score_benchmark import score_benchmark

SPACE: Any = get_space("nas-bench-201", dataset="cifar10")


def test_only_missing_scores_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Sequence[str]] = []

    def record(benchmark: Path, out: Path, *, proxies: Sequence[str], **options: Any) -> int:
        computed.append(proxies)
        return score_benchmark(benchmark, out, proxies=proxies, **options)

    monkeypatch.setattr(sources, "WORK", tmp_path / "work")
    monkeypatch.setattr(sources, "score_benchmark", record)
    path = tmp_path / "scores.csv"
    path.write_text("digits,flops\n444444,1.5\n020200,2.5\n")
    architectures = [SPACE.parse({"digits": digits}) for digits in ("444444", "020200")]
    cells = Benchmark("cells", SPACE, tuple(Entry(each, 0.5) for each in architectures))
    sources._score_missing(cells, ["flops"], path, 1)
    assert not computed
    sources._score_missing(cells, ["params", "flops"], path, 1)
    assert computed == [["params"]]
    table = sources._read(path, SPACE, "digits")
    assert [table.features[each.fingerprint]["flops"] for each in architectures] == [1.5, 2.5]
    assert table.proxies == ("flops", "params")
    more = Benchmark("more", SPACE, (*cells.entries, Entry(SPACE.parse({"digits": "300000"}), 0.5)))
    sources._score_missing(more, ["flops"], path, 1)
    assert computed[-1] == ["flops"]
    assert sources._read(path, SPACE, "digits").covers(more)
