"""Sections on single proxies: correlation with accuracy and with each other, normality, scatter plots."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import shapiro

from ensemble.data.benchmark import Benchmark
from ensemble.data.features import as_number
from ensemble.data.scores import PUBLISHED_LOGS
from ensemble.evaluation.metrics import Metrics, spearman
from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Folded, LegendEntry, Missing, Section, enumerated
from ensemble.report.palette import THEME
from ensemble.report.report_data import SOURCE_COLORS, ReportData
from ensemble.report.tables import Column, Table, format_number, names_column

Array = NDArray[np.float64]

NO_SCORES = Missing("There are neither published proxy scores nor a table of our own.")
METRICS = {
    "spearman": "ρ",
    "kendall": "τ",
    "partial_spearman": "partial ρ",
    "within_stratum_spearman": "within-stratum ρ",
}
LOG_PREFIX = "logarithm of "
SIGNIFICANCE_LEVEL = 0.05
MAX_EXACT_VALUES = 5000
"""Largest number of values for which scipy's p-value of the Shapiro–Wilk test is accurate."""
SOURCE_ADJECTIVES = {"ours": "own"}
MAX_NUMBERED = 14
"""Largest number of proxies whose matrix shows numbers."""


def correlations(data: ReportData) -> Section:
    """Correlation of every proxy and of the baselines with accuracy."""
    key, title = "correlations", "Correlation of each proxy with accuracy"
    if not data.proxies:
        return Section(key, title, (NO_SCORES, _correlation_table(data)))
    text = (
        "Spearman’s ρ and Kendall’s τ-b of each score with accuracy, without any fitting or change of sign. A stratum "
        f"is the set of architectures with the same {data.stratum}. Partial ρ: correlation of the ranks less their "
        "mean over the stratum. Within-stratum ρ: mean over strata of the ρ among the architectures of a stratum."
    )
    return Section(key, title, (text, _correlation_figures(data), _correlation_table(data)))


def _correlation_table(data: ReportData) -> Table:
    rows = [*data.baselines, *data.names]
    columns = [names_column("score", "score", rows)]
    for source in data.proxies or ["baselines"]:
        metrics = {**data.baselines, **data.metrics.get(source, {})}
        heading = source if data.proxies else ""
        columns += [
            Column(f"{source}_{metric}", name, _values(metrics, rows, metric), group=heading)
            for metric, name in METRICS.items()
        ]
        columns.append(Column(f"{source}_n", "n", _values(metrics, rows, "n"), "count", heading))
    note = " The baselines need no scores and are the same for both sources." if len(data.proxies) > 1 else ""
    title = f"Rank correlation with accuracy; n architectures with a score.{note}"
    return Table("correlations", title, tuple(columns))


def _values(metrics: dict[str, Metrics], rows: Sequence[str], metric: str) -> list[float | None]:
    return [metrics.get(row, {}).get(metric) for row in rows]


def _correlation_figures(data: ReportData) -> Figures:
    drawings = []
    baseline = data.baselines[data.stratum]["spearman"]
    half_width = null_half_width(data)
    for metric, axis, line, band in (
        ("spearman", "Spearman’s ρ with accuracy", baseline, None),
        ("within_stratum_spearman", "within-stratum ρ", None, (-half_width, half_width) if half_width else None),
    ):
        series = [
            figures.Series(_values(data.metrics[source], data.names, metric), SOURCE_COLORS[source], marker)
            for source, marker in zip(data.proxies, "os", strict=False)
        ]
        label = f"Dot plot: {axis} for each proxy, {enumerated(list(data.proxies))}."
        key = metric.replace("_", "-")
        drawings.append(figures.dots(key, label, data.names, series, axis, line, band))
    return Figures(_correlation_caption(data, baseline, half_width), drawings, source_legend(data))


def source_legend(data: ReportData) -> list[LegendEntry]:
    """Legend of the sources' colors."""
    return [
        LegendEntry(source, SOURCE_COLORS[source], marker) for source, marker in zip(data.proxies, "os", strict=False)
    ]


def null_half_width(data: ReportData) -> float | None:
    """Half-width of the 95 % acceptance interval of the within-stratum ρ under no association.

    ρ within a stratum of m architectures has variance 1/(m − 1). None where no stratum has more than two.
    """
    sizes = [int((data.benchmark.strata == stratum).sum()) for stratum in data.strata]
    sizes = [size for size in sizes if size > 2]
    return 1.96 * float(np.sqrt(sum(1 / (size - 1) for size in sizes))) / len(sizes) if sizes else None


def _correlation_caption(data: ReportData, baseline: float | None, half_width: float | None) -> str:
    sentences = []
    if baseline is not None:
        counts = _counts_above(data, "spearman", abs(baseline))
        sentences.append(
            f"Overall: the dashed line is the {data.stratum} alone, ρ = {format_number(baseline)}; "
            f"{counts} scores have a larger |ρ|."
        )
    if half_width is not None:
        counts = _counts_above(data, "within_stratum_spearman", half_width)
        sentences.append(
            f"Within strata: 95 % of scores unrelated to accuracy lie in the gray band, ±{format_number(half_width)}; "
            f"{counts} scores lie outside."
        )
    return " ".join(sentences)


def _counts_above(data: ReportData, metric: str, threshold: float) -> str:
    """Count the proxies of each source whose |ρ| exceeds a threshold."""
    counts = []
    for source, rows in data.metrics.items():
        count = sum(abs(row[metric] or 0.0) > threshold for row in rows.values())
        counts.append(f"{count} of {len(rows)} {SOURCE_ADJECTIVES.get(source, source)}")
    return enumerated(counts)


class Normality(NamedTuple):
    """Result of a Shapiro–Wilk test.

    Attributes:
        statistic: W; None where the test is not defined.
        p: p-value; None where the test is not defined.
        n: number of values.
    """

    statistic: float | None
    p: float | None
    n: int


def shapiro_wilk(values: Array) -> Normality:
    """Run a Shapiro–Wilk test (Shapiro and Wilk, 1965).

    Args:
        values: the sample, shape (n,); NaN is left out.
    """
    values = values[~np.isnan(values)]
    if len(values) < 3 or np.ptp(values) == 0:
        return Normality(None, None, len(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # large samples, which the page mentions
        result = shapiro(values)
    return Normality(float(result.statistic), float(result.pvalue), len(values))


def normality(data: ReportData) -> Section:
    """Shapiro–Wilk tests of accuracy and of every score."""
    tests_by_source = _tests(data)
    rows = list(dict.fromkeys(name for tests in tests_by_source.values() for name in tests))
    columns = [names_column("value", "value", rows)]
    for source, tests in tests_by_source.items():
        results = [tests.get(row) for row in rows]
        columns += [
            Column(f"{source}_w", "W", [result and result.statistic for result in results], group=source),
            Column(f"{source}_p", "p", [result and result.p for result in results], "p", source),
        ]
    accuracy = next(iter(tests_by_source.values()))["accuracy"]
    p = "no test" if accuracy.p is None else f"p = {format_number(accuracy.p, 'p')}"
    text = (
        f"The Shapiro–Wilk test rejects a normal distribution where p < {SIGNIFICANCE_LEVEL}. Accuracy: {p}. "
        f"{_rejections(tests_by_source)} Where normality is rejected, rank correlations are the ones to read."
    )
    if len(data.benchmark) > MAX_EXACT_VALUES:
        text += f" With more than {MAX_EXACT_VALUES} values, p is approximate."
    table = Table("normality", "Shapiro–Wilk test of accuracy and of every score", tuple(columns))
    return Section("normality", "Normality", (text, table))


def _rejections(tests_by_source: dict[str, dict[str, Normality]]) -> str:
    counts = []
    for source, tests in tests_by_source.items():
        # A score that is also tested as its logarithm counts once.
        logs = {LOG_PREFIX + name for name in tests}
        ps = [test.p for name, test in tests.items() if test.p is not None and name not in logs and name != "accuracy"]
        if ps:
            rejected = sum(p < SIGNIFICANCE_LEVEL for p in ps)
            counts.append(f"{rejected} of {len(ps)} {SOURCE_ADJECTIVES.get(source, source)} scores")
    return f"Rejected for {enumerated(counts)}." if counts else ""


def _tests(data: ReportData) -> dict[str, dict[str, Normality]]:
    """Run the tests, by source and name. Where the logarithm is the feature, both forms of the score are tested."""
    accuracy = {"accuracy": shapiro_wilk(data.benchmark.accuracy)}
    tests = {source: dict(accuracy) for source in data.proxies or [""]}
    for source in data.proxies:
        for name in data.names:
            column = data.column(source, name)
            if column is None:
                continue
            if name in PUBLISHED_LOGS:
                if source == "published":
                    tests[source][name] = shapiro_wilk(_published_column(data.benchmark, name))
                tests[source][LOG_PREFIX + name] = shapiro_wilk(column)
            else:
                tests[source][name] = shapiro_wilk(column)
    return tests


def _published_column(benchmark: Benchmark, proxy: str) -> Array:
    return np.array([as_number(entry.scores.get(proxy)) for entry in benchmark.entries])


def scatters(data: ReportData) -> Section:
    """Scatter plots of every proxy and accuracy, colored by stratum."""
    key, title = "scatter", "Scores and accuracy"
    if not data.proxies:
        return Section(key, title, (NO_SCORES,))
    groups = [(data.stratum_color(stratum), data.benchmark.strata == stratum) for stratum in data.strata]
    drawings = []
    for name in data.names:
        panels = []
        for source in data.proxies:
            column = data.column(source, name)
            rho = data.metrics[source].get(name, {}).get("spearman")
            panels.append(
                (f"{source}, ρ = {format_number(rho)}" if rho is not None else source, min_max_scaled(column))
            )
        label = f"Scatter plot of accuracy against normalized {name}, {enumerated([panel for panel, _ in panels])}."
        axis = f"{'log ' if name in PUBLISHED_LOGS else ''}{name}, normalized"
        drawings.append(figures.scatter(f"scatter-{name}", label, panels, data.benchmark.accuracy, groups, axis))
    caption = (
        "Accuracy against each score, min–max normalized; one dot per architecture, "
        f"{enumerated(data.strata_sizes)}. Where the colors are separate but each is flat, the score distinguishes "
        "strata and nothing else. A few large outliers compress the other scores to one side, which does "
        "not affect rank correlations."
    )
    return Section(key, title, (Figures(caption, drawings, data.strata_legend),))


def min_max_scaled(column: Array | None) -> Array | None:
    """Scale to [0, 1] by the smallest and the largest value; None without two distinct values."""
    if column is None or np.isnan(column).all() or np.nanmax(column) == np.nanmin(column):
        return None
    low, high = np.nanmin(column), np.nanmax(column)
    return np.asarray((column - low) / (high - low))


def matrices(data: ReportData) -> Section:
    """Spearman's ρ between proxies."""
    key, title = "matrix", "Correlation between proxies"
    if not data.proxies:
        return Section(key, title, (NO_SCORES,))
    drawings, tables, means = [], [], []
    for source in data.proxies:
        names = [name for name in data.names if data.column(source, name) is not None]
        values = correlation_matrix(data, source, names)
        label = f"Matrix of Spearman’s ρ between the {len(names)} proxies, {source}."
        drawings.append(figures.matrix(f"matrix-{source}", label, source, names, values, len(names) <= MAX_NUMBERED))
        columns = [names_column("proxy", "proxy", names)]
        columns += [Column(name, name, _without_nan(values[:, i])) for i, name in enumerate(names)]
        tables.append(Table(f"matrix_{source}", f"Spearman’s ρ between proxies, {source}", tuple(columns)))
        magnitudes = np.abs(values[np.triu_indices(len(names), k=1)])
        if len(magnitudes) and not np.isnan(magnitudes).all():
            means.append(f"{format_number(float(np.nanmean(magnitudes)))} {source}")
    encoding = "in hundredths" if len(data.names) <= MAX_NUMBERED else "color intensity shows |ρ|"
    caption = f"Spearman’s ρ between two proxies, {encoding}."
    if means:
        caption += f" Mean |ρ|: {enumerated(means)}. The closer to 1, the less the proxies complement each other."
    legend = [LegendEntry("positive", THEME.positive, "s"), LegendEntry("negative", THEME.negative, "s")]
    blocks: tuple[Block, ...] = (Figures(caption, drawings, legend), Folded("The matrices as tables", tables))
    return Section(key, title, blocks)


def correlation_matrix(data: ReportData, source: str, names: Sequence[str]) -> Array:
    """Spearman's ρ between proxies over the architectures with both scores.

    Args:
        data: input of the report.
        source: source of the scores.
        names: names of k proxies.

    Returns:
        Correlations, shape (k, k); NaN where not defined.
    """
    columns = [data.column(source, name) for name in names]
    values = np.full((len(names), len(names)), np.nan)
    for i, left in enumerate(columns):
        for j, right in enumerate(columns[: i + 1]):
            if left is not None and right is not None:
                both = ~np.isnan(left) & ~np.isnan(right)
                rho = spearman(left[both], right[both])
                values[i, j] = values[j, i] = np.nan if rho is None else rho
    return values


def _without_nan(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
