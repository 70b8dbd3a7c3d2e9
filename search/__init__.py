"""Architecture search: ask-and-tell strategies, the domains they search, the loop and its log."""

from search.base import SearchDomain, Strategy, Surrogate
from search.domains import SpaceDomain, TableDomain
from search.log import SearchLog
from search.loop import run_search
from search.pareto_front import pareto_front
from search.registry import get_strategy, strategy_names
from search.trials import Interval, Trial, TrialResult, sort_by_accuracy

__all__ = [
    "Interval",
    "SearchDomain",
    "SearchLog",
    "SpaceDomain",
    "Strategy",
    "Surrogate",
    "TableDomain",
    "Trial",
    "TrialResult",
    "get_strategy",
    "pareto_front",
    "run_search",
    "sort_by_accuracy",
    "strategy_names",
]
