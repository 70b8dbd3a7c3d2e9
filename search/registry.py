"""The strategies by name."""

from models import UnknownNameError
from search.base import Strategy

STRATEGIES: tuple[type[Strategy], ...] = ()
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
