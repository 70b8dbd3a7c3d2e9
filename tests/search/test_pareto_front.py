"""The Pareto front against its definition."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import get_space
from search import Trial, pareto_front

SPACE = get_space("gcn-nas")
ARCHITECTURE = SPACE.sample(np.random.default_rng(0))
TRIALS = st.lists(
    st.builds(
        Trial,
        st.just(ARCHITECTURE),
        st.none() | st.integers(0, 8).map(lambda eighths: eighths / 8),  # few distinct values, so that there are ties
        st.integers(0, 8),
        st.just(1),
    ),
    max_size=20,
)


def objectives(trial: Any) -> tuple[int, float]:
    return trial.flops, trial.accuracy


def dominates(first: tuple[int, float], second: tuple[int, float]) -> bool:
    return first != second and first[0] <= second[0] and first[1] >= second[1]


@settings(max_examples=200)
@given(TRIALS)
def test_front_holds_the_trials_that_none_dominates(trials: list[Trial]) -> None:
    front = pareto_front(trials)
    successful = [trial for trial in trials if trial.accuracy is not None]
    points = {objectives(trial) for trial in successful}
    optimal = {point for point in points if not any(dominates(other, point) for other in points)}
    assert [objectives(trial) for trial in front] == sorted(optimal)
    for trial in front:
        assert trial is next(other for other in successful if objectives(other) == objectives(trial))
    assert pareto_front(front) == front


def test_front_of_failures_is_empty() -> None:
    assert pareto_front([]) == []
    assert pareto_front([Trial(ARCHITECTURE, None, 1, 1)]) == []
    (only,) = pareto_front([Trial(ARCHITECTURE, 0.0, 1, 1)])
    assert only.accuracy == 0.0
