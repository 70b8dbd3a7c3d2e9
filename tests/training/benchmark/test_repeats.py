"""Choice of the architectures that several seeds train: two by two of one stratum, evenly over the strata."""

from collections import Counter
from typing import Any

import pytest

from models import get_space
from training.benchmark.repeats import choose_repeated
from training.benchmark.sampling import RandomSample


def chosen(strata: list[int], fraction: float, **options: Any) -> tuple[list[Any], dict[int, int]]:
    architectures = RandomSample(get_space("gcn-nas"), seed=2).extend([], len(strata))
    repeated = choose_repeated(architectures, strata, fraction, 0, **options)
    return repeated, dict(Counter(strata[architectures.index(architecture)] for architecture in repeated))


@pytest.mark.parametrize(
    ("strata", "fraction", "counts"),
    [
        ([4, 6, 8, 10] * 16, 0.1, {4: 2, 6: 2, 8: 2, 10: 2}),
        ([4, 6, 8, 10] * 5, 0.2, {4: 2, 6: 2}),  # rather than one of each
        ([4, 6] * 12, 0.25, {4: 4, 6: 2}),
        ([4, 4, 4, 6, 8], 0.2, {4: 2}),
        ([4, 6, 8], 0.5, {4: 1, 6: 1}),  # no stratum has two
        ([4, 4, 6], 1.0, {4: 2, 6: 1}),
        ([4] * 10, 0.0, {}),
        ([4], 0.1, {4: 1}),
        ([], 0.1, {}),
    ],
)
def test_numbers_of_the_strata(strata: list[int], fraction: float, counts: dict[int, int]) -> None:
    repeated, by_stratum = chosen(strata, fraction)
    assert sorted(by_stratum.values(), reverse=True) == sorted(counts.values(), reverse=True)
    assert by_stratum.keys() <= set(strata)
    assert len(set(repeated)) == len(repeated)


def test_choice_of_a_longer_sample_completes_that_of_a_shorter_one() -> None:
    strata = [4, 6, 8] * 20
    first, _ = chosen(strata[:3], 0.1)
    further, counts = chosen(strata, 0.1, num_known=3, known=first)
    assert len(first) + len(further) == 6
    architectures = RandomSample(get_space("gcn-nas"), seed=2).extend([], len(strata))
    assert not set(architectures[:3]) & set(further)
    for architecture in first:
        counts[strata[architectures.index(architecture)]] += 1
    assert counts == {4: 2, 6: 2, 8: 2}
    assert chosen(strata, 0.1, num_known=len(strata), known=[*first, *further]) == ([], {})
