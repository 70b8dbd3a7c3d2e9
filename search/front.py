"""The trials that no other beats on both counts."""

from collections.abc import Iterable

from search.base import Trial


def front(trials: Iterable[Trial]) -> list[Trial]:
    """Those that none has at least the accuracy of for at most the FLOPs, the cheapest first; none that failed.

    Of several with the same accuracy and FLOPs the first told stays.
    """
    done = [(trial.flops, -trial.accuracy, trial) for trial in trials if trial.accuracy is not None]
    best: list[Trial] = []
    least_error = 0.0
    for _, error, trial in sorted(done, key=lambda one: one[:2]):
        if not best or error < least_error:
            best.append(trial)
            least_error = error
    return best
