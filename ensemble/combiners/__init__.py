"""Combiners: estimators of accuracy from proxy scores and structure, one file each, listed in `registry`."""

from ensemble.combiners.base import Combiner, State
from ensemble.combiners.registry import COMBINERS, DEFAULT, STRUCTURE, CombinerInfo, combiner_names, get_combiner

__all__ = ["COMBINERS", "DEFAULT", "STRUCTURE", "Combiner", "CombinerInfo", "State", "combiner_names", "get_combiner"]
