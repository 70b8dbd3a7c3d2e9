"""Combiners: from proxy scores and structure to an accuracy. One file each; `registry` lists them."""

from ensemble.combiners.base import Combiner, State
from ensemble.combiners.registry import COMBINERS, DEFAULT, STRUCTURE, CombinerInfo, combiner_names, get_combiner

__all__ = ["COMBINERS", "DEFAULT", "STRUCTURE", "Combiner", "CombinerInfo", "State", "combiner_names", "get_combiner"]
