"""Architecture search: ask-and-tell strategies, the domains they search, the loop and its log."""

from search.base import SearchDomain, Strategy, Surrogate
from search.domains import SpaceDomain, TableDomain
from search.log import SearchLog
from search.loop import run_search
from search.objectives import CommandObjective, FunctionObjective, Objective, TrainingResult
from search.pareto_front import pareto_front
from search.registry import get_strategy, strategy_names
from search.training import run_trainings
from search.training_log import TrainingLog
from search.trials import Interval, Trial, TrialResult, sort_by_accuracy

__all__ = [
    "CommandObjective",
    "FunctionObjective",
    "Interval",
    "Objective",
    "SearchDomain",
    "SearchLog",
    "SpaceDomain",
    "Strategy",
    "Surrogate",
    "TableDomain",
    "TrainingLog",
    "TrainingResult",
    "Trial",
    "TrialResult",
    "get_strategy",
    "pareto_front",
    "run_search",
    "run_trainings",
    "sort_by_accuracy",
    "strategy_names",
]
