"""Combiners: estimators of accuracy from scores, curves and structure, one file each, listed in `registry`."""

from ensemble.combiners.base import Combiner, State
from ensemble.combiners.registry import (
    DEFAULT,
    EARLY_CURVE,
    OMNI,
    STRUCTURE,
    TRANSFER,
    CombinerInfo,
    combiner_infos,
    combiner_names,
    get_combiner,
)

__all__ = [
    "DEFAULT",
    "EARLY_CURVE",
    "OMNI",
    "STRUCTURE",
    "TRANSFER",
    "Combiner",
    "CombinerInfo",
    "State",
    "combiner_infos",
    "combiner_names",
    "get_combiner",
]
