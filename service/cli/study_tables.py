"""Tables of studies, their predictions and suggestions."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from service.cli.tables import number_table

Document = dict[str, Any]


def predictions(items: Sequence[Document], notes: Sequence[str]) -> Group:
    """Return a table of predictions in their order, with notes and warnings below."""
    table = number_table("architecture", "value", "90 % interval", "percentile", "P(failure)")
    table.columns[2].no_wrap = True
    lines = list(notes)
    for i, item in enumerate(items, start=1):
        if error := item.get("error"):
            table.add_row(f"#{i}")
            lines.append(f"#{i}: {error['detail']}")
            continue
        interval, failure = item["interval"], item["failure_probability"]
        table.add_row(
            f"#{i}",
            _number(item["value"]),
            "–" if interval is None else f"{interval['low']:.4g}–{interval['high']:.4g}",
            f"{100 * item['percentile']:.1f}",
            "–" if failure is None else f"{failure:.2f}",
        )
        lines += [f"#{i}: {warning}" for warning in item["warnings"]]
    return Group(table, *map(escape, lines))


def state_tables(state: Document) -> Group:
    """Return the tables of a study's state: definition, quality by number of trained architectures, best; notes."""
    tables = [_definition(state)]
    if state["quality"] and state["quality"]["curve"]:
        tables.append(_quality(state["quality"]))
    if state["best"]:
        tables.append(_best(state))
    return Group(*tables, *map(escape, state["notes"]))


def _definition(state: Document) -> Table:
    metric, count = state["metric"], state["observations"]
    table = number_table(f"study {escape(state['name'])}", "")
    settings = ", ".join(f"{name}={value}" for name, value in state["settings"].items())
    table.add_row("space", escape(f"{state['space']} {settings}".strip()))
    if state["task"]:
        table.add_row("task", escape(state["task"]))
    table.add_row("metric", escape(f"{metric['name']}, {metric['direction']}, {metric['unit']}"))
    table.add_row("sources", escape(", ".join(state["sources"])) or "none")
    table.add_row(
        "observations",
        f"{count['total']}; architectures: {count['trained']} trained, {count['failed']} failed, "
        f"{count['running']} running",
    )
    return table


def _quality(quality: Document) -> Table:
    columns = ["ρ", "ρ sources"]
    if label := quality.get("stratum_label"):
        columns.append(f"ρ {label}")
    table = number_table("trained", *columns, "coverage")
    for point in quality["curve"]:
        names = ("spearman", "sources_spearman", "stratum_spearman")[: len(columns)]
        numbers = [*(point[name] for name in names), point["coverage"]]
        table.add_row(str(point["n"]), *("–" if number is None else f"{number:.2f}" for number in numbers))
    return table


def _best(state: Document) -> Table:
    import json

    table = number_table("best", "architecture")
    table.columns[1].justify = "left"
    for item in state["best"]:
        table.add_row(_number(item["value"]), escape(json.dumps(item["architecture"])))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
