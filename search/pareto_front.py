"""Pareto front of accuracy against FLOPs."""

from collections.abc import Iterable

from search.trials import TrialT


def pareto_front(trials: Iterable[TrialT]) -> list[TrialT]:
    """Pareto-optimal trials (accuracy up, FLOPs down).

    Returns:
        The trials that no other dominates, by ascending FLOPs; failed trials are left out. Of several trials with the
        same accuracy and FLOPs the first is kept. Without costs, the front is the most accurate trial.
    """
    successful = [(trial.flops or 0, -trial.accuracy, trial) for trial in trials if trial.accuracy is not None]
    optimal: list[TrialT] = []
    least_error = 0.0
    for _, error, trial in sorted(successful, key=lambda item: item[:2]):
        if not optimal or error < least_error:
            optimal.append(trial)
            least_error = error
    return optimal
