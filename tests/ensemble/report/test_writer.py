from pathlib import Path
from typing import Any

import pytest

from ensemble import Benchmark, BenchmarkError, ScoreTable
from ensemble.report import write_report, writer
from models import InputError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_data_give_the_same_bytes(
    benchmark: Benchmark,
    scores: ScoreTable,
    evaluation: dict[str, Any],
    optional_parts: dict[str, Any],
    page: Path,
    tmp_path: Path,
) -> None:
    again = write_report(benchmark, scores, evaluation, tmp_path / "again", **optional_parts)
    assert contents(again.parent) == contents(page.parent)


def test_an_old_report_is_replaced(page: Path, bare: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    out.mkdir(parents=True)
    for name, content in contents(page.parent).items():
        (out / name).write_bytes(content)
    assert write_report(bare, None, {}, out) == out / "index.html"
    assert set(contents(out)) == {"index.html", "correlations.csv", "normality.csv"}
    assert [path.name for path in out.parent.iterdir()] == ["report"]


@pytest.mark.parametrize("name", ["notes.txt", "own.csv", "index.html", "report.csv"])
def test_a_folder_with_other_files_is_unchanged(bare: Benchmark, tmp_path: Path, name: str) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / name).write_text('<a href="report.csv">')
    with pytest.raises(BenchmarkError, match=name):
        write_report(bare, None, {}, out)
    assert list(contents(out)) == [name]


def test_another_file_beside_a_report_is_refused(bare: Benchmark, tmp_path: Path) -> None:
    page = write_report(bare, None, {}, tmp_path / "report")
    (page.parent / "own.csv").write_text("a\n")
    with pytest.raises(BenchmarkError, match=r"own\.csv"):
        write_report(bare, None, {}, tmp_path / "report")
    assert (page.parent / "own.csv").exists()


def test_a_file_is_no_folder(bare: Benchmark, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(InputError, match=r"out: .*folder"):
        write_report(bare, None, {}, tmp_path / "report")
    assert (tmp_path / "report").read_text() == "mine"


@pytest.mark.parametrize("method", ["write_bytes", "rename"])
@pytest.mark.parametrize("before", [False, True])
def test_a_failed_write_leaves_the_folder_unchanged(
    bare: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, before: bool
) -> None:
    out = tmp_path / "report"
    if before:
        write_report(bare, None, {}, out)
    original_contents = contents(out) if before else {}
    original, calls = getattr(Path, method), []

    def failing(path: Path, *args: Any, **kwargs: Any) -> Any:
        calls.append(path)
        # The second file, or the renaming of the new folder where a report exists.
        if len(calls) == (2 if method == "write_bytes" or before else 1):
            raise OSError("no space left")
        return original(path, *args, **kwargs)

    monkeypatch.setattr(Path, method, failing)
    with pytest.raises(OSError, match="no space"):
        write_report(bare, None, {}, out)
    assert (contents(out) if out.exists() else {}) == original_contents
    assert [path.name for path in tmp_path.iterdir()] == (["report"] if before else [])


def test_a_failing_section_leaves_nothing(bare: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("no figure")

    monkeypatch.setattr(writer, "SECTIONS", (*writer.SECTIONS[:2], broken))
    with pytest.raises(RuntimeError, match="no figure"):
        write_report(bare, None, {}, tmp_path / "report")
    assert list(tmp_path.iterdir()) == []
