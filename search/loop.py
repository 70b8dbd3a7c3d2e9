"""Search loop: ask, evaluate, log, tell."""

from collections.abc import Callable, Sequence
from time import perf_counter

from models import Architecture, InputError
from search.base import Strategy
from search.log import SearchLog
from search.trials import TrialResult, sort_by_accuracy

Evaluate = Callable[[Sequence[Architecture]], Sequence[TrialResult]]
"""Evaluation of architectures, one result each, in their order; a failure is a result with an error."""
ProgressCallback = Callable[[int, TrialResult | None], None]
"""Callback that takes the number of trials and the best trial so far, None if all failed."""


def run_search(
    strategy: Strategy,
    evaluate: Evaluate,
    log: SearchLog,
    budget: int,
    batch_size: int,
    progress: ProgressCallback = lambda num_trials, best: None,
) -> bool:
    """Search until the log holds `budget` trials.

    Logged trials are not evaluated again: the strategy is told them and continues from there. A search that was
    interrupted, or whose budget was raised, therefore tries the same architectures as one uninterrupted run.

    Args:
        strategy: new strategy, constructed with the same arguments as when the log was started.
        evaluate: evaluates architectures.
        log: log to append results to as soon as they are known.
        budget: total number of trials, failed ones included.
        batch_size: architectures per `ask`; the same in every run of a search.
        progress: callback after every batch.

    Returns:
        True if the budget was used up, False if the strategy found nothing new before.

    Raises:
        InputError: budget or batch size are out of range, or the strategy proposes other architectures than the log
            holds.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from models import get_space
        >>> from search import SearchLog, SpaceDomain, TrialResult, get_strategy, pareto_front, run_search
        >>> space = get_space("gcn-nas")
        >>> domain = SpaceDomain(space, {"depth": 6})
        >>> def evaluate(architectures):
        ...     costs = [domain.cost(arch) for arch in architectures]
        ...     accuracies = [0.9 - 1e-9 * cost.params for cost in costs]  # train or predict here
        ...     return [
        ...         TrialResult(arch, accuracy, cost.flops, cost.params)
        ...         for arch, accuracy, cost in zip(architectures, accuracies, costs)
        ...     ]
        >>> strategy = get_strategy("evolution")(domain, np.random.default_rng(0), population_size=8)
        >>> with SearchLog.open(f"{tempfile.mkdtemp()}/search.jsonl", {"strategy": "evolution"}, space) as log:
        ...     run_search(strategy, evaluate, log, budget=20, batch_size=4)
        True
        >>> len(log.trials), len(pareto_front(log.trials)) > 0
        (20, True)
    """
    check_options(budget, batch_size)
    if budget < len(log.trials):
        raise InputError("budget", budget, f"at least {len(log.trials)}, the number of logged trials")
    start_time = perf_counter() - log.seconds
    logged = list(log.trials)
    num_trials, best = 0, None
    while num_trials < budget:
        proposed = strategy.ask(batch_size)
        if not proposed:
            return False
        batch = proposed[: budget - num_trials]
        results = logged[num_trials : num_trials + len(batch)]
        _check_replay(log, num_trials, batch, results)
        if remaining := batch[len(results) :]:
            new_results = evaluate(remaining)
            log.add(new_results, perf_counter() - start_time)
            results += new_results
        num_trials += len(results)
        best = next(iter(sort_by_accuracy(results if best is None else [best, *results])), None)
        progress(num_trials, best)
        if len(results) == len(proposed):
            strategy.tell(results)
    return True


def check_options(budget: int, batch_size: int) -> None:
    """Check that budget and batch size are positive.

    Raises:
        InputError: one of them is not.
    """
    for field, value in (("budget", budget), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(field, value, "at least 1")


def _check_replay(
    log: SearchLog, num_trials: int, proposed: Sequence[Architecture], logged: Sequence[TrialResult]
) -> None:
    """Raise `InputError` unless the logged trials are those that the strategy proposes."""
    for line, (arch, trial) in enumerate(zip(proposed, logged, strict=False), start=num_trials + 2):
        if trial.architecture != arch:
            field, allowed = f"{log.path} line {line}, architecture", f"{arch.key}, which this version proposes here"
            raise InputError(field, trial.architecture.key, allowed)
