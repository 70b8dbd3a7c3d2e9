"""Section on majority votes and weighted means of proxies, in-sample as in the study and cross-validated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners.mean import WeightedMean
from ensemble.combiners.vote import MajorityVote
from ensemble.evaluation.metrics import Metrics, prediction_metrics
from ensemble.report.blocks import Missing, Section
from ensemble.report.proxies import NO_SCORES
from ensemble.report.report_data import ReportData
from ensemble.report.tables import Column, Table, format_number, names_column, summary_column

Array = NDArray[np.float64]

IN_SAMPLE, CROSS_VALIDATED = "in-sample", "cross-validated"
METRICS = {
    "spearman": "ρ",
    "within_stratum_spearman": "within-stratum ρ",
    "pairwise_accuracy": "pairwise accuracy",
}
COMBINER_TITLES = {"vote": "majority vote", "mean": "weighted mean"}


def votes(data: ReportData) -> Section:
    """Best vote subsets, weights of the mean, and their metrics in-sample and cross-validated."""
    key, title = "votes", "Majority vote and weighted mean"
    if not data.proxies:
        return Section(key, title, (NO_SCORES,))
    X = {source: table.values for source, table in data.proxies.items()}
    voters = {source: MajorityVote().fit(values, data.benchmark.accuracy) for source, values in X.items()}
    means = {source: WeightedMean().fit(values, data.benchmark.accuracy) for source, values in X.items()}
    models: dict[str, Mapping[str, Any]] = {"vote": voters, "mean": means}
    rows = [(data.stratum, "no fit", data.baselines[data.stratum])]
    for name, by_source in models.items():
        for source, model in by_source.items():
            rows.append((f"{COMBINER_TITLES[name]}, {source}", IN_SAMPLE, _in_sample(data, model.predict(X[source]))))
    held_out = data.evaluation.get("combiners", {})
    source_suffix = _evaluated_source(data)
    rows += [
        (COMBINER_TITLES[name] + source_suffix, CROSS_VALIDATED, held_out[name]) for name in models if name in held_out
    ]
    text = (
        "As in the study, the subset of proxies whose majority vote orders most pairs of architectures is searched "
        f"among all subsets, on the same {len(data.benchmark)} architectures that it is evaluated on ({IN_SAMPLE}). "
        f"Rows marked {CROSS_VALIDATED} learn directions, subset and weights from training folds only; they are part "
        f"of the evaluation. {_optimism(voters, held_out)}"
    )
    notices = () if len(rows) > 1 + 2 * len(X) else (Missing("The evaluation contains neither vote nor mean."),)
    tables = [_comparison(rows), *(_subsets(data, source, model) for source, model in voters.items())]
    return Section(key, title, (text, *notices, *tables, _weights(data, means)))


def _evaluated_source(data: ReportData) -> str:
    """Return the source of the evaluation's scores, the one with the same metrics, as a suffix of titles."""
    evaluated = data.evaluation.get("scores", {})
    for source, rows in data.metrics.items():
        shared = [(rows[name]["spearman"], evaluated[name].get("spearman")) for name in rows if name in evaluated]
        if shared and all((a is b) or np.isclose(a or 0.0, b or 0.0) for a, b in shared):
            return f", {source}"
    return ""


def _in_sample(data: ReportData, predicted: Array) -> Metrics:
    return prediction_metrics(predicted, data.benchmark.accuracy, data.benchmark.strata, absolute=False)


def _optimism(voters: Mapping[str, MajorityVote], held_out: Mapping[str, Any]) -> str:
    summary = held_out.get("vote", {}).get("pairwise_accuracy")
    source = "ours" if "ours" in voters else next(iter(voters))
    in_sample = format_number(voters[source].top_subsets_[0][1])
    sentence = f"The best subset, {source}, has a pairwise accuracy of {in_sample}"
    if summary is None:
        return f"{sentence}."
    return f"{sentence} in-sample; on held-out rows a vote reaches {format_number(summary['mean'])}."


def _comparison(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    columns = [
        names_column("combiner", "combiner", (name for name, _, _ in rows)),
        Column("fitted", "fitted", [mode for _, mode, _ in rows], "text"),
        *(summary_column(name, title, (row.get(name) for _, _, row in rows)) for name, title in METRICS.items()),
    ]
    return Table("votes", "Votes and means in-sample, as in the study, and cross-validated", tuple(columns))


def _subsets(data: ReportData, source: str, model: MajorityVote) -> Table:
    names = [name.removeprefix("proxy.") for name in data.proxies[source].names]
    subsets = model.top_subsets_
    columns = (
        names_column("rank", "rank", (str(i) for i in range(1, len(subsets) + 1))),
        Column("pairwise_accuracy", "pairwise accuracy", [accuracy for _, accuracy in subsets]),
        Column("size", "proxies", [len(members) for members, _ in subsets], "count"),
        Column("members", "subset", [_signed_names(names, members, model) for members, _ in subsets], "text"),
    )
    title = f"Best subsets for a majority vote, {source}, {IN_SAMPLE}; − marks a proxy with reversed sign"
    return Table(f"vote_subsets_{source}", title, columns)


def _signed_names(names: Sequence[str], members: Sequence[int], model: MajorityVote) -> str:
    return ", ".join(("−" if model.directions_[i] < 0 else "") + names[i] for i in members)


def _weights(data: ReportData, means: Mapping[str, WeightedMean]) -> Table:
    columns = [names_column("proxy", "proxy", data.names)]
    for source, model in means.items():
        names = [name.removeprefix("proxy.") for name in data.proxies[source].names]
        weights = dict(zip(names, model.weights_.tolist(), strict=True))
        columns.append(Column(f"{source}_weight", source, [weights.get(name) for name in data.names], group="weight"))
    title = "Weights of the weighted mean, fitted on all architectures: ρ of each min–max normalized score"
    return Table("mean_weights", title, tuple(columns))
