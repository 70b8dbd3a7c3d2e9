"""Comparison of two studies: expressions that also read the layers' tensors, and those of scores alone."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from common.errors import InputError
from evolution import EvolutionSettings, Measurements
from evolution.comparison import HeldOut, evidence
from evolution.splits import Folds
from proxies.evolved import Expression, parse_expression
from proxies.evolved.proxy import readable_proxies, terminal_types
from proxies.registry import proxies_by_name


def expression_parser() -> Callable[[Any], Expression]:
    """Return the function that parses an expression of the registered proxies."""
    return partial(parse_expression, terminals=terminal_types(readable_proxies(proxies_by_name())))


def compare_levels(
    benchmarks: Sequence[Measurements],
    settings: EvolutionSettings,
    layers: Mapping[str, Any],
    scores_alone: Mapping[str, Any],
) -> dict[str, Any]:
    """Compare the expressions of each fold on its held-out architectures, paired by architecture.

    Args:
        benchmarks: training and test benchmarks, with the layers.
        settings: settings of both studies.
        layers: report of the study with the layers.
        scores_alone: report of the study of scores alone.

    Returns:
        By benchmark, the quality of the expressions of scores alone and the difference from it.

    Raises:
        InputError: the studies are of other architectures, so that their folds differ.
    """
    parse = expression_parser()
    pairs = [
        (parse(ours["expression"]), parse(theirs["expression"]))
        for ours, theirs in zip(layers["folds"], scores_alone["folds"], strict=True)
    ]
    folds = Folds(benchmarks, settings.folds, settings.seed)
    compared = {}
    for each in benchmarks:
        number = scores_alone["benchmarks"][each.name]["architectures"]
        if number != len(each):
            raise InputError(f"{each.name}, architectures", number, f"{len(each)}, as with the layers")
        held_out = [HeldOut(folds.test(each, i), *pair) for i, pair in enumerate(pairs)]
        found = evidence(held_out, settings.seed)
        compared[each.name] = {"quality": found["hand_written"], "difference": found["difference"]}
    return compared
