"""A whole report: one page and a CSV file for every table, in a folder that is there in full or not at all."""

import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.benchmark import Benchmark
from ensemble.data.files import check_new_folder, write_folder
from ensemble.data.scores import ScoreTable
from ensemble.errors import BenchmarkError
from ensemble.evaluation.evaluate import require_rows
from ensemble.report import costs, evaluated, study, uncertainty, voting, warmup
from ensemble.report.blocks import Section, listed
from ensemble.report.material import LAYERS, Material
from ensemble.report.page import GENERATOR, page
from ensemble.report.tables import mean_and_sd, written

Array = NDArray[np.float64]
PAGE = "index.html"
SECTIONS = (
    study.correlations,
    study.normality,
    study.scatters,
    study.matrices,
    voting.votes,
    warmup.epochs,
    costs.proxy_seconds,
    evaluated.within_depth,
    evaluated.cross_validated,
    evaluated.learning,
    uncertainty.uncertainty,
    costs.energy,
    uncertainty.checks,
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
    """Write a page with tables and figures, and every table as CSV. The same data give the same bytes.

    What there are no data for is left out, and the page says so.

    Args:
        benchmark: trained architectures, with published scores or without.
        scores: our own.
        evaluation: the report of `evaluate` on this benchmark, as plain data.
        out: folder to write; a report that is there already is replaced.
        by_epoch: published scores over training epochs, from `load_epochs`.
        published_seconds: from `published_seconds`.
        our_seconds: from `score_seconds`.

    Returns:
        The path of the page.

    Raises:
        BenchmarkError: the benchmark is too small, or the parts are about different data.
        InputError: `out` holds something else than a report.
    """
    out = Path(out)
    require_rows(benchmark)
    check_report_folder(out)
    seconds = {"published": published_seconds or {}, "ours": our_seconds or {}}
    material = Material.of(benchmark, scores, evaluation, by_epoch or {}, seconds)
    sections = [section(material) for section in SECTIONS]
    title = f"Zero-cost proxies and their combinations on {benchmark.name}"
    files = {PAGE: page(title, _facts(material), _summary(material), sections), **_csv_files(sections)}
    write_folder(out, {name: text.encode() for name, text in files.items()})
    return out / PAGE


def _csv_files(sections: list[Section]) -> dict[str, str]:
    return {table.file: table.csv() for section in sections for table in section.tables}


def _facts(material: Material) -> list[tuple[str, str]]:
    benchmark, accuracy = material.benchmark, 100 * material.benchmark.accuracy
    counts = [f"{int((benchmark.depths == depth).sum())} with {depth} layers" for depth in material.depths]
    facts = [
        ("Architectures", f"{len(benchmark)} of {benchmark.space.name}: {listed(counts)}"),
        ("Accuracy", f"{accuracy.min():.2f} to {accuracy.max():.2f} %, median {np.median(accuracy):.2f} %"),
    ]
    method = material.evaluation.get("method", {})
    if {"repeats", "folds", "seed"} <= method.keys():
        facts.append(("Evaluation", f"{method['repeats']} × {method['folds']}-fold, seed {method['seed']}"))
    facts.append(("Data hash", benchmark.data_hash[:16]))
    facts.append(("Versions", _versions(material.evaluation)))
    return facts


def _versions(evaluation: Mapping[str, Any]) -> str:
    """Of the evaluation where it says them; of this process, of what computes the rest."""
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in ("numpy", "scipy", "matplotlib")}
    with suppress(PackageNotFoundError):
        versions = {"archrank": version("archrank"), **versions}
    versions.update(evaluation.get("versions", {}))
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _summary(material: Material) -> list[str]:
    """What the whole report comes to, in a few sentences."""
    sentences = []
    layers = material.baselines[LAYERS]["spearman"]
    if layers is not None:
        sentences.append(f"The number of layers alone orders the architectures with ρ = {written(layers)}.")
    for source, rows in material.measures.items():
        parts = []
        for measure, name in (("spearman", "overall"), ("within_depth", "within depth")):
            known = {proxy: row[measure] or 0.0 for proxy, row in rows.items() if row.get(measure) is not None}
            if known:
                best = max(known, key=lambda proxy: abs(known[proxy]))
                parts.append(f"{best} {name} ({written(known[best])})")
        if parts:
            sentences.append(f"Largest |ρ| of a single proxy, {source}: {listed(parts)}.")
    fitted = evaluated.combined(material.evaluation)
    if material.evaluation.get("combiners"):
        name, row = next(iter(fitted.items()))
        rho, within = (mean_and_sd(row.get(measure))[0] for measure in ("spearman", "within_depth"))
        if rho is not None and within is not None:
            reached = f"{written(rho)} overall and {written(within)} within depth"
            sentences.append(f"Largest cross-validated ρ of a combiner: {name}, {reached}.")
    return sentences


def check_report_folder(out: Path) -> None:
    """Raise `InputError` unless `out` can be made, is empty, or holds a report and nothing else."""
    check_new_folder(out)
    if not out.exists():
        return
    allowed = "a new folder, an empty one, or one that holds a report and nothing else"
    there = {path.name for path in out.iterdir()}
    ours = _files_of_page(out / PAGE) if PAGE in there else set()
    for name in sorted(there - ours):
        raise BenchmarkError("out", f"{out.name}/{name}", allowed)


def _files_of_page(path: Path) -> set[str]:
    """The page and the tables that it links, if it is one of ours."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if f'name="generator" content="{GENERATOR}"' not in text:
        return set()
    return {path.name, *re.findall(r'href="([^"/#]+\.csv)"', text)}
