"""Searches for architectures: strategies that ask for architectures and are told what came of them."""

from search.base import Guide, Moves, Strategy, Trial
from search.front import front
from search.moves import SpaceMoves, TableMoves
from search.registry import get_strategy, strategy_names

__all__ = [
    "Guide",
    "Moves",
    "SpaceMoves",
    "Strategy",
    "TableMoves",
    "Trial",
    "front",
    "get_strategy",
    "strategy_names",
]
