"""Searches for architectures: strategies that ask for architectures and are told what came of them."""

from search.base import SearchDomain, Strategy, Surrogate, Trial
from search.front import front
from search.moves import SpaceMoves, TableMoves
from search.registry import get_strategy, strategy_names

__all__ = [
    "SearchDomain",
    "SpaceMoves",
    "Strategy",
    "Surrogate",
    "TableMoves",
    "Trial",
    "front",
    "get_strategy",
    "strategy_names",
]
