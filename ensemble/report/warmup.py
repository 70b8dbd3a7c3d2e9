"""Proxies over the epochs of a training that has begun."""

from typing import NamedTuple

import numpy as np

from ensemble.evaluation.evaluate import score_measures
from ensemble.evaluation.metrics import Metrics
from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Folded, Key, Missing, Section, listed
from ensemble.report.material import LAYERS, Material
from ensemble.report.palette import THEME
from ensemble.report.tables import Column, Table, names_column, written

BEFORE = -1
"""Where the scores from before training stand among the epochs."""
ENOUGH = 0.95
"""Share of the architectures that must have a score for an epoch to be compared with others."""


class Course(NamedTuple):
    """One proxy over the epochs, `BEFORE` first: correlations, and whether enough architectures have a score."""

    epochs: list[int]
    rho: list[float | None]
    within: list[float | None]
    enough: list[bool]

    def best(self, values: list[float | None]) -> int | None:
        """The place of the largest |value| among the epochs that most architectures have."""
        places = [i for i, value in enumerate(values) if value is not None and self.enough[i]]
        return max(places, key=lambda i: abs(values[i] or 0.0), default=None)


def epochs(material: Material) -> Section:
    """Correlation of each published score with accuracy over the epochs, and each proxy's best one."""
    key, title = "epochs", "Correlation over warm-up epochs"
    courses = _courses(material) if material.by_epoch else {}
    if not courses:
        return Section(key, title, (Missing("The benchmark holds no scores from after the start of training."),))
    layers = material.baselines[LAYERS]["spearman"]
    known = [value for course in courses.values() for value in (*course.rho, *course.within) if value is not None]
    reach = min(1.0, 1.08 * max(map(abs, [*known, layers or 0.0])))
    drawings = [_drawing(name, course, layers, reach) for name, course in courses.items()]
    at_best = {name: course.best(course.rho) for name, course in courses.items()}
    better = [
        name
        for name, course in courses.items()
        if layers is not None and (i := at_best[name]) is not None and abs(course.rho[i] or 0.0) > abs(layers)
    ]
    last = max(epoch for course in courses.values() for epoch in course.epochs)
    text = (
        f"The public files also hold each score from after epochs 0 to {last} of the training itself. −1 stands for "
        f"before training. Not every file holds every epoch: epochs for which fewer than {100 * ENOUGH:.0f} % of the "
        "architectures have a score are drawn faint, as they are about other architectures, and no best epoch is "
        "chosen among them. The best epoch is the one of largest |ρ|, chosen in-sample among "
        f"{max(sum(course.enough) for course in courses.values())}."
    )
    caption = (
        "Spearman’s ρ of the published scores with accuracy over training epochs, overall and within depth. Dashed: "
        f"±{written(layers)}, what the number of layers alone reaches; at their best epoch {len(better)} of "
        f"{len(courses)} scores have a larger |ρ|{': ' + listed(better) if better else ''}."
    )
    legend = [Key("all architectures", THEME.published, None, 0), Key("mean within depth", THEME.ours, None, 2)]
    shown = Figures(caption, drawings, legend, "small")
    blocks: tuple[Block, ...] = (text, shown, _best_table(courses), Folded("Every epoch as tables", _tables(courses)))
    return Section(key, title, blocks)


def _courses(material: Material) -> dict[str, Course]:
    by_epoch = {epoch: score_measures(material.benchmark, table) for epoch, table in material.by_epoch.items()}
    if "published" in material.measures:
        by_epoch = {BEFORE: material.measures["published"], **by_epoch}
    named = {name for rows in by_epoch.values() for name in rows}
    none: Metrics = {}
    courses = {}
    for name in [name for name in material.names if name in named] + sorted(named - set(material.names)):
        rows = [rows.get(name, none) for rows in by_epoch.values()]
        there = np.array([row.get("predicted") or 0.0 for row in rows])
        courses[name] = Course(
            list(by_epoch),
            [row.get("spearman") for row in rows],
            [row.get("within_depth") for row in rows],
            (there >= ENOUGH * len(material.benchmark)).tolist(),
        )
    return courses


def _drawing(name: str, course: Course, layers: float | None, reach: float) -> str:
    faint = [not enough for enough in course.enough]
    series = [
        figures.Series(course.rho, THEME.published, None, faint=faint),
        figures.Series(course.within, THEME.ours, None, faint=faint, dash=2),
    ]
    label = f"Line plot: ρ of {name} with accuracy over training epochs, overall and within depth."
    best = course.best(course.rho)
    if best is not None:
        label += f" Largest |ρ| after epoch {course.epochs[best]}: {written(course.rho[best])}."
    lines = [] if layers is None else [-layers, layers]
    axes = ("epoch", "")
    limits = (-reach, reach)
    return figures.curves(f"epochs-{name}", label, course.epochs, series, axes, name, lines, small=True, limits=limits)


def _best_table(courses: dict[str, Course]) -> Table:
    columns = [names_column("proxy", "proxy", courses)]
    before = [course.epochs.index(BEFORE) if BEFORE in course.epochs else None for course in courses.values()]
    best = [course.best(course.rho) for course in courses.values()]
    best_within = [course.best(course.within) for course in courses.values()]
    for key, title, places in (
        ("before", "before training", before),
        ("best_spearman", "largest |ρ|", best),
        ("best_within_depth", "largest |ρ within depth|", best_within),
    ):
        found = list(zip(courses.values(), places, strict=True))
        if places is not before:
            epochs = [None if i is None else course.epochs[i] for course, i in found]
            columns.append(Column(f"{key}_epoch", "epoch", epochs, "count", title))
        rho = [None if i is None else course.rho[i] for course, i in found]
        within = [None if i is None else course.within[i] for course, i in found]
        columns.append(Column(f"{key}_rho", "ρ", rho, group=title))
        columns.append(Column(f"{key}_within", "within depth", within, group=title))
    title = "Each published score before training, and at its best epoch (in-sample)"
    return Table("best_epochs", title, tuple(columns))


def _tables(courses: dict[str, Course]) -> list[Table]:
    first = next(iter(courses.values()))
    tables = []
    for key, title, chosen in (("epochs", "ρ", "rho"), ("epochs_within_depth", "mean ρ within depth", "within")):
        columns = [
            Column("epoch", "epoch", first.epochs, "count"),
            *(Column(name, name, getattr(course, chosen)) for name, course in courses.items()),
        ]
        tables.append(Table(key, f"{title} of each published score by epoch; −1 is before training", tuple(columns)))
    return tables
