"""Sources inside an ensemble: what they have to fulfil, and their part of the artifact."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import State, get_combiner
from ensemble.data.benchmark import Benchmark
from ensemble.data.columns import Columns
from ensemble.fitted_combiner import FittedCombiner
from ensemble.source import Source
from models import Architecture, InputError, SearchSpace, get_space

Array = NDArray[np.float64]


def check_source(field: str, manifest: Mapping[str, Any], earlier: Sequence[str], benchmark: Benchmark) -> None:
    """Check that an ensemble can be a source of an ensemble of a benchmark.

    Args:
        field: name of the source in errors.
        manifest: manifest of the source's ensemble.
        earlier: names of the sources before it.
        benchmark: the trained architectures that the new ensemble is fitted to.

    Raises:
        InputError: it is of another search space, has the name of an earlier source, or has seen the accuracies of the
            benchmark: those of the same rows, of all rows that they were drawn from, or of another draw from them,
            known by the name of the benchmark and its settings.
    """
    name, space, fitted_to = manifest["name"], benchmark.space, manifest["benchmark"]
    if manifest["space"] != space.name:
        raise InputError(field, f"{name}, an ensemble of {manifest['space']}", f"an ensemble of {space.name}")
    if name in earlier:
        raise InputError(field, name, "a name that no earlier source has")
    of_same_name = (fitted_to["name"], manifest["settings"]) == (benchmark.name, space.settings)
    seen = {fitted_to["data_hash"], fitted_to.get("drawn_from")} - {None}
    if of_same_name or seen & {benchmark.data_hash, benchmark.drawn_from}:
        value = f"{name}, fitted to the benchmark {fitted_to['name']}"
        raise InputError(field, value, "an ensemble of another task: it has seen accuracies of the same benchmark")


def source_entry(source: Source, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a source for the manifest of the ensemble that embeds it.

    Args:
        source: the source.
        manifest: manifest of the source's ensemble.
    """
    return {
        "name": source.name,
        "settings": source.space.settings,
        "task": manifest.get("task"),
        "rows": manifest["benchmark"]["size"],
        "data_hash": manifest["benchmark"]["data_hash"],
        "combiner": source.fitted.info.name,
        "seed": manifest["seed"],
    }


def source_scores(sources: Sequence[Source], architectures: Sequence[Architecture]) -> dict[str, Array]:
    """Scores of architectures by the name of the source, (m,) each."""
    return {source.name: source.scores(architectures) for source in sources}


def sources_state(sources: Sequence[Source]) -> State:
    """Fitted state of sources for an artifact."""
    return State.merged({str(i): source.fitted.get_state() for i, source in enumerate(sources)})


def restore_sources(entries: Sequence[Mapping[str, Any]], space: SearchSpace[Any], state: State) -> tuple[Source, ...]:
    """Restore sources.

    Args:
        entries: results of `source_entry`.
        space: search space of the ensemble that embeds them.
        state: result of `sources_state`.

    Raises:
        InputError: a setting or a combiner does not exist.
        KeyError: a part is missing.
        ValueError: the parts do not fit each other.
    """
    sources = []
    for i, entry in enumerate(entries):
        own_space, info = get_space(space.name, **entry["settings"]), get_combiner(entry["combiner"])
        columns, part = Columns.from_space(own_space), state.part(str(i))
        fitted = FittedCombiner.from_state(info, columns, entry["seed"], part, explained=False)
        sources.append(Source(entry["name"], own_space, fitted))
    return tuple(sources)
