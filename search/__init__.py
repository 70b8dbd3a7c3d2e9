"""Searches for architectures: strategies that ask for architectures and are told what came of them."""

from search.base import Guide, Moves, Strategy, Trial
from search.registry import get_strategy, strategy_names

__all__ = ["Guide", "Moves", "Strategy", "Trial", "get_strategy", "strategy_names"]
