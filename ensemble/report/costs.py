"""What scores cost, and what training costs."""

import numpy as np

from ensemble.report import figures
from ensemble.report.blocks import Figures, Missing, Section, listed
from ensemble.report.material import SOURCES, Material
from ensemble.report.study import OWN, source_legend
from ensemble.report.svg import MUTED
from ensemble.report.tables import Column, Table, Value, names_column, written

HOUR = 3600.0


def proxy_seconds(material: Material) -> Section:
    """Seconds a proxy takes, published and ours."""
    key, title = "seconds", "Seconds a proxy takes"
    if not material.seconds:
        return Section(key, title, (Missing("There are neither published seconds of scoring nor our own."),))
    names = _timed(material)
    columns = [names_column("proxy", "proxy", names)]
    series: list[figures.Series] = []
    for source, seconds in material.seconds.items():
        medians = [float(np.nanmedian(seconds[name])) if name in seconds else None for name in names]
        sums = [float(np.nansum(seconds[name])) if name in seconds else None for name in names]
        columns.append(Column(f"{source}_median_seconds", "median", medians, "seconds", source))
        columns.append(Column(f"{source}_sum_seconds", "sum", sums, "seconds", source))
        # No time is too small for a logarithmic axis, but zero is.
        series.append(figures.Series([m or None for m in medians], SOURCES[source], "os"[len(series)]))
    label = f"Dot plot: median seconds of each proxy, {listed(list(material.seconds))}."
    drawing = figures.dots("seconds", label, names, series, "median seconds an architecture", log=True)
    hours = {source: written(_all_seconds(material, source) / HOUR, "seconds") for source in material.seconds}
    caption = (
        f"Median seconds of one score, on a logarithmic axis. All proxies of all {len(material.benchmark)} "
        f"architectures together: {listed([f'{source} {amount} h' for source, amount in hours.items()])}. "
        f"{_about(material)}"
    )
    legend = [entry for entry in source_legend(material) if entry.label in material.seconds]
    table = Table("seconds", "Seconds of scoring: median over architectures, and sum", tuple(columns))
    return Section(key, title, (Figures(caption, [drawing], legend), table))


def _timed(material: Material) -> list[str]:
    timed = {name for seconds in material.seconds.values() for name in seconds}
    return [name for name in material.names if name in timed] + sorted(timed - set(material.names))


def _all_seconds(material: Material, source: str) -> float:
    return float(sum(np.nansum(column) for column in material.seconds[source].values()))


def _about(material: Material) -> str:
    """What our seconds were measured with, as far as the table of scores says."""
    if "ours" not in material.seconds:
        return ""
    batch = material.header.get("batch")
    said = [f"on {material.header['device']}"] if "device" in material.header else []
    if isinstance(batch, dict) and {"batch_size", "frames"} <= batch.keys():
        said.append(f"a batch of {batch['batch_size']} samples of {batch['frames']} frames")
    if not said:
        return ""
    return f"Ours: {listed(said)}; what several proxies share is counted once, in equal parts."


def energy(material: Material) -> Section:
    """Hours of training against hours of scoring."""
    key, title = "cost", "Training against scoring"
    training = [entry.seconds for entry in material.benchmark.entries if entry.seconds is not None]
    if not training or sum(training) == 0:
        return Section(key, title, (Missing("The benchmark says of no architecture how long its training took."),))
    hours = {"training": sum(training) / HOUR}
    for source in material.seconds:
        hours[f"scoring, {source}"] = _all_seconds(material, source) / HOUR
    hours = {name: amount for name, amount in hours.items() if amount > 0}
    colours = {"training": MUTED, **{f"scoring, {source}": colour for source, colour in SOURCES.items()}}
    ratios = {name: hours["training"] / amount for name, amount in hours.items()}
    table = Table(
        "cost",
        "Hours of training and of scoring",
        (
            names_column("what", "what", hours),
            Column("hours", "hours", list(hours.values()), "seconds"),
            Column("architectures", "architectures", _counts(material, list(hours), len(training)), "count"),
            Column("training_times", "training is … times as long", list(ratios.values()), "seconds"),
        ),
    )
    rows = [(f"{name}: {written(amount, 'seconds')} h", amount, colours[name]) for name, amount in hours.items()]
    label = f"Amounts on a logarithmic axis: {listed([name for name, _, _ in rows])}."
    drawing = figures.spans("cost", label, rows, "hours")
    said = [
        f"{written(ratios[f'scoring, {source}'], 'seconds')} times as long as {OWN.get(source, source)} scoring"
        for source in material.seconds
        if f"scoring, {source}" in ratios
    ]
    more = f"Training took {listed(said)}." if said else "There are no seconds of scoring to compare with."
    caption = (
        f"Hours that the benchmark records for training {len(training)} of its {len(material.benchmark)} "
        f"architectures, on a logarithmic axis. {more} These are hours, not joules: energy was not measured, and the "
        "devices differ."
    )
    return Section(key, title, (Figures(caption, [drawing]), table))


def _counts(material: Material, names: list[str], trained: int) -> list[Value]:
    counts: list[Value] = []
    for name in names:
        columns = material.seconds.get(name.removeprefix("scoring, "), {})
        scored = [~np.isnan(column) for column in columns.values()]
        counts.append(trained if name == "training" else int(np.any(scored, axis=0).sum()))
    return counts
