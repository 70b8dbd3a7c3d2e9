"""Sections on the time of scoring and of training."""

import numpy as np

from ensemble.report import figures
from ensemble.report.blocks import Figures, Missing, Section, enumerated
from ensemble.report.palette import THEME
from ensemble.report.proxies import SOURCE_ADJECTIVES, source_legend
from ensemble.report.report_data import SOURCE_COLORS, ReportData
from ensemble.report.tables import Column, Table, Value, format_number, names_column

SECONDS_PER_HOUR = 3600.0


def proxy_seconds(data: ReportData) -> Section:
    """Scoring time of each proxy, by source."""
    key, title = "seconds", "Scoring time of each proxy"
    if not data.seconds:
        return Section(key, title, (Missing("There are neither published scoring times nor our own."),))
    names = _timed_proxies(data)
    columns = [names_column("proxy", "proxy", names)]
    series: list[figures.Series] = []
    for source, seconds in data.seconds.items():
        medians = [float(np.nanmedian(seconds[name])) if name in seconds else None for name in names]
        sums = [float(np.nansum(seconds[name])) if name in seconds else None for name in names]
        columns.append(Column(f"{source}_median_seconds", "median", medians, "seconds", source))
        columns.append(Column(f"{source}_sum_seconds", "sum", sums, "seconds", source))
        # Zero has no place on a logarithmic axis.
        nonzero = [median or None for median in medians]
        series.append(figures.Series(nonzero, SOURCE_COLORS[source], "os"[len(series)]))
    label = f"Dot plot: median scoring time of each proxy in seconds, {enumerated(list(data.seconds))}."
    drawing = figures.dots("seconds", label, names, series, "median seconds per architecture", log=True)
    hours = [
        f"{source} {format_number(_total_seconds(data, source) / SECONDS_PER_HOUR, 'seconds')} h"
        for source in data.seconds
    ]
    caption = (
        "Median time of one score, on a logarithmic axis. Total over all proxies and all "
        f"{len(data.benchmark)} architectures: {enumerated(hours)}. {_conditions(data)}"
    )
    legend = [entry for entry in source_legend(data) if entry.label in data.seconds]
    table = Table("seconds", "Scoring time in seconds: median over architectures, and sum", tuple(columns))
    return Section(key, title, (Figures(caption, [drawing], legend), table))


def _timed_proxies(data: ReportData) -> list[str]:
    timed = {name for seconds in data.seconds.values() for name in seconds}
    return [name for name in data.names if name in timed] + sorted(timed - set(data.names))


def _total_seconds(data: ReportData, source: str) -> float:
    return float(sum(np.nansum(column) for column in data.seconds[source].values()))


def _conditions(data: ReportData) -> str:
    """Describe the device and the batch of our scoring times, as far as the table of scores contains them."""
    if "ours" not in data.seconds:
        return ""
    batch = data.header.get("batch")
    conditions = [f"on {data.header['device']}"] if "device" in data.header else []
    if isinstance(batch, dict):
        sizes = [f"{name} {value}" for name, value in batch.items() if name not in ("seed", "data", "labels")]
        conditions.append(f"on a batch with {', '.join(sizes)}")
    if not conditions:
        return ""
    return f"Ours: {enumerated(conditions)}; the time of computations that proxies share is divided equally among them."


def training_time(data: ReportData) -> Section:
    """Hours of training and of scoring."""
    key, title = "cost", "Training time and scoring time"
    training = [entry.seconds for entry in data.benchmark.entries if entry.seconds is not None]
    if not training or sum(training) == 0:
        return Section(key, title, (Missing("The benchmark contains no training times."),))
    hours = {"training": sum(training) / SECONDS_PER_HOUR}
    for source in data.seconds:
        hours[f"scoring, {source}"] = _total_seconds(data, source) / SECONDS_PER_HOUR
    hours = {name: amount for name, amount in hours.items() if amount > 0}
    colors = {"training": THEME.muted, **{f"scoring, {source}": color for source, color in SOURCE_COLORS.items()}}
    ratios = {name: hours["training"] / amount for name, amount in hours.items()}
    table = Table(
        "cost",
        "Hours of training and of scoring",
        (
            names_column("activity", "activity", hours),
            Column("hours", "hours", list(hours.values()), "seconds"),
            Column("architectures", "architectures", _counts(data, list(hours), len(training)), "count"),
            Column("training_ratio", "training time / time", list(ratios.values()), "seconds"),
        ),
    )
    rows = [(f"{name}: {format_number(amount, 'seconds')} h", amount, colors[name]) for name, amount in hours.items()]
    label = f"Hours on a logarithmic axis: {enumerated([name for name, _, _ in rows])}."
    drawing = figures.spans("cost", label, rows, "hours")
    comparisons = [
        f"{format_number(ratios[f'scoring, {source}'], 'seconds')} times as long as "
        f"{SOURCE_ADJECTIVES.get(source, source)} scoring"
        for source in data.seconds
        if f"scoring, {source}" in ratios
    ]
    comparison = (
        f"Training took {enumerated(comparisons)}." if comparisons else "There are no scoring times to compare with."
    )
    caption = (
        f"Recorded training time of {len(training)} of the {len(data.benchmark)} architectures, on a logarithmic axis. "
        f"{comparison} Times are hours, not energy, and from different devices."
    )
    return Section(key, title, (Figures(caption, [drawing]), table))


def _counts(data: ReportData, names: list[str], trained: int) -> list[Value]:
    counts: list[Value] = []
    for name in names:
        columns = data.seconds.get(name.removeprefix("scoring, "), {})
        scored = [~np.isnan(column) for column in columns.values()]
        counts.append(trained if name == "training" else int(np.any(scored, axis=0).sum()))
    return counts
