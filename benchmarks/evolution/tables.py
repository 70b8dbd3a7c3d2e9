"""Tables of docs/evolution.md."""

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import markdown

METRICS = {
    "within_stratum_spearman": "within stratum",
    "spearman": "ρ",
    "kendall": "τ",
    "stratified_kendall": "τ, stratified",
}


def make_tables(reports: Mapping[str, Any], confirmation: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the tables by name.

    Args:
        reports: reports by study.
        confirmation: qualities on further cells; None before they are measured.
    """
    made = {
        "quality": _qualities(reports),
        "difference": _differences(reports, "held_out"),
        "levels": _differences(reports, "scores_alone"),
        "expressions": _expressions(reports),
    }
    return made if confirmation is None else made | {"confirmation": _confirmation(confirmation)}


def _confirmation(results: Mapping[str, Any]) -> str:
    heading = [
        "selected on",
        "tested on",
        "expression",
        *METRICS.values(),
        "difference within stratum",
        "difference in τ",
    ]
    rows = [heading, ["---", "---", "---", *["---:"] * (len(METRICS) + 2)]]
    for study, tests in results.items():
        for dataset, test in tests.items():
            rows.append([study, dataset, "evolved", *_numbers(test["evolved"]), "", ""])
            for name in _best(test["hand_written"]):
                written = test["hand_written"][name]
                differences = (written["difference"][metric] for metric in ("within_stratum_spearman", "kendall"))
                rows.append(
                    [study, dataset, f"`{name}`", *_numbers(written["quality"]), *map(_difference, differences)]
                )
    return markdown(rows)


def _best(hand_written: Mapping[str, Any]) -> list[str]:
    """Return the names of the proxies that are best in one of the metrics."""
    best = {max(hand_written, key=lambda name: hand_written[name]["quality"][metric]) for metric in METRICS}
    return sorted(best)


def _qualities(reports: Mapping[str, Any]) -> str:
    rows = [
        ["selected on", "tested on", "expression", *METRICS.values()],
        ["---", "---", "---", *["---:"] * len(METRICS)],
    ]
    for study, report in reports.items():
        for name, evidence in report["held_out"].items():
            rows.append([study, name, "evolved", *_numbers(evidence["evolved"])])
            rows.append([study, name, "hand-written", *_numbers(evidence["hand_written"])])
            if name in report["shuffled"]:
                rows.append([study, name, "evolved, shuffled labels", *_numbers(report["shuffled"][name])])
    return markdown(rows)


def _differences(reports: Mapping[str, Any], other: str) -> str:
    """Table of the differences from hand-written proxies (`held_out`), or from expressions of `scores_alone`."""
    rows = [
        ["selected on", "tested on", "within stratum", "τ", "better by two standard errors"],
        ["---"] * 2 + ["---:"] * 3,
    ]
    for study, report in reports.items():
        for name, evidence in report.get(other, {}).items():
            differences = [evidence["difference"][metric] for metric in ("within_stratum_spearman", "kendall")]
            verdict = [each is not None and each["is_significant"] for each in differences]
            words = [word for word, better in zip(("within stratum", "τ"), verdict, strict=True) if better]
            rows.append([study, name, *map(_difference, differences), ", ".join(words) or "no"])
    return markdown(rows)


def _difference(value: Mapping[str, float] | None) -> str:
    return "–" if value is None else f"{value['mean']:+.3f} ± {value['standard_error']:.3f}"


def _expressions(reports: Mapping[str, Any]) -> str:
    rows = [["study", "expression of all architectures", "hand-written, by fold"], ["---"] * 3]
    for study, report in reports.items():
        written = ", ".join(dict.fromkeys(_text(fold["hand_written"]) for fold in report["folds"]))
        rows.append([study, f"`{_text(report['expression'])}`", written])
    return markdown(rows)


def _text(expression: Any) -> str:
    if isinstance(expression, list):
        head, *arguments = expression
        return f"{head}({', '.join(map(_text, arguments))})"
    return f"{expression:g}" if isinstance(expression, float) else str(expression)


def _numbers(quality: Mapping[str, float | None]) -> list[str]:
    return ["–" if quality[name] is None else f"{quality[name]:.3f}" for name in METRICS]
