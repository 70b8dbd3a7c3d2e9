"""The loop of a search: ask, evaluate, log, tell."""

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

from models import Architecture, InputError
from search.base import Strategy
from search.log import SearchLog, TrialResult

Evaluate = Callable[[Sequence[Architecture]], Sequence[TrialResult]]
"""What is found of each architecture, in the order asked; a failure is a finding with an error."""
Told = Callable[[int, TrialResult | None], None]
"""Called with the number of trials and the best of them."""


def run(
    strategy: Strategy,
    evaluate: Evaluate,
    log: SearchLog,
    budget: int,
    batch: int,
    told: Told = lambda done, best: None,
) -> bool:
    """Search until the log holds `budget` trials, and return whether it does: a strategy may find nothing new before.

    What the log holds already is not evaluated again: the strategy is told it, and goes on from there. So a search that
    was cut off, and one whose budget is raised, tries what it would have tried in one go.

    Args:
        strategy: a new one, made as it was when the log was started.
        evaluate: what is found of architectures.
        log: takes what is found as soon as it is.
        budget: trials in all, failed ones too.
        batch: how many are asked for at a time; the same whenever the search goes on.
        told: called after every batch.

    Raises `InputError` where budget or batch are out of range, or the strategy asks for other than the log says.
    """
    check_options(budget, batch)
    if budget < len(log.trials):
        raise InputError("budget", budget, f"at least {len(log.trials)}, which the log holds")
    started = perf_counter() - log.seconds
    known = list(log.trials)
    done, best = 0, None
    while done < budget:
        asked = strategy.ask(batch)
        if not asked:
            return False
        wanted = asked[: budget - done]
        found = known[done : done + len(wanted)]
        _check(log, done, wanted, found)
        if missing := wanted[len(found) :]:
            new = evaluate(missing)
            log.add(new, perf_counter() - started)
            found += new
        done += len(found)
        best = next(iter(ranked(found if best is None else [best, *found])), None)
        told(done, best)
        if len(found) == len(asked):
            strategy.tell(found)
    return True


def check_options(budget: int, batch: int) -> None:
    """Raise `InputError` where one of them is out of range."""
    for field, value in (("budget", budget), ("batch", batch)):
        if value < 1:
            raise InputError(field, value, "at least 1")


def ranked(trials: Iterable[TrialResult]) -> list[TrialResult]:
    """Best first; of equals, the one that was tried first. Without those that failed."""
    good = [trial for trial in trials if trial.accuracy is not None]
    return sorted(good, key=lambda trial: -(trial.accuracy or 0.0))


def _check(log: SearchLog, done: int, wanted: Sequence[Architecture], found: Sequence[TrialResult]) -> None:
    """Whether the log tells of the same search as the strategy makes."""
    for number, (arch, trial) in enumerate(zip(wanted, found, strict=False), start=done + 2):
        if trial.architecture != arch:
            place, allowed = f"{log.path} line {number}, architecture", f"{arch.key}, which this version asks for here"
            raise InputError(place, trial.architecture.key, allowed)
