"""Numbers of estimates that have them: those of an ensemble that only ranks have none."""

from ensemble import Estimate, Interval


def accuracy_of(estimate: Estimate) -> float:
    """The accuracy of an estimate, which must have one."""
    assert estimate.accuracy is not None
    return estimate.accuracy


def interval_of(estimate: Estimate) -> Interval:
    """The interval of an estimate, which must have one."""
    assert estimate.interval is not None
    return estimate.interval
