"""The card of an ensemble: what it was fitted on, how good it is, and what it is not good for."""

from collections.abc import Mapping
from typing import Any

from ensemble.calibration.conformal import LEVEL
from ensemble.combiners import DEFAULT, STRUCTURE
from ensemble.data.features import PROXY

MEASURES = ("spearman", "within_depth", "partial", "kendall", "pairwise", "mae")
HEADLINES = (DEFAULT, STRUCTURE)
BASELINES = {"depth": "counting layers", "params": "counting parameters"}
HONEST = (0.88, 0.93)
"""Coverage that passes for the nominal level."""


def card(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """From an ensemble's manifest, as plain data.

    `measured` holds, by combiner and baseline, `{"mean", "sd"}` of each measure, with `coverage` and `width` of its
    intervals and the `brier` score of its pairwise probabilities; None where it was not measured. `limits` are
    sentences.
    """
    metrics = manifest["metrics"]
    rows = {**metrics.get("combiners", {}), **metrics.get("baselines", {})}
    intervals = metrics.get("intervals", {}).get("combiners", {})
    pairs = metrics.get("pairs", {}).get("combiners", {})
    measured = {
        name: {
            **{measure: row.get(measure) for measure in MEASURES},
            **{part: intervals.get(name, {}).get(part) for part in ("coverage", "width")},
            **{f"brier, {which}": pairs.get(name, {}).get(which, {}).get("brier") for which in ("all", "within_depth")},
        }
        for name, row in rows.items()
    }
    return {
        "name": manifest["name"],
        "hash": manifest.get("manifest_sha256"),
        "created_by": manifest["created_by"],
        "space": manifest["space"],
        "settings": manifest["settings"],
        "benchmark": manifest["benchmark"],
        "proxies": manifest["proxies"],
        "batch": manifest["batch"],
        "batch_fingerprint": manifest["batch_fingerprint"],
        "seed": manifest["seed"],
        "features": _features(manifest["columns"]),
        "combiners": manifest["combiners"],
        "interval_level": LEVEL,
        "method": metrics.get("method"),
        "baselines": list(metrics.get("baselines", {})),
        "measured": measured,
        "limits": _limits(manifest),
    }


def shortcomings(metrics: Mapping[str, Any]) -> list[str]:
    """In which of ρ and ρ within depth the combiners that answer by default do not beat the baselines, as sentences."""
    found = []
    for name in HEADLINES:
        for measure, word in (("spearman", "ρ"), ("within_depth", "ρ within depth")):
            if name not in metrics.get("combiners", {}):
                continue
            own = _mean(metrics["combiners"][name], measure)
            if own is None:
                found.append(f"{name} has no {word} that is defined in every repeat")
                continue
            for baseline, what in BASELINES.items():
                theirs = _mean(metrics.get("baselines", {}).get(baseline), measure)
                if theirs is not None and own <= theirs:
                    found.append(f"{name} does not beat {what} in {word}: {own:.3f}, {what} {theirs:.3f}")
    return found


def _mean(row: Mapping[str, Any] | None, measure: str) -> float | None:
    summary = (row or {}).get(measure)
    return None if summary is None else float(summary["mean"])


def _features(columns: list[str]) -> dict[str, int]:
    proxies = sum(column.startswith(PROXY) for column in columns)
    cost = sum(column.startswith("cost.") for column in columns)
    return {"proxies": proxies, "structure": len(columns) - proxies - cost, "cost": cost}


def _limits(manifest: Mapping[str, Any]) -> list[str]:
    benchmark, metrics = manifest["benchmark"], manifest["metrics"]
    depths = ", ".join(benchmark["by_depth"])
    low, high = benchmark["accuracy"]
    limits = [
        f"It knows {benchmark['architectures']} networks of {depths} layers with accuracies from {low:.4f} to "
        f"{high:.4f}, of one data set, one training recipe and one run each. Elsewhere its order may hold; its "
        "accuracies do not.",
        *shortcomings(metrics),
    ]
    with_proxies, without = (_mean(metrics.get("combiners", {}).get(name), "within_depth") for name in HEADLINES)
    if with_proxies is not None and without is not None:
        gain = with_proxies - without
        much = "less than 0.001" if abs(gain) < 0.0005 else f"{gain:+.3f}"
        limits.append(f"Proxies change the ρ within depth of the default prediction by {much}.")
    if "noise" in metrics:
        noise = metrics["noise"]
        limits.append(
            f"Accuracies of one depth differ by noise with a standard deviation of about {100 * noise['sd']:.2f} "
            f"points: a prediction without error would have a ρ within depth of about {noise['within_depth']:.2f}."
        )
    for name in HEADLINES:
        coverage = metrics.get("intervals", {}).get("combiners", {}).get(name, {})
        for key, summary in coverage.items():
            if key.startswith("coverage") and summary and not HONEST[0] <= summary["mean"] <= HONEST[1]:
                where = key.removeprefix("coverage").removeprefix(", depth=")
                at = f" at {where} layers" if where else ""
                limits.append(f"{LEVEL:.0%} intervals of {name} cover {summary['mean']:.1%}{at}.")
    limits.append(
        "The combiners' own settings were chosen on the public gcn-nas benchmark; numbers measured on it are slightly "
        "optimistic."
    )
    return limits
