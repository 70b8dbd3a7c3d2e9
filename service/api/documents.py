"""Conversion of results to JSON documents."""

from collections.abc import Mapping
from typing import Any

from ensemble import card
from service.api.cards import EnsembleCard


def ensemble_card(manifest: Mapping[str, Any]) -> EnsembleCard:
    """Make the card of an ensemble from its manifest."""
    data = card(manifest)
    if "metrics" in data:
        return EnsembleCard.model_validate(data)
    data["limitations"] = data.pop("limits")
    data["metrics"] = {name: _metrics(name, row, manifest["metrics"]) for name, row in data.pop("measured").items()}
    return EnsembleCard.model_validate(data)


def _metrics(name: str, row: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {
        "spearman": "spearman",
        "within_stratum_spearman": "within_depth",
        "partial_spearman": "partial",
        "kendall": "kendall",
        "pairwise_accuracy": "pairwise",
        "mae": "mae",
    }
    intervals = metrics.get("intervals", {}).get("combiners", {}).get(name)
    pairs = metrics.get("pairs", {}).get("combiners", {}).get(name)

    def summary(value: Any) -> Any:
        return value and {"mean": value["mean"], "std": value["sd"]}

    def by_stratum(metric: str) -> dict[str, Any] | None:
        if intervals is None:
            return None
        start = f"{metric}, depth="
        strata = {key.removeprefix(start): summary(intervals[key]) for key in intervals if key.startswith(start)}
        return {"overall": summary(intervals.get(metric)), "by_stratum": strata}

    return {
        **{new: summary(row.get(old)) for new, old in renamed.items()},
        "coverage": by_stratum("coverage"),
        "interval_width": by_stratum("width"),
        "brier": pairs
        and {
            "overall": summary(pairs.get("all", {}).get("brier")),
            "within_stratum": summary(pairs.get("within_depth", {}).get("brier")),
        },
    }
