"""Report writer: one HTML page and a CSV file for each table, in one folder."""

import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.atomic_files import check_new_folder, write_folder
from ensemble.data.benchmark import Benchmark
from ensemble.data.scores import ScoreTable
from ensemble.errors import BenchmarkError
from ensemble.evaluation.protocol import check_size
from ensemble.report import calibration, combiners, costs, proxies, voting, warmup
from ensemble.report.blocks import Section, enumerated
from ensemble.report.page import GENERATOR, page
from ensemble.report.report_data import ReportData
from ensemble.report.tables import format_number, mean_and_std

Array = NDArray[np.float64]
PAGE = "index.html"
SECTIONS = (
    proxies.correlations,
    proxies.normality,
    proxies.scatters,
    proxies.matrices,
    voting.votes,
    warmup.epochs,
    costs.proxy_seconds,
    combiners.within_stratum,
    combiners.cross_validated,
    combiners.learning,
    calibration.uncertainty,
    costs.training_time,
    calibration.checks,
)


def write_report(
    benchmark: Benchmark,
    scores: ScoreTable | None,
    evaluation: Mapping[str, Any],
    out: str | Path,
    *,
    by_epoch: Mapping[int, Benchmark] | None = None,
    published_seconds: Mapping[str, Array] | None = None,
    our_seconds: Mapping[str, Array] | None = None,
) -> Path:
    """Write the report on a benchmark. The same data give the same bytes.

    Sections without data contain a notice.

    Args:
        benchmark: trained architectures, with or without published scores.
        scores: our proxy scores.
        evaluation: result of `evaluate` on this benchmark.
        out: folder to write. An existing report is replaced.
        by_epoch: published scores by training epoch, from `load_epochs`.
        published_seconds: published scoring times, from `published_seconds`.
        our_seconds: our scoring times, from `score_seconds`.

    Returns:
        Path of the page.

    Raises:
        BenchmarkError: the benchmark is too small, the parts belong to different data, or `out` contains other files
            than a report.
        InputError: `out` cannot be written.
    """
    out = Path(out)
    check_size(benchmark)
    check_report_folder(out)
    seconds = {"published": published_seconds or {}, "ours": our_seconds or {}}
    data = ReportData.from_parts(benchmark, scores, evaluation, by_epoch or {}, seconds)
    sections = [section(data) for section in SECTIONS]
    title = f"Zero-cost proxies and their combinations on {benchmark.name}"
    files = {PAGE: page(title, _facts(data), _summary(data), sections), **_csv_files(sections)}
    write_folder(out, {name: text.encode() for name, text in files.items()})
    return out / PAGE


def _csv_files(sections: list[Section]) -> dict[str, str]:
    return {table.file: table.csv() for section in sections for table in section.tables}


def _facts(data: ReportData) -> list[tuple[str, str]]:
    benchmark, accuracy = data.benchmark, 100 * data.benchmark.accuracy
    facts = [
        ("Architectures", f"{len(benchmark)} of {benchmark.space.name}: {enumerated(data.strata_sizes)}"),
        ("Accuracy", f"{accuracy.min():.2f} to {accuracy.max():.2f} %, median {np.median(accuracy):.2f} %"),
    ]
    method = data.evaluation.get("method", {})
    if {"repeats", "folds", "seed"} <= method.keys():
        facts.append(("Evaluation", f"{method['repeats']} × {method['folds']}-fold, seed {method['seed']}"))
    facts.append(("Data hash", benchmark.data_hash[:16]))
    facts.append(("Versions", _versions(data.evaluation)))
    return facts


def _versions(evaluation: Mapping[str, Any]) -> str:
    """List the versions of libraries, those of the evaluation where it contains them."""
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in ("numpy", "scipy", "matplotlib")}
    with suppress(PackageNotFoundError):
        versions = {"archrank": version("archrank"), **versions}
    versions.update(evaluation.get("versions", {}))
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _summary(data: ReportData) -> list[str]:
    """Summarize the main results in a few sentences."""
    sentences = []
    baseline = data.baselines[data.stratum]["spearman"]
    if baseline is not None:
        sentences.append(f"The {data.stratum} alone has ρ = {format_number(baseline)} with accuracy.")
    for source, rows in data.metrics.items():
        parts = []
        for metric, name in (("spearman", "overall"), ("within_stratum_spearman", "within strata")):
            defined = {proxy: row[metric] or 0.0 for proxy, row in rows.items() if row.get(metric) is not None}
            if defined:
                best = max(defined, key=lambda proxy: abs(defined[proxy]))
                parts.append(f"{best} {name} ({format_number(defined[best])})")
        if parts:
            sentences.append(f"Largest |ρ| of a single proxy, {source}: {enumerated(parts)}.")
    fitted = combiners.fitted_models(data.evaluation)
    if data.evaluation.get("combiners"):
        name, row = next(iter(fitted.items()))
        rho, within = (mean_and_std(row.get(metric))[0] for metric in ("spearman", "within_stratum_spearman"))
        if rho is not None and within is not None:
            values = f"{format_number(rho)} overall and {format_number(within)} within strata"
            sentences.append(f"Largest cross-validated ρ of a combiner: {name}, {values}.")
    return sentences


def check_report_folder(out: Path) -> None:
    """Check that a report can be written to a folder.

    Args:
        out: the folder: a new one, an empty one, or one that contains a report and nothing else.

    Raises:
        BenchmarkError: the folder contains other files.
        InputError: the folder cannot be written.
    """
    check_new_folder(out)
    if not out.exists():
        return
    allowed = "a new folder, an empty one, or one that contains a report and nothing else"
    names = {path.name for path in out.iterdir()}
    report_files = _report_files(out / PAGE) if PAGE in names else set()
    for name in sorted(names - report_files):
        raise BenchmarkError("out", f"{out.name}/{name}", allowed)


def _report_files(path: Path) -> set[str]:
    """Return the names of a report's page and of the tables that it links; empty for any other page."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if f'name="generator" content="{GENERATOR}"' not in text:
        return set()
    return {path.name, *re.findall(r'href="([^"/#]+\.csv)"', text)}
