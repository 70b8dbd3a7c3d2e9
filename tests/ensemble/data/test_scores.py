from pathlib import Path
from typing import Any

import pytest

from ensemble import (
    Benchmark,
    BenchmarkError,
    Ensemble,
    Entry,
    ScoreTable,
    append_scores,
    drop_partial_row,
    evaluate,
    load_scores,
    score_feature,
    start_scores,
)
from models import get_space

HEADER = {"space": "gcn-nas", "settings": {}, "seed": 0, "proxies": {"zen": "1", "synflow": "2"}}


def row(fingerprint: str) -> dict[str, Any]:
    ok = {"status": "ok", "seconds": 0.1, "error": None}
    scores = {"zen": {"value": 1.5, "log": None, **ok}, "synflow": {"value": 1e30, "log": 69.0, **ok}}
    return {"fingerprint": fingerprint, "architecture": {}, "scores": scores}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scores.jsonl"
    start_scores(path, HEADER)
    append_scores(path, row("a"))
    append_scores(path, row("b"))
    return path


def test_rows_read_back(path: Path) -> None:
    table = load_scores(path)
    assert table.header == HEADER
    assert table.proxies == ("zen", "synflow")
    assert table.features == {key: {"zen": 1.5, "synflow": 69.0} for key in "ab"}
    assert not table.truncated


def test_an_interrupted_writer_can_resume(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"fingerprint": "c", "sco')
    table = load_scores(path)
    assert table.truncated
    assert set(table.features) == {"a", "b"}
    drop_partial_row(path)
    append_scores(path, row("c"))
    assert set(load_scores(path).features) == {"a", "b", "c"}


def test_a_last_row_without_line_end_is_complete(path: Path) -> None:
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    table = load_scores(path)
    assert not table.truncated
    assert set(table.features) == {"a", "b"}
    drop_partial_row(path)
    append_scores(path, row("c"))
    assert set(load_scores(path).features) == {"a", "b", "c"}


def test_a_truncated_row_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(path.read_bytes()[:-10])
    assert set(load_scores(path).features) == {"a"}
    assert "truncated last row skipped" in caplog.text


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ({"space": "gcn-nas", "settings": {}}, "proxies"),
        ({"settings": {}, "proxies": {}}, "space"),
        ({**HEADER, "settings": [1]}, "settings"),
        ({**HEADER, "batch": {"source": "moon"}}, "batch.source"),
        ({**HEADER, "proxies": {"zen": 1}}, "proxies.zen"),
    ],
)
def test_a_header_needs_its_fields(tmp_path: Path, header: dict[str, Any], field: str) -> None:
    start_scores(tmp_path / "t.jsonl", header)
    with pytest.raises(BenchmarkError) as caught:
        load_scores(tmp_path / "t.jsonl")
    assert caught.value.field == f"t.jsonl line 1, {field}"


@pytest.mark.parametrize("share", [0.0, 0.4, 0.6])
def test_scores_have_to_cover_half_of_the_benchmark(benchmark: Benchmark, share: float) -> None:
    names = [arch.fingerprint for arch in benchmark.architectures]
    part = names[: round(share * len(names))]
    table = ScoreTable(HEADER, {name: {"zen": 1.0, "synflow": 2.0} for name in part})
    if share > 0.5:
        assert table.leave_out_sparse_proxies(benchmark).proxies == ("zen", "synflow")
    else:
        with pytest.raises(BenchmarkError, match=f"scores of {len(part)} of the {len(names)} architectures"):
            table.leave_out_sparse_proxies(benchmark)


@pytest.mark.parametrize(("trained", "scored"), [("cifar100", "cifar10"), ("cifar10", "cifar10")])
def test_scores_are_of_the_networks_of_the_benchmark(trained: str, scored: str) -> None:
    space = get_space("nas-bench-201", dataset=trained)
    entries = [Entry(space.parse({"index": i}), 0.5 + i / 100) for i in range(20)]
    benchmark = Benchmark("cells", space, tuple(entries))
    header = HEADER | {"space": "nas-bench-201", "settings": {"dataset": scored}, "proxies": {"params": "1"}}
    rows: dict[str, dict[str, float | None]] = {
        arch.fingerprint: {"params": float(i)} for i, arch in enumerate(benchmark.architectures)
    }
    table = ScoreTable(header, rows)
    assert table.covers(benchmark) == (trained == scored)
    if trained == scored:
        assert table.leave_out_sparse_proxies(benchmark).proxies == ("params",)
        return
    with pytest.raises(BenchmarkError, match=f"scores: got .*{scored}.*; allowed: scores of the .*{trained}"):
        evaluate(benchmark, table)
    with pytest.raises(BenchmarkError, match=f"scores: got .*{scored}.*; allowed: scores of the .*{trained}"):
        Ensemble.fit(benchmark, table)


def test_half_of_the_benchmark_has_to_have_every_score(benchmark: Benchmark) -> None:
    names = [arch.fingerprint for arch in benchmark.architectures]
    half = (len(names) + 1) // 2  # the halves have at most one architecture in common
    rows: dict[str, dict[str, float | None]] = {name: {} for name in names}
    for proxy, chosen in (("zen", names[:half]), ("synflow", names[-half:])):
        for name in chosen:
            rows[name][proxy] = 1.0
    with pytest.raises(BenchmarkError, match=f"scores of [01] of the {len(names)} architectures"):
        ScoreTable(HEADER, rows).leave_out_sparse_proxies(benchmark)


@pytest.mark.parametrize(
    ("score", "feature"),
    [
        ({"value": 2.0, "log": None, "status": "ok"}, 2.0),
        ({"value": None, "log": 300.0, "status": "ok"}, 300.0),
        ({"value": 2.0, "log": None, "status": "failed"}, None),
        ({"value": float("inf"), "log": None, "status": "ok"}, None),
        ({"value": None, "log": None, "status": "ok"}, None),
        ({"value": 10**400, "log": None, "status": "ok"}, None),
    ],
)
def test_feature_of_a_score(score: dict[str, Any], feature: float | None) -> None:
    assert score_feature(score) == feature


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (b"{oops\n", "line 4"),
        (b"[]\n", "line 4, scores"),
        (b'{"fingerprint": "a", "scores": {}}\n', "line 4, fingerprint"),
        (b'{"scores": {}}\n', "line 4, fingerprint"),
        (b'{"fingerprint": "c", "fingerprint": "d", "scores": {}}\n', "line 4"),
        (b"[" * 100_000 + b"\n", "line 4"),
        (b'{"fingerprint": "c", "scores": {"zen": {"value": "high"}}}\n', "line 4, scores.zen"),
        (b'{"fingerprint": "c", "scores": {"zen": 1}}\n', "line 4, scores.zen"),
    ],
)
def test_malformed_rows_name_their_line(path: Path, line: bytes, place: str) -> None:
    with path.open("ab") as file:
        file.write(line)
    with pytest.raises(BenchmarkError) as caught:
        load_scores(path)
    assert caught.value.field == f"scores.jsonl {place}"


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="an existing file"):
        load_scores(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(BenchmarkError, match="header"):
        load_scores(tmp_path / "empty.jsonl")


def test_published_scores_as_a_table(benchmark: Benchmark) -> None:
    table = ScoreTable.from_published(benchmark)
    assert table.proxies == ("grasp", "noise", "nwot", "zen")
    assert len(table.features) == len(benchmark)
