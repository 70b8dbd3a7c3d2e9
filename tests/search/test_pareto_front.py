"""The Pareto front against its definition."""

import numpy as np

from models import get_space
from search import Trial, pareto_front

SPACE = get_space("gcn-nas")


def trials(rng: np.random.Generator, n: int) -> list[Trial]:
    """Few different values, so that there are ties; some failed."""
    return [
        Trial(SPACE.sample(rng), None if rng.random() < 0.2 else int(rng.integers(8)) / 8, int(rng.integers(8)), 1)
        for _ in range(n)
    ]


def test_nothing_is_at_least_as_good_on_both_counts_as_one_of_the_front() -> None:
    for seed in range(50):
        told = trials(np.random.default_rng(seed), 20)
        found = pareto_front(told)
        points = {(one.flops, one.accuracy) for one in told if one.accuracy is not None}
        undominated = {
            (flops, accuracy)
            for flops, accuracy in points
            if not any(f <= flops and a >= accuracy and (f, a) != (flops, accuracy) for f, a in points)  # type: ignore[operator]
        }
        assert [(one.flops, one.accuracy) for one in found] == sorted(undominated)
        for one in found:
            assert one is next(two for two in told if (two.flops, two.accuracy) == (one.flops, one.accuracy))


def test_without_a_success_it_is_empty() -> None:
    assert pareto_front([]) == []
    assert pareto_front([Trial(SPACE.sample(np.random.default_rng(0)), None, 1, 1)]) == []
    (only,) = pareto_front([Trial(SPACE.sample(np.random.default_rng(0)), 0.0, 1, 1)])
    assert only.accuracy == 0.0
