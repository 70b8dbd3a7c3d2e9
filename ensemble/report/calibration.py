"""Sections on the calibration of probabilities and intervals, and on the limits of the evaluation."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Folded, LegendEntry, Missing, Section
from ensemble.report.combiners import BASELINE_TITLES, in_model_order
from ensemble.report.palette import THEME
from ensemble.report.proxies import null_half_width
from ensemble.report.report_data import ReportData
from ensemble.report.tables import Column, Style, Table, format_number, mean_and_std, names_column, summary_column

Rows = Mapping[str, Mapping[str, Any]]
"""Metrics by model and name."""
SCOPES = {"overall": "all pairs", "within_stratum": "pairs within strata"}


def uncertainty(data: ReportData) -> Section:
    """Calibration of pairwise probabilities and intervals."""
    return Section("uncertainty", "Calibration of probabilities and intervals", (*_pairs(data), *_intervals(data)))


def _pairs(data: ReportData) -> Iterator[Block]:
    combiners: Rows = in_model_order(data.evaluation, data.evaluation.get("pairs", {}).get("combiners", {}))
    if not combiners:
        yield Missing("The evaluation contains no pairwise probabilities.")
        return
    shown = sorted(combiners, key=lambda name: _brier(combiners[name], "overall"))[: len(THEME.series)]
    drawings = []
    for scope, title in SCOPES.items():
        series = []
        for i, name in enumerate(shown):
            bins = combiners[name]["reliability"][scope]
            color, marker, dash = figures.series_style(i)
            if bins:
                observed = figures.Series([point["observed"] for point in bins], color, marker, dash=dash)
                series.append(([point["predicted"] for point in bins], observed))
        if series:
            label = f"Reliability diagram of {title}: observed frequency against predicted probability."
            axes = (f"predicted probability, {title}", "observed frequency")
            drawings.append(figures.diagonal(f"reliability-{scope.replace('_', '-')}", label, series, axes))
    if drawings:
        caption = (
            "Observed frequency with which the architecture predicted to be better is better, against the predicted "
            "probability. Dashed: perfect calibration; below it, probabilities are overconfident."
        )
        if len(shown) < len(combiners):
            caption += f" Shown: the {len(shown)} of {len(combiners)} combiners with the lowest Brier scores."
        legend = [LegendEntry(name, *figures.series_style(i)) for i, name in enumerate(shown)]
        yield Figures(caption + _brier_sentence(shown[0], combiners[shown[0]]), drawings, legend)
    columns = [names_column("combiner", "combiner", combiners)]
    for scope, title in SCOPES.items():
        briers, counts = ([row[metric][scope] for row in combiners.values()] for metric in ("brier", "n"))
        columns.append(summary_column(f"{scope}_brier", "Brier score", briers, group=title))
        columns.append(summary_column(f"{scope}_pairs", "pairs", counts, "count", title))
    title = "Brier score of pairwise probabilities, mean ± std over repeats; a constant ½ scores 0.25"
    yield Table("brier", title, tuple(columns))
    yield from _reliability_table(combiners)


def _values(rows: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """Return a value of each row, None where a row lacks it."""
    return [row.get(key) for row in rows]


def _brier(row: Mapping[str, Any], scope: str) -> float:
    score = mean_and_std(row["brier"][scope])[0]
    return 1.0 if score is None else score


def _brier_sentence(name: str, row: Mapping[str, Any]) -> str:
    scores = [(title, mean_and_std(row["brier"][scope])[0]) for scope, title in SCOPES.items()]
    parts = [f"{format_number(score)} over {title}" for title, score in scores if score is not None]
    return f" Brier score of {name}: {', '.join(parts)} (0.25 for a constant ½)." if parts else ""


def _reliability_table(combiners: Rows) -> Iterator[Block]:
    rows = [
        (name, title, point)
        for name, row in combiners.items()
        for scope, title in SCOPES.items()
        for point in row["reliability"][scope]
    ]
    if rows:
        bins = [point for _, _, point in rows]
        columns = (
            names_column("combiner", "combiner", (name for name, _, _ in rows)),
            Column("scope", "scope", [title for _, title, _ in rows], "text"),
            summary_column("predicted", "predicted", _values(bins, "predicted")),
            summary_column("observed", "observed", _values(bins, "observed")),
            summary_column("pairs", "pairs", _values(bins, "n"), "count"),
        )
        table = Table("reliability", "Predicted probability and observed frequency by bin", columns)
        yield Folded("Reliability as a table", [table])


def _intervals(data: ReportData) -> Iterator[Block]:
    intervals = data.evaluation.get("intervals", {})
    combiners: Rows = in_model_order(data.evaluation, intervals.get("combiners", {}))
    if not combiners:
        yield Missing("The evaluation contains no intervals.")
        return
    level = 100 * float(intervals.get("level", 0.9))
    drawings, tables = [], []
    shown: tuple[tuple[str, str, Style, float | None], ...] = (
        ("coverage", "coverage, %", "percent", level),
        ("interval_width", "width, percentage points", "points", None),
    )
    for metric, heading, style, line in shown:
        rows = [row[metric] for row in combiners.values()]
        columns = [
            names_column("combiner", "combiner", combiners),
            summary_column("overall", "overall", _values(rows, "overall"), style),
        ]
        for stratum in data.strata:
            summaries = [row["by_stratum"].get(str(stratum)) for row in rows]
            columns.append(summary_column(f"stratum_{stratum}", data.stratum_title(stratum), summaries, style))
        title = f"{level:g} % intervals: {heading}, mean ± std over repeats"
        tables.append(Table(metric, title, tuple(columns)))
        series = [
            figures.Series([None if isinstance(v, str) else v for v in column.values], data.stratum_color(stratum))
            for column, stratum in zip(columns[2:], data.strata, strict=True)
        ]
        label = f"Dot plot: {heading} of {level:g} % intervals, by combiner and stratum."
        axis = f"{heading}, {level:g} % intervals"
        key = metric.replace("_", "-")
        drawings.append(figures.dots(key, label, list(combiners), series, axis, line))
    yield Figures(_intervals_caption(combiners, level), drawings, data.strata_legend)
    yield from tables


def _intervals_caption(combiners: Rows, level: float) -> str:
    name, row = next(iter(combiners.items()))
    coverage, width = (mean_and_std(row[metric]["overall"])[0] for metric in ("coverage", "interval_width"))
    sentences = [f"Prediction intervals with a nominal coverage of {level:g} % (dashed), by stratum."]
    if coverage is not None and width is not None:
        sentences.append(
            f"The intervals of {name} contain {format_number(100 * coverage, 'percent')} % of the held-out accuracies; "
            f"their mean width is {format_number(100 * width, 'points')} percentage points."
        )
    sentences.append("Right of the line, intervals are wider than necessary; left of it, too narrow.")
    return " ".join(sentences)


def checks(data: ReportData) -> Section:
    """Shuffled-label control, and the upper bound that label noise sets."""
    return Section("checks", "Checks of the evaluation", (*_control(data), *_noise(data)))


def _control(data: ReportData) -> Iterator[Block]:
    control: Rows = in_model_order(data.evaluation, data.evaluation.get("control", {}))
    if not control:
        yield Missing("The evaluation contains no shuffled-label control.")
        return
    correlations = [
        row.get("within_stratum_spearman") for name, row in control.items() if name not in BASELINE_TITLES.values()
    ]
    means = [mean for mean in (mean_and_std(value)[0] for value in correlations) if mean is not None]
    half_width = null_half_width(data)
    if means and half_width is not None:
        yield (
            "Control: the whole procedure on accuracies shuffled within each stratum. Nothing is left to learn there, "
            "so a within-stratum ρ clearly above 0 would reveal a leak of test rows. The largest within-stratum ρ of a "
            f"combiner is {format_number(max(means))}; 95 % of unrelated predictions lie within "
            f"±{format_number(half_width)}. The overall ρ remains, as the strata keep their accuracies."
        )
    columns = [names_column("combiner", "combiner", control)]
    for key, title in (("within_stratum_spearman", "within-stratum ρ"), ("spearman", "ρ")):
        columns.append(summary_column(key, title, _values(control.values(), key)))
    yield Table("control", "Cross-validated ρ on accuracies shuffled within each stratum", tuple(columns))


def _noise(data: ReportData) -> Iterator[Block]:
    noise = data.evaluation.get("noise")
    if not noise:
        yield Missing("The evaluation contains no estimate of the label noise.")
        return
    fraction, ceiling = noise["variance_fraction"]["by_stratum"], noise["spearman_ceiling"]
    yield (
        "The noise that no feature explains has an estimated standard deviation of "
        f"{format_number(100 * noise['std'], 'points')} percentage points. A perfect prediction of the rest would have "
        f"a within-stratum ρ of about {format_number(ceiling['within_stratum'])}. Effects that the estimating model "
        "has no term for count as noise, so a better model may exceed this bound."
    )
    strata = [str(stratum) for stratum in data.strata]
    columns = (
        names_column("stratum", "stratum", (data.stratum_title(int(stratum)) for stratum in strata)),
        summary_column(
            "noise_percent", "noise, % of variance", [fraction.get(stratum) for stratum in strata], "percent"
        ),
        summary_column("ceiling", "upper bound of ρ", [ceiling["by_stratum"].get(stratum) for stratum in strata]),
    )
    yield Table("noise", "Upper bound of the within-stratum ρ", columns)
