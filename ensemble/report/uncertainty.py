"""Whether stated probabilities and intervals hold, and how far the numbers can be trusted."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Folded, Key, Missing, Section
from ensemble.report.evaluated import BASELINES, in_order
from ensemble.report.material import Material
from ensemble.report.palette import THEME
from ensemble.report.study import unrelated
from ensemble.report.tables import Column, Style, Table, mean_and_sd, names_column, summary_column, written

Rows = Mapping[str, Mapping[str, Any]]
Scoped = Mapping[str, Rows]
SCOPES = {"all": "all pairs", "within_depth": "pairs of one depth"}


def uncertainty(material: Material) -> Section:
    """Pairwise probabilities and intervals against what happened."""
    blocks = [*_pairs(material), *_intervals(material)]
    return Section("uncertainty", "Probabilities and intervals", tuple(blocks))


def _pairs(material: Material) -> Iterator[Block]:
    combiners: Scoped = in_order(material.evaluation, material.evaluation.get("pairs", {}).get("combiners", {}))
    if not combiners:
        yield Missing("The evaluation holds no pairwise probabilities.")
        return
    scopes = [scope for scope in SCOPES if any(scope in row for row in combiners.values())]
    drawn = sorted(combiners, key=lambda name: _brier(combiners[name], scopes[0]))[: len(THEME.series)]
    drawings = []
    for scope in scopes:
        series = []
        for i, name in enumerate(drawn):
            bins = combiners[name].get(scope, {}).get("reliability", [])
            colour, marker, dash = figures.look(i)
            if bins:
                one = figures.Series([b["observed"] for b in bins], colour, marker, dash=dash)
                series.append(([b["predicted"] for b in bins], one))
        if series:
            label = f"Reliability diagram of {SCOPES[scope]}: observed against predicted probability."
            axes = (f"predicted probability, {SCOPES[scope]}", "observed share")
            drawings.append(figures.diagonal(f"reliability-{scope}", label, series, axes))
    if drawings:
        caption = (
            "How often the architecture that was said to be the better one is the better one, against how probable "
            "that was said to be. On the dashed diagonal probabilities are right; below it they are too sure."
        )
        if len(drawn) < len(combiners):
            caption += f" Drawn are the {len(drawn)} of {len(combiners)} combiners with the lowest Brier score."
        legend = [Key(name, *figures.look(i)) for i, name in enumerate(drawn)]
        yield Figures(caption + _brier_said(combiners, drawn[0], scopes), drawings, legend)
    columns = [names_column("combiner", "combiner", combiners)]
    for scope in scopes:
        rows = [row.get(scope, {}) for row in combiners.values()]
        briers, counts = (summaries(rows, key) for key in ("brier", "pairs"))
        columns.append(summary_column(f"{scope}_brier", "Brier score", briers, group=SCOPES[scope]))
        columns.append(summary_column(f"{scope}_pairs", "pairs", counts, "count", SCOPES[scope]))
    title = "Brier score of pairwise probabilities, mean ± sd over repeats; 0.25 is that of always saying ½"
    yield Table("brier", title, tuple(columns))
    yield from _reliability_table(combiners, scopes)


def summaries(rows: Iterable[Mapping[str, Any]], *keys: str) -> list[Any]:
    """The numbers of these names of each row, None where a row lacks one."""
    return [row.get(key) for row in rows for key in keys]


def _brier(row: Rows, scope: str) -> float:
    score = mean_and_sd(row.get(scope, {}).get("brier"))[0]
    return 1.0 if score is None else score


def _brier_said(combiners: Scoped, name: str, scopes: list[str]) -> str:
    scores = [(scope, mean_and_sd(combiners[name].get(scope, {}).get("brier"))[0]) for scope in scopes]
    said = [f"{written(score)} over {SCOPES[scope]}" for scope, score in scores if score is not None]
    return f" Brier score of {name}: {', '.join(said)} (0.25 for always saying ½)." if said else ""


def _reliability_table(combiners: Scoped, scopes: list[str]) -> Iterator[Block]:
    rows = [
        (name, SCOPES[scope], one)
        for name, row in combiners.items()
        for scope in scopes
        for one in row.get(scope, {}).get("reliability", [])
    ]
    if rows:
        bins = [one for _, _, one in rows]
        columns = (
            names_column("combiner", "combiner", (name for name, _, _ in rows)),
            Column("scope", "of", [scope for _, scope, _ in rows], "text"),
            summary_column("predicted", "predicted", summaries(bins, "predicted")),
            summary_column("observed", "observed", summaries(bins, "observed")),
            summary_column("pairs", "pairs", summaries(bins, "pairs"), "count"),
        )
        table = Table("reliability", "Predicted and observed probabilities by bin", columns)
        yield Folded("Reliability as a table", [table])


def _intervals(material: Material) -> Iterator[Block]:
    intervals = material.evaluation.get("intervals", {})
    combiners: Rows = in_order(material.evaluation, intervals.get("combiners", {}))
    if not combiners:
        yield Missing("The evaluation holds no intervals.")
        return
    level = 100 * float(intervals.get("level", 0.9))
    scopes = {"": "all", **{f", depth={depth}": f"{depth} layers" for depth in material.depths}}
    drawings, tables = [], []
    shown: tuple[tuple[str, str, Style, float | None], ...] = (
        ("coverage", "coverage, %", "percent", level),
        ("width", "width, percentage points", "points", None),
    )
    for measure, heading, style, line in shown:
        columns = [names_column("combiner", "combiner", combiners)]
        for suffix, scope in scopes.items():
            key = scope.replace(" ", "_")
            columns.append(summary_column(key, scope, summaries(combiners.values(), measure + suffix), style))
        title = f"{level:g} % intervals: {heading}, mean ± sd over repeats"
        tables.append(Table(f"interval_{measure}", title, tuple(columns)))
        series = [
            figures.Series([None if isinstance(v, str) else v for v in column.values], material.depth_colour(depth))
            for column, depth in zip(columns[2:], material.depths, strict=True)
        ]
        label = f"Dot plot: {heading} of {level:g} % intervals, by combiner and depth."
        axis = f"{heading}, {level:g} % intervals"
        drawings.append(figures.dots(f"interval-{measure}", label, list(combiners), series, axis, line))
    legend = [Key(f"{depth} layers", material.depth_colour(depth)) for depth in material.depths]
    yield Figures(_intervals_caption(combiners, level), drawings, legend)
    yield from tables


def _intervals_caption(combiners: Rows, level: float) -> str:
    name, row = next(iter(combiners.items()))
    coverage, width = (mean_and_sd(row.get(key))[0] for key in ("coverage", "width"))
    said = ""
    if coverage is not None and width is not None:
        said = (
            f"With {name}, {written(100 * coverage, 'percent')} % of held-out accuracies lie in their "
            f"interval, whose mean width is {written(100 * width, 'points')} percentage points. "
        )
    return (
        f"Intervals that should hold the accuracy {level:g} times of 100 (dashed), by depth. {said}Right of the line "
        "they are wider than they need be at that depth; left of it too narrow."
    )


def checks(material: Material) -> Section:
    """The procedure on shuffled accuracies, and an estimate of what noise leaves to find."""
    return Section("checks", "Checks", (*_control(material), *_noise(material)))


def _control(material: Material) -> Iterator[Block]:
    control: Rows = in_order(material.evaluation, material.evaluation.get("control", {}))
    if not control:
        yield Missing("The evaluation holds no run on shuffled accuracies.")
        return
    combiners = [row.get("within_depth") for name, row in control.items() if name not in BASELINES.values()]
    means = [mean for mean in (mean_and_sd(value)[0] for value in combiners) if mean is not None]
    spread = unrelated(material)
    if means and spread is not None:
        yield (
            "The whole procedure, on accuracies that were shuffled among the architectures of each depth, must find "
            "nothing within a depth: a ρ clearly above 0 would have seen the rows that it is judged by. The largest "
            f"mean ρ within depth of a combiner is {written(max(means))}; of unrelated predictions, 95 of 100 lie "
            f"within ±{written(spread)}. The overall ρ remains, as shuffled accuracies keep their depth."
        )
    columns = [names_column("combiner", "combiner", control)]
    for key, title in (("within_depth", "ρ within depth"), ("spearman", "ρ")):
        columns.append(summary_column(key, title, summaries(control.values(), key)))
    yield Table("control", "Cross-validated ρ on accuracies shuffled within each depth", tuple(columns))


def _noise(material: Material) -> Iterator[Block]:
    noise = material.evaluation.get("noise", {})
    share, ceiling = noise.get("share", {}), noise.get("ceiling", {})
    if not share or not ceiling:
        yield Missing("The evaluation holds no estimate of the noise in the accuracies.")
        return
    yield (
        "The noise that no feature explains is estimated to have a standard deviation of "
        f"{written(100 * noise['sd'], 'points')} percentage points. A perfect prediction of the rest would reach a "
        f"mean ρ within depth of about {written(noise['within_depth'])}. What the estimate’s model has no term for "
        "counts as noise too, so a better model may pass this mark."
    )
    keys = [f"depth={depth}" for depth in material.depths]
    columns = (
        names_column("depth", "depth", (f"{depth} layers" for depth in material.depths)),
        summary_column("noise_percent", "noise, % of variance", summaries([share], *keys), "percent"),
        summary_column("ceiling", "largest ρ possible", summaries([ceiling], *keys)),
    )
    yield Table("noise", "What limits ρ within depth", columns)
