"""Card of an ensemble: training data, cross-validated metrics and limitations."""

from collections.abc import Mapping
from typing import Any

from ensemble.calibration.conformal import LEVEL
from ensemble.combiners import DEFAULT, EARLY_CURVE, STRUCTURE, TRANSFER, get_combiner
from ensemble.data.benchmark import metric_of, stratum_label, task_summary
from ensemble.data.columns import COSTS, CURVE, PROXY, SOURCE
from ensemble.evaluation.baselines import PARAMS
from ensemble.evaluation.protocol import MIN_ARCHITECTURES
from models import SearchSpace, get_space

METRICS = ("spearman", "within_stratum_spearman", "partial_spearman", "kendall", "pairwise_accuracy", "mae")
SOURCE_FIELDS = ("name", "settings", "task", "rows", "data_hash")
MIN_COVERAGE, MAX_COVERAGE = 0.88, 0.93
"""Range of coverage that counts as the nominal level."""


def card(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Make the card of an ensemble.

    Args:
        manifest: the ensemble's manifest.

    Returns:
        Plain data. `metrics` holds, by combiner and baseline, each metric as `{"mean", "std"}` over repeats: those of
        `METRICS`, `coverage` and `interval_width` as `{"overall", "by_stratum"}`, and `brier` as
        `{"overall", "within_stratum"}`; None where a metric is not known. `left_out` holds the reason, by name, for
        each combiner and proxy that is not used. `limitations` are sentences.
    """
    space = get_space(manifest["space"], **manifest["settings"])
    metrics = manifest["metrics"]
    rows = {**metrics.get("combiners", {}), **metrics.get("baselines", {})}
    intervals = metrics.get("intervals", {}).get("combiners", {})
    pairs = metrics.get("pairs", {}).get("combiners", {})
    return {
        "name": manifest["name"],
        "hash": manifest.get("manifest_sha256"),
        "created_by": manifest["created_by"],
        "space": manifest["space"],
        "settings": manifest["settings"],
        "task": task_summary(space),
        "stratum_label": stratum_label(space),
        "benchmark": manifest["benchmark"],
        "sources": [{name: source[name] for name in SOURCE_FIELDS} for source in manifest.get("sources", [])],
        "ranks_only": ranks_only(manifest),
        "proxies": manifest["proxies"],
        "batch": manifest["batch"],
        "batch_fingerprint": manifest["batch_fingerprint"],
        "seed": manifest["seed"],
        "curve": manifest.get("curve"),
        "features": _feature_counts(manifest["columns"]),
        "combiners": manifest["combiners"],
        "left_out": manifest.get("left_out", {"combiners": {}, "proxies": {}}),
        "interval_level": LEVEL,
        "method": metrics.get("method"),
        "baselines": list(metrics.get("baselines", {})),
        "metrics": {
            name: {
                **{metric: row.get(metric) for metric in METRICS},
                **{metric: intervals.get(name, {}).get(metric) for metric in ("coverage", "interval_width")},
                "brier": pairs.get(name, {}).get("brier"),
            }
            for name, row in rows.items()
        },
        "limitations": _limitations(manifest, space),
    }


def ranks_only(manifest: Mapping[str, Any]) -> bool:
    """Return true for an ensemble that was fitted to too few architectures for accuracies."""
    return bool(manifest.get("sources")) and manifest["benchmark"]["size"] < MIN_ARCHITECTURES


def ranking_note(manifest: Mapping[str, Any]) -> str:
    """State in a sentence what the ranks of an ensemble that only ranks rest on."""
    benchmark, sources = manifest["benchmark"], len(manifest["sources"])
    low, high = benchmark["accuracy_range"] or (0.0, 0.0)
    origin = f"{sources} source{'s' if sources > 1 else ''}"
    # Without two different accuracies there is nothing to learn.
    origin = f"{benchmark['size']} trained architectures and {origin}" if low < high else f"{origin} alone"
    return (
        f"ranks and percentiles only, among random architectures; they rest on {origin}: accuracies and intervals from "
        f"{MIN_ARCHITECTURES} trained architectures on"
    )


def shortcomings(manifest: Mapping[str, Any]) -> list[str]:
    """Compare the default combiners with the baselines.

    Args:
        manifest: the ensemble's manifest.

    Returns:
        One sentence for each baseline that is not exceeded in ρ or within-stratum ρ, and for each correlation that is
        not defined.
    """
    metrics, sentences = manifest["metrics"], list[str]()
    label = stratum_label(get_space(manifest["space"], **manifest["settings"]))
    for name in _headline_combiners(manifest):
        for metric, symbol in (("spearman", "ρ"), ("within_stratum_spearman", "within-stratum ρ")):
            if name not in metrics.get("combiners", {}):
                continue
            correlation = _mean(metrics["combiners"][name], metric)
            if correlation is None:
                sentences.append(f"The {symbol} of {name} is not defined in every repeat.")
                continue
            for baseline, row in metrics.get("baselines", {}).items():
                feature = "number of parameters" if baseline == PARAMS else label
                reference = _mean(row, metric)
                if reference is not None and correlation <= reference:
                    sentences.append(
                        f"The {symbol} of {name}, {correlation:.3f}, does not exceed that of the {feature}, "
                        f"{reference:.3f}."
                    )
    return sentences


def _headline_combiners(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Default combiners with and without proxy scores, which are one in an ensemble with sources."""
    default: str = manifest.get("default", STRUCTURE)
    return (default,) if get_combiner(default).needs_sources else (DEFAULT, default)


def _mean(row: Mapping[str, Any] | None, metric: str) -> float | None:
    summary = (row or {}).get(metric)
    return None if summary is None else float(summary["mean"])


def _gain(metrics: Mapping[str, Any], metric: str, combiner: str, other: str) -> str | None:
    """Difference of a metric between two combiners, in words; None where one of them lacks it."""
    value, reference = (_mean(metrics.get("combiners", {}).get(name), metric) for name in (combiner, other))
    if value is None or reference is None:
        return None
    gain = value - reference
    return "less than 0.001" if abs(gain) < 0.0005 else f"{gain:+.3f}"


def _epochs(number: int) -> str:
    return "the first epoch" if number == 1 else f"the first {number} epochs"


def _feature_counts(columns: list[str]) -> dict[str, int]:
    proxies = sum(column.startswith(PROXY) for column in columns)
    sources = sum(column.startswith(SOURCE) for column in columns)
    curve = sum(column.startswith(CURVE) for column in columns)
    cost = sum(column in COSTS for column in columns)
    structure = len(columns) - proxies - sources - curve - cost
    return {"proxies": proxies, "sources": sources, "curve": curve, "structure": structure, "cost": cost}


def _limitations(manifest: Mapping[str, Any], space: SearchSpace[Any]) -> list[str]:
    if ranks_only(manifest):
        return [f"{note[0].upper()}{note[1:]}." for note in (ranking_note(manifest),)]
    benchmark, metrics = manifest["benchmark"], manifest["metrics"]
    label, metric, task = stratum_label(space), metric_of(space).label, task_summary(space)
    strata = f" ({label}: {', '.join(benchmark['by_stratum'])})" if label else ""
    low, high = benchmark["accuracy_range"]
    limitations = [
        f"Fitted on {benchmark['size']} networks{strata} with {metric} from {low:.4f} to {high:.4f}"
        + (f" on {task['name']}" if task else "")
        + f", trained with one recipe. On other data the ranking may hold; the predicted {metric} does not.",
        *shortcomings(manifest),
    ]
    default: str = manifest.get("default", STRUCTURE)
    gain = _gain(metrics, "within_stratum_spearman", DEFAULT, default)
    if gain is not None and DEFAULT in _headline_combiners(manifest):
        limitations.append(f"Proxies change the within-stratum ρ of the default prediction by {gain}.")
    if (gain := _gain(metrics, "spearman", TRANSFER, STRUCTURE)) is not None:
        limitations.append(f"Sources change the ρ of a prediction from structure by {gain}.")
    if (gain := _gain(metrics, "within_stratum_spearman", EARLY_CURVE, STRUCTURE)) is not None:
        epochs = _epochs(manifest["curve"]["epochs"])
        limitations.append(
            f"A curve of {epochs} changes the within-stratum ρ of a prediction from structure by {gain}."
        )
    if noise := metrics.get("noise"):
        limitations.append(
            f"The {metric} within a stratum contains noise with a standard deviation of about {100 * noise['std']:.2f} "
            "percentage points, which limits the within-stratum ρ of a perfect prediction to about "
            f"{noise['spearman_ceiling']['within_stratum']:.2f}."
        )
    for name in _headline_combiners(manifest):
        coverage = metrics.get("intervals", {}).get("combiners", {}).get(name, {}).get("coverage")
        if coverage is None:
            continue
        scopes = {"": coverage["overall"]}
        scopes |= {f" for {label} {stratum}": summary for stratum, summary in coverage["by_stratum"].items() if label}
        for scope, summary in scopes.items():
            if summary and not MIN_COVERAGE <= summary["mean"] <= MAX_COVERAGE:
                limitations.append(f"{LEVEL:.0%} intervals of {name} cover {summary['mean']:.1%}{scope}.")
    limitations.append(
        "The hyperparameters of the combiners were chosen on public benchmarks; metrics on these are slightly "
        "optimistic."
    )
    return limitations
