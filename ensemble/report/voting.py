"""Votes and means of proxies: chosen as in the study, on the architectures that they are judged by, and held out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners.mean import WeightedMean
from ensemble.combiners.vote import MajorityVote
from ensemble.evaluation.metrics import Metrics, measure
from ensemble.report.blocks import Missing, Section
from ensemble.report.material import LAYERS, Material
from ensemble.report.study import NO_SCORES
from ensemble.report.tables import Column, Table, names_column, summary_column, written

Array = NDArray[np.float64]

IN_SAMPLE, HELD_OUT = "in-sample", "cross-validated"
MEASURES = {"spearman": "ρ", "within_depth": "ρ within depth", "pairwise": "pairs in order"}
COMBINERS = {"vote": "majority vote", "mean": "weighted mean"}


def votes(material: Material) -> Section:
    """The best vote subsets, the weights of the mean, and what both are worth on other architectures."""
    key, title = "votes", "Votes and the weighted mean"
    if not material.proxies:
        return Section(key, title, (NO_SCORES,))
    X = {source: table.values for source, table in material.proxies.items()}
    voters = {source: MajorityVote().fit(values, material.benchmark.accuracy) for source, values in X.items()}
    means = {source: WeightedMean().fit(values, material.benchmark.accuracy) for source, values in X.items()}
    models: dict[str, Mapping[str, Any]] = {"vote": voters, "mean": means}
    rows = [(LAYERS, "no fit", material.baselines[LAYERS])]
    for name, fitted in models.items():
        for source, model in fitted.items():
            rows.append((f"{COMBINERS[name]}, {source}", IN_SAMPLE, _in_sample(material, model.predict(X[source]))))
    held_out = material.evaluation.get("combiners", {})
    of = _evaluated_source(material)
    rows += [(f"{COMBINERS[name]}{of}", HELD_OUT, held_out[name]) for name in models if name in held_out]
    text = (
        f"As in the study, the subset whose majority orders most pairs of architectures is searched for among all "
        f"subsets of proxies, on the very {len(material.benchmark)} architectures that it is judged by ({IN_SAMPLE}). "
        f"The rows marked {HELD_OUT} choose directions, subset and weights on training folds only; they are from the "
        f"evaluation. {_optimism(voters, held_out)}"
    )
    shorter = () if len(rows) > 1 + 2 * len(X) else (Missing("The evaluation holds neither vote nor mean."),)
    tables = [_compared(rows), *(_subsets(material, source, model) for source, model in voters.items())]
    return Section(key, title, (text, *shorter, *tables, _weights(material, means)))


def _evaluated_source(material: Material) -> str:
    """Which scores the evaluation was run with: those whose measures it reports."""
    reported = material.evaluation.get("scores", {})
    for source, rows in material.measures.items():
        shared = [(rows[name]["spearman"], reported[name].get("spearman")) for name in rows if name in reported]
        if shared and all((a is b) or np.isclose(a or 0.0, b or 0.0) for a, b in shared):
            return f", {source}"
    return ""


def _in_sample(material: Material, predicted: Array) -> Metrics:
    return measure(predicted, material.benchmark.accuracy, material.benchmark.depths, absolute=False)


def _optimism(voters: Mapping[str, MajorityVote], held_out: Mapping[str, Any]) -> str:
    summary = held_out.get("vote", {}).get("pairwise")
    source = "ours" if "ours" in voters else next(iter(voters))
    best = f"{written(voters[source].subsets_[0][1])} of the pairs in order"
    if summary is None:
        return f"The best subset, {source}, puts {best}."
    reached = written(summary["mean"])
    return f"The best subset, {source}, puts {best} in-sample; on held-out rows a vote reaches {reached}."


def _compared(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    columns = [
        names_column("combiner", "combiner", (name for name, _, _ in rows)),
        Column("fitted", "fitted", [how for _, how, _ in rows], "text"),
        *(summary_column(name, title, (row.get(name) for _, _, row in rows)) for name, title in MEASURES.items()),
    ]
    return Table("votes", "Votes and means in-sample, as the study reports them, and cross-validated", tuple(columns))


def _subsets(material: Material, source: str, model: MajorityVote) -> Table:
    names = [name.removeprefix("proxy.") for name in material.proxies[source].names]
    subsets = model.subsets_
    columns = (
        names_column("rank", "rank", (str(i) for i in range(1, len(subsets) + 1))),
        Column("pairwise", "pairs in order", [accuracy for _, accuracy in subsets]),
        Column("size", "proxies", [len(members) for members, _ in subsets], "count"),
        Column("members", "subset", [_signed(names, members, model) for members, _ in subsets], "text"),
    )
    title = f"The best subsets for a majority vote, {source}, {IN_SAMPLE}; − marks a proxy whose sign is turned"
    return Table(f"vote_subsets_{source}", title, columns)


def _signed(names: Sequence[str], members: Sequence[int], model: MajorityVote) -> str:
    return ", ".join(("−" if model.directions_[i] < 0 else "") + names[i] for i in members)


def _weights(material: Material, means: Mapping[str, WeightedMean]) -> Table:
    columns = [names_column("proxy", "proxy", material.names)]
    for source, model in means.items():
        names = [name.removeprefix("proxy.") for name in material.proxies[source].names]
        weights = dict(zip(names, model.weights_.tolist(), strict=True))
        aligned = [weights.get(name) for name in material.names]
        columns.append(Column(f"{source}_weight", source, aligned, group="weight"))
    title = "Weights of the weighted mean, fitted on all architectures: each proxy’s ρ, on scores scaled to 0…1"
    return Table("mean_weights", title, tuple(columns))
