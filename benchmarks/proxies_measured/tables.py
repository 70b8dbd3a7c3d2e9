"""Tables of docs/proxies-measured.md, from the results alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.graph_proxies.__main__ import DATASETS
from benchmarks.markdown import markdown
from benchmarks.proxies_measured.correlations import KINDS
from benchmarks.proxies_measured.gains import ALL, MODELS, is_significant
from benchmarks.proxies_measured.populations import GRAPHS, POPULATIONS, PROXIES, PUBLISHED_GRAPHS
from benchmarks.proxies_measured.results import STRATUM

SPACES = {
    "gcn-nas-ntu": "gcn-nas, NTU RGB+D",
    "nas-bench-201-cifar10": "nas-bench-201, CIFAR-10",
    GRAPHS: "nas-bench-graph",
}
"""Titles of the spaces by population."""
MEMBERS = {name: PUBLISHED_GRAPHS if name == GRAPHS else (name,) for name in SPACES}
"""Populations whose mean stands for a space."""
NEVER, NOT_MEASURED = "never", "–"
Results = Mapping[str, Any]


def make_tables(results: Results) -> dict[str, str]:
    """Markdown tables by name."""
    made = {}
    for name in SPACES:
        if name in results:
            made[f"correlations, {name}"] = _correlation_table(results[name])
        if members := _gains(results, name):
            made[f"gains, {name}"] = _gain_table(members)
    made["data sets"] = _dataset_table(results)
    made["scatter"] = _scatter_table(results)
    names = (*ordered_proxies(results), ALL)
    spaces = {SPACES[name]: members for name in SPACES if (members := _gains(results, name))}
    made["verdict"] = _verdict_table(names, spaces)
    graphs = {_dataset(name): members for name in PUBLISHED_GRAPHS if (members := _gains(results, name))}
    nowhere = {NEVER, NOT_MEASURED}
    somewhere = [name for name in names if not nowhere.issuperset(_verdict(rows, name) for rows in graphs.values())]
    made["verdict, data sets"] = _verdict_table(somewhere, graphs)
    return made


def ordered_proxies(results: Results) -> list[str]:
    """Names of the measured proxies, the largest mean of abs(ρ) given stratum and parameters first."""
    rows = [results[name]["correlations"] for name in SPACES if name in results]

    def strength(name: str) -> float:
        known = [abs(row[name]["given_stratum_and_parameters"][0] or 0) for row in rows if name in row]
        return -float(np.mean(known)) if known else 0.0

    return sorted((name for name in PROXIES if any(name in row for row in rows)), key=strength)


def _correlation_table(population: Mapping[str, Any]) -> str:
    rows, counts = population["correlations"], population["counts"]

    def label(name: str) -> str:
        some = counts.get(name, population["n"]) < population["n"]
        return _label(name) + (f" (of {counts[name]})" if some else "")

    def strength(name: str) -> float:
        return -abs(float(rows[name]["given_stratum"][0] or 0))

    names = [STRATUM, *sorted((name for name in PROXIES if name in rows), key=strength)]
    cells = [[label(name), *(_with_interval(rows[name][kind]) for kind in KINDS)] for name in names]
    return markdown(
        [["proxy", "all", "within depth", "given depth", "given depth and parameters"], ["---"] * 5, *cells]
    )


def _dataset_table(results: Results) -> str:
    names = [f"nas-bench-graph-{dataset}" for dataset in DATASETS if f"nas-bench-graph-{dataset}" in results]
    heads = [_dataset(name) + ("" if POPULATIONS[name].graph else " (synthetic)") for name in names]
    cells = [
        [
            _label(proxy),
            *(_signed(results[name]["correlations"].get(proxy, {}).get("given_stratum", [None])[0]) for name in names),
        ]
        for proxy in ordered_proxies(results)
    ]
    return markdown([["proxy", *heads], ["---"] * (len(heads) + 1), *cells])


def _scatter_table(results: Results) -> str:
    names = [name for name in POPULATIONS if results.get(name, {}).get("scatter", {}).get("n")]
    rows = [["proxy", *names], ["---"] * (len(names) + 1)]
    for proxy in ordered_proxies(results):
        pairs = [results[name]["scatter"]["proxies"].get(proxy) for name in names]
        cells = ["–" if pair is None else f"{_ratio(pair[0])} / {_signed(pair[1])}" for pair in pairs]
        rows.append([_label(proxy), *cells])
    return markdown(rows)


def _gains(results: Results, space: str) -> list[Mapping[str, Any]]:
    """Gains of the populations of a space, or of one population, by the models and numbers of labels that all have."""
    members = MEMBERS.get(space, (space,))
    found = [gains for name in members if (gains := results.get(name, {}).get("gains"))]
    keys = [key for key in (found[0] if found else ()) if all(key in gains for gains in found)]
    return [{key: gains[key] for key in keys} for gains in found]


def _gain_table(members: Sequence[Mapping[str, Any]]) -> str:
    keys = list(members[0])
    keys.sort(key=lambda key: (list(MODELS).index(key.split("/")[0]), int(key.split("/")[1])))
    gains = {key: mean_gains([member[key] for member in members]) for key in keys}
    rows = [["added", *(key.replace("/", ", ") for key in keys)], ["---"] * (len(keys) + 1)]
    bases = [np.mean([member[key]["base"] for member in members]) for key in keys]
    rows.append(["nothing: ρ of the structure", *(_signed(float(base)) for base in bases)])
    names = [name for name in (*PROXIES, ALL) if any(name in gain for gain in gains.values())]
    return markdown([*rows, *([_label(name), *(_gain(gains[key], name) for key in keys)] for name in names)])


def mean_gains(members: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float, bool]]:
    """Mean gain over data sets, an upper bound of its error, and whether it is significantly above 0, by proxy.

    The data sets have their architectures in common, so that errors may add up: the mean error is the bound.
    """
    found = {}
    names = [name for name in members[0]["proxies"] if all(name in member["proxies"] for member in members)]
    for name in names:
        mean, error = np.mean([member["proxies"][name] for member in members], axis=0)
        found[name] = (float(mean), float(error), bool(is_significant(mean, error, len(PROXIES))))
    return found


def _gain(gains: Mapping[str, tuple[float, float, bool]], name: str) -> str:
    if name not in gains:
        return "–"
    mean, error, significant = gains[name]
    text = f"{_thousandths(mean, '+')} ± {_thousandths(error)}"
    return f"**{text}**" if significant else text


def _verdict_table(names: Sequence[str], populations: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    cells = [[_label(name), *(_verdict(members, name) for members in populations.values())] for name in names]
    return markdown([["proxy", *populations], ["---"] * (len(populations) + 1), *cells])


def _verdict(members: Sequence[Mapping[str, Any]], proxy: str) -> str:
    """Where a proxy adds something: numbers of labels by model, or `never`; a dash where it was not measured."""
    found, measured = [], False
    for model in MODELS:
        sizes = []
        for key in members[0]:
            name, size = key.split("/")
            if name == model and (gain := mean_gains([member[key] for member in members]).get(proxy)):
                measured = True
                if gain[2]:
                    sizes.append(int(size))
        if sizes:
            found.append(f"{model} {', '.join(map(str, sorted(sizes)))}")
    return "; ".join(found) or (NEVER if measured else NOT_MEASURED)


def _dataset(population: str) -> str:
    return population.removeprefix("nas-bench-graph-")


def _label(name: str) -> str:
    if name == ALL:
        return "all together"
    return "depth alone" if name == STRATUM else f"`{name}`"


def _with_interval(row: Sequence[float | None]) -> str:
    rho, low, high = row
    return "–" if rho is None else f"{_signed(rho)} ({_signed(low)} to {_signed(high)})"


def _signed(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:.2f}".replace("0.", ".", 1)
    return ".00" if text == "-.00" else text.replace("-", "−")


def _ratio(value: float | None) -> str:
    if value is None:
        return "–"
    return "> 100" if value > 100 else f"{value:.2f}"


def _thousandths(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("0.", ".", 1).replace("-", "−")
