"""The strategies by name."""

from models import UnknownNameError
from search.base import Strategy
from search.strategies.evolution import Evolution
from search.strategies.local import Local
from search.strategies.move import Move
from search.strategies.pareto import Pareto
from search.strategies.random import Random
from search.strategies.warm_up import WarmUp

STRATEGIES: tuple[type[Strategy], ...] = (Random, Evolution, WarmUp, Move, Local, Pareto)
"""In the order in which they are shown: one line a strategy."""


def strategy_names() -> list[str]:
    """All names."""
    return [strategy.name for strategy in STRATEGIES]


def get_strategy(name: str) -> type[Strategy]:
    """The strategy of that name. Raises `UnknownNameError`."""
    for strategy in STRATEGIES:
        if strategy.name == name:
            return strategy
    raise UnknownNameError("strategy", name, strategy_names())
