"""The study's tables and figures, from the published scores and from ours side by side."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import shapiro

from ensemble.data.benchmark import Benchmark
from ensemble.data.features import as_number
from ensemble.data.scores import PUBLISHED_LOGS
from ensemble.evaluation.metrics import Metrics, rank_correlation
from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Folded, Key, Missing, Section, listed
from ensemble.report.material import LAYERS, SOURCES, Material
from ensemble.report.palette import THEME
from ensemble.report.tables import Column, Table, names_column, written

Array = NDArray[np.float64]

NO_SCORES = Missing("There are neither published scores nor a table of our own.")
MEASURES = {
    "spearman": "ρ",
    "kendall": "τ",
    "partial": "ρ given depth",
    "within_depth": "ρ within depth",
}
LOGARITHM = "logarithm of "
LEVEL = 0.05
"""Significance level of the normality test."""
EXACT = 5000
"""Up to so many values scipy vouches for the p-value."""
OWN = {"ours": "own"}
"""Sources as adjectives."""
NUMBERED = 14
"""Up to so many proxies have room for their numbers in the figure of the matrix."""


def correlations(material: Material) -> Section:
    """Every proxy and the baselines against accuracy."""
    key, title = "correlations", "Correlation of each proxy with accuracy"
    if not material.proxies:
        return Section(key, title, (NO_SCORES, _correlation_table(material)))
    text = (
        "Spearman’s ρ and Kendall’s τ-b of each score with accuracy, as the score is: nothing is fitted, and no sign "
        "is turned. Depth is the number of layers. “Given depth” correlates the ranks less their mean at each depth; "
        "“within depth” is the mean of the ρ among architectures of one depth."
    )
    return Section(key, title, (text, _correlation_figures(material), _correlation_table(material)))


def _correlation_table(material: Material) -> Table:
    rows = [*material.baselines, *material.names]
    columns = [names_column("score", "score", rows)]
    for source in material.proxies or ["baselines"]:
        measures = {**material.baselines, **material.measures.get(source, {})}
        heading = source if material.proxies else ""
        columns += [
            Column(f"{source}_{measure}", name, _measured(measures, rows, measure), group=heading)
            for measure, name in MEASURES.items()
        ]
        columns.append(Column(f"{source}_n", "N", _measured(measures, rows, "predicted"), "count", heading))
    about = " The baselines need no scores, and stand on both sides." if len(material.proxies) > 1 else ""
    title = f"Rank correlation with accuracy; N architectures have a score.{about}"
    return Table("correlations", title, tuple(columns))


def _measured(measures: dict[str, Metrics], rows: Sequence[str], key: str) -> list[float | None]:
    return [measures.get(row, {}).get(key) for row in rows]


def _correlation_figures(material: Material) -> Figures:
    drawings = []
    layers = material.baselines[LAYERS]["spearman"]
    spread = unrelated(material)
    for measure, axis, line, band in (
        ("spearman", "Spearman’s ρ with accuracy", layers, None),
        ("within_depth", "mean ρ within depth", None, (-spread, spread) if spread else None),
    ):
        series = [
            figures.Series(_measured(material.measures[source], material.names, measure), SOURCES[source], mark)
            for source, mark in zip(material.proxies, "os", strict=False)
        ]
        label = f"Dot plot: {axis} for each proxy, {listed(list(material.proxies))}."
        drawings.append(figures.dots(f"rho-{measure}", label, material.names, series, axis, line, band))
    return Figures(_correlation_caption(material, layers, spread), drawings, source_legend(material))


def source_legend(material: Material) -> list[Key]:
    """What the colours of the sources mean."""
    return [Key(source, SOURCES[source], mark) for source, mark in zip(material.proxies, "os", strict=False)]


def unrelated(material: Material) -> float | None:
    """Half the width of the band that the mean within-depth ρ of a score without relation falls into at 95 %."""
    sizes = [int((material.benchmark.depths == depth).sum()) for depth in material.depths]
    usable = [size for size in sizes if size > 2]
    return 1.96 * float(np.sqrt(sum(1 / (size - 1) for size in usable))) / len(usable) if usable else None


def _correlation_caption(material: Material, layers: float | None, spread: float | None) -> str:
    said = []
    if layers is not None:
        counts = _counted(material, "spearman", abs(layers))
        said.append(
            f"Overall: the dashed line is the number of layers alone, ρ = {written(layers)}; "
            f"{counts} scores have a larger |ρ|."
        )
    if spread is not None:
        counts = _counted(material, "within_depth", spread)
        said.append(
            f"Within depth: scores unrelated to accuracy would fall into the grey band, ±{written(spread)}, 95 times "
            f"of 100; {counts} scores lie outside."
        )
    return " ".join(said)


def _counted(material: Material, measure: str, limit: float) -> str:
    """How many proxies of each source have a larger |ρ|."""
    said = []
    for source, rows in material.measures.items():
        larger = sum(abs(row[measure] or 0.0) > limit for row in rows.values())
        said.append(f"{larger} of {len(rows)} {OWN.get(source, source)}")
    return listed(said)


class Normality(NamedTuple):
    """A Shapiro–Wilk test: its statistic and p-value, None where it is not defined, and the number of values."""

    statistic: float | None
    p: float | None
    values: int


def shapiro_wilk(values: Array) -> Normality:
    """The test of the values that are numbers."""
    values = values[~np.isnan(values)]
    if len(values) < 3 or np.ptp(values) == 0:
        return Normality(None, None, len(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about many values: the page says it
        result = shapiro(values)
    return Normality(float(result.statistic), float(result.pvalue), len(values))


def normality(material: Material) -> Section:
    """Shapiro–Wilk tests of accuracy and of every score."""
    tested = _tests(material)
    rows = list(dict.fromkeys(name for tests in tested.values() for name in tests))
    columns = [names_column("value", "value", rows)]
    for source, tests in tested.items():
        results = [tests.get(row) for row in rows]
        columns += [
            Column(f"{source}_w", "W", [r and r.statistic for r in results], group=source),
            Column(f"{source}_p", "p", [r and r.p for r in results], "p", source),
        ]
    accuracy = next(iter(tested.values()))["accuracy"]
    text = (
        f"The Shapiro–Wilk test asks whether values come from a normal distribution; p < {LEVEL} says no. "
        f"Accuracy: {_p(accuracy.p)}. {_rejected(tested)} Where normality is rejected, rank correlations are the ones "
        "to read."
    )
    if len(material.benchmark) > EXACT:
        text += f" With more than {EXACT} values, p is approximate."
    table = Table("normality", "Shapiro–Wilk test of accuracy and of every score", tuple(columns))
    return Section("normality", "Normality", (text, table))


def _p(p: float | None) -> str:
    return "no test" if p is None else f"p = {written(p, 'p')}"


def _rejected(tested: dict[str, dict[str, Normality]]) -> str:
    counts = []
    for source, tests in tested.items():
        # A score that is also tested as its logarithm counts once.
        logs = {LOGARITHM + name for name in tests}
        ps = [test.p for name, test in tests.items() if test.p is not None and name not in logs and name != "accuracy"]
        if ps:
            counts.append(f"{sum(p < LEVEL for p in ps)} of {len(ps)} {OWN.get(source, source)} scores")
    return f"Rejected for {listed(counts)}." if counts else ""


def _tests(material: Material) -> dict[str, dict[str, Normality]]:
    """By source and name. A score whose logarithm models use is tested as it was published, and as its logarithm."""
    accuracy = {"accuracy": shapiro_wilk(material.benchmark.accuracy)}
    tested = {source: dict(accuracy) for source in material.proxies or [""]}
    for source in material.proxies:
        for name in material.names:
            column = material.column(source, name)
            if column is None:
                continue
            if name in PUBLISHED_LOGS:
                if source == "published":
                    tested[source][name] = shapiro_wilk(_as_published(material.benchmark, name))
                tested[source][LOGARITHM + name] = shapiro_wilk(column)
            else:
                tested[source][name] = shapiro_wilk(column)
    return tested


def _as_published(benchmark: Benchmark, proxy: str) -> Array:
    return np.array([as_number(entry.scores.get(proxy)) for entry in benchmark.entries])


def scatters(material: Material) -> Section:
    """Every proxy against accuracy, coloured by depth."""
    key, title = "scatter", "Scores against accuracy"
    if not material.proxies:
        return Section(key, title, (NO_SCORES,))
    groups = [(material.depth_colour(depth), material.benchmark.depths == depth) for depth in material.depths]
    drawings = []
    for name in material.names:
        panels = []
        for source in material.proxies:
            column = material.column(source, name)
            rho = material.measures[source].get(name, {}).get("spearman")
            panels.append((f"{source}, ρ = {written(rho)}" if rho is not None else source, normalised(column)))
        label = f"Scatter plot of accuracy against normalised {name}, {listed([panel for panel, _ in panels])}."
        axis = f"{'log ' if name in PUBLISHED_LOGS else ''}{name}, normalised"
        drawings.append(figures.scatter(f"scatter-{name}", label, panels, material.benchmark.accuracy, groups, axis))
    sizes = [f"{int(rows.sum())} of {depth}" for depth, (_, rows) in zip(material.depths, groups, strict=True)]
    caption = (
        f"Accuracy against each score, scaled to 0…1 by its smallest and largest value; one dot an architecture, "
        f"{listed(sizes)} layers. Where the colours lie side by side but each is flat, a score tells depths apart and "
        "nothing more. Scores with few large outliers crowd at one side: rank correlation does not mind."
    )
    legend = [Key(f"{depth} layers", material.depth_colour(depth)) for depth in material.depths]
    return Section(key, title, (Figures(caption, drawings, legend),))


def normalised(column: Array | None) -> Array | None:
    """Scaled to 0…1 by the smallest and the largest value; None where there are not two different ones."""
    if column is None or np.isnan(column).all() or np.nanmax(column) == np.nanmin(column):
        return None
    low, high = np.nanmin(column), np.nanmax(column)
    return np.asarray((column - low) / (high - low))


def matrices(material: Material) -> Section:
    """Spearman's ρ between the proxies."""
    key, title = "matrix", "Correlation between proxies"
    if not material.proxies:
        return Section(key, title, (NO_SCORES,))
    drawings, tables, said = [], [], []
    for source in material.proxies:
        names = [name for name in material.names if material.column(source, name) is not None]
        values = correlation_matrix(material, source, names)
        label = f"Matrix of Spearman’s ρ between the {len(names)} proxies, {source}."
        drawings.append(figures.matrix(f"matrix-{source}", label, source, names, values, len(names) <= NUMBERED))
        columns = [names_column("proxy", "proxy", names)]
        columns += [Column(name, name, _numbers(values[:, i])) for i, name in enumerate(names)]
        tables.append(Table(f"matrix_{source}", f"Spearman’s ρ between proxies, {source}", tuple(columns)))
        size = np.abs(values[np.triu_indices(len(names), k=1)])
        if len(size) and not np.isnan(size).all():
            share = float(np.nanmean(size))
            said.append(f"{written(share)} {source}")
    numbers = "in hundredths" if len(material.names) <= NUMBERED else "the stronger the colour, the larger |ρ|"
    caption = f"Spearman’s ρ between two proxies, {numbers}. " + (
        f"Mean |ρ|: {listed(said)}. The nearer to 1, the less proxies have to add to each other." if said else ""
    )
    legend = [Key("positive", THEME.positive, "s"), Key("negative", THEME.negative, "s")]
    blocks: tuple[Block, ...] = (Figures(caption, drawings, legend), Folded("The matrices as tables", tables))
    return Section(key, title, blocks)


def correlation_matrix(material: Material, source: str, names: Sequence[str]) -> Array:
    """Spearman's ρ between every two proxies over the architectures that have both scores; NaN where not defined."""
    columns = [material.column(source, name) for name in names]
    values = np.full((len(names), len(names)), np.nan)
    for i, left in enumerate(columns):
        for j, right in enumerate(columns[: i + 1]):
            if left is not None and right is not None:
                both = ~np.isnan(left) & ~np.isnan(right)
                rho = rank_correlation(left[both], right[both])
                values[i, j] = values[j, i] = np.nan if rho is None else rho
    return values


def _numbers(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
