"""Registry of search strategies."""

from common.extras import require_extra
from models import UnknownNameError
from search.base import Strategy
from search.strategies.aging_evolution import AgingEvolution
from search.strategies.local_search import LocalSearch
from search.strategies.pareto_search import ParetoSearch
from search.strategies.random_search import RandomSearch
from search.strategies.robot import Robot
from search.strategies.study_search import StudySearch
from search.strategies.zero_cost_move import ZeroCostMove
from search.strategies.zero_cost_warm_up import ZeroCostWarmUp

STRATEGIES: tuple[type[Strategy], ...] = (
    RandomSearch,
    AgingEvolution,
    ZeroCostWarmUp,
    ZeroCostMove,
    LocalSearch,
    ParetoSearch,
    StudySearch,
    Robot,
)
"""In display order."""


def strategy_names(*, training: bool = True) -> list[str]:
    """Names of all strategies, in display order.

    Args:
        training: include those that are made for measured accuracies alone.
    """
    return [strategy.name for strategy in STRATEGIES if training or not strategy.needs_training]


def get_strategy(name: str) -> type[Strategy]:
    """Return the strategy registered under a name.

    Args:
        name: one of `strategy_names()`.

    Returns:
        The strategy's class.

    Raises:
        UnknownNameError: no strategy has this name.
        MissingExtraError: the strategy's optional dependencies are not installed.
    """
    for strategy in STRATEGIES:
        if strategy.name == name:
            if strategy.required_extra:
                require_extra(*strategy.required_extra)
            return strategy
    raise UnknownNameError("strategy", name, strategy_names())
