"""Tables of predictions, explanations and scores."""

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table

from ensemble.data.benchmark import metric_of
from models import get_space
from service.api.schemas import FailedItem, PredictedItem, PredictionResponse, ProxyScore, ScoreResponse


def predictions(response: PredictionResponse, names: Sequence[str] | None = None) -> Table:
    """Return a table of the architectures, best first and failed ones last, with warnings as its caption."""
    strata = [] if response.stratum_label is None else [response.stratum_label]
    metric = metric_of(get_space(response.space, **response.settings)).label
    table = number_table("architecture", *strata, metric, "90 % interval", "percentile", "rank", "s")
    table.columns[2 + len(strata)].no_wrap = True
    notes = []
    for name, item in ranked(response, names):
        seconds = sum(score.seconds for score in item.scores.values())
        accuracy, interval = "—", "—"
        if item.accuracy is not None and item.interval is not None:
            accuracy, interval = f"{item.accuracy:.4f}", f"{item.interval.low:.4f}–{item.interval.high:.4f}"
        numbers = (accuracy, interval, f"{100 * item.percentile:.1f}", str(item.rank), f"{seconds:.2f}")
        table.add_row(name, *([str(item.stratum)] if strata else []), *numbers)
        notes += [f"{name}: {warning}" for warning in item.warnings]
    for name, failed in zip(_names(response, names), response.predictions, strict=True):
        if isinstance(failed, FailedItem):
            table.add_row(name)
            notes.append(f"{name}: {failed.error.detail}")
    if notes:
        table.caption, table.caption_justify = "\n".join(notes), "left"
    return table


def ranked(response: PredictionResponse, names: Sequence[str] | None = None) -> list[tuple[str, PredictedItem]]:
    """Return the names and predictions, best first, without failed ones."""
    items = zip(_names(response, names), response.predictions, strict=True)
    return sorted(
        ((name, item) for name, item in items if not isinstance(item, FailedItem)), key=lambda pair: pair[1].rank
    )


def comparison(response: PredictionResponse, names: Sequence[str] | None = None) -> Table | str:
    """Return the probabilities that the row's architecture beats the column's; empty unless requested."""
    if response.win_probability is None:
        return ""
    titles = _names(response, names)
    table = number_table("win probability", *titles)
    for title, row in zip(titles, response.win_probability, strict=True):
        table.add_row(title, *("" if probability is None else f"{probability:.2f}" for probability in row))
    return table


def explanations(response: PredictionResponse, names: Sequence[str] | None = None) -> Group:
    """Return a table for each explained prediction; empty unless requested."""
    return Group(*(explanation(name, item) for name, item in ranked(response, names) if item.explanation))


def explanation(name: str, item: PredictedItem, max_attributions: int = 8, max_mutations: int = 3) -> Table:
    """Return a table of the largest attributions and of the mutations with the largest gain, in percentage points."""
    assert item.explanation is not None
    table = number_table(f"explanation of {name}", "points")
    table.caption = f"added to a mean of {item.explanation.base_value:.4f}; by {item.explanation.combiner}"
    attributions = item.explanation.attributions
    for attribution in attributions[:max_attributions]:
        table.add_row(attribution.feature_group, f"{100 * attribution.contribution:+.2f}")
    if rest := attributions[max_attributions:]:
        table.add_row(f"{len(rest)} more", f"{100 * sum(attribution.contribution for attribution in rest):+.2f}")
    for suggested in (item.suggested_mutations or [])[:max_mutations]:
        mutation = ", ".join(f"{field} {value}" for field, value in suggested.mutation.items())
        table.add_row(f"mutation: {mutation}", f"{100 * suggested.accuracy_gain:+.2f}")
    return table


def scores(response: ScoreResponse, names: Sequence[str] | None = None) -> Table:
    """Return a table with a row per proxy and a column per architecture, with remarks as its caption."""
    titles = list(names) if names is not None else [f"#{i}" for i in range(len(response.scores))]
    items = list(zip(titles, response.scores, strict=True))
    scored = [(title, item) for title, item in items if not isinstance(item, FailedItem)]
    table = number_table("proxy", *(title for title, _ in scored))
    for proxy in dict.fromkeys(proxy for _, item in scored for proxy in item.scores):
        table.add_row(proxy, *(_score_text(item.scores[proxy]) for _, item in scored))
    notes = [f"{title}: {item.error.detail}" for title, item in items if isinstance(item, FailedItem)]
    notes += dict.fromkeys(
        f"{proxy} is not applicable: {score.note}"
        for _, item in scored
        for proxy, score in item.scores.items()
        if score.status == "not_applicable"
    )
    if notes:
        table.caption, table.caption_justify = "\n".join(notes), "left"
    return table


def number_table(name: str, *numbers: str) -> Table:
    """Return an empty table with a column of names and columns of numbers."""
    table = Table(name, box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.columns[0].no_wrap = True
    for title in numbers:
        table.add_column(title, justify="right", overflow="fold")
    return table


def _names(response: PredictionResponse, names: Sequence[str] | None) -> list[str]:
    return list(names) if names is not None else [f"#{i}" for i in range(len(response.predictions))]


def _score_text(score: ProxyScore) -> str:
    if score.log is not None:
        return f"e^{score.log:.3g}"
    return score.status.replace("_", " ") if score.value is None else f"{score.value:.3g}"
