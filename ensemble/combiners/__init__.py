"""Combiners: estimators of accuracy from proxy scores and structure, one file each, listed in `registry`."""

from ensemble.combiners.base import Combiner, State
from ensemble.combiners.registry import (
    DEFAULT,
    STRUCTURE,
    TRANSFER,
    CombinerInfo,
    combiner_infos,
    combiner_names,
    get_combiner,
)

__all__ = [
    "DEFAULT",
    "STRUCTURE",
    "TRANSFER",
    "Combiner",
    "CombinerInfo",
    "State",
    "combiner_infos",
    "combiner_names",
    "get_combiner",
]
