"""Scores of sources in memory are those that are computed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ensemble import Ensemble
from ensemble.source import Source
from models import get_space
from service.settings import SHIPPED
from service.studies import sources as sources_module
from service.studies.sources import CachedSource
from tests.synthetic_study import SPACE, sample


@pytest.fixture(scope="module")
def source() -> Source:
    return Ensemble.load(SHIPPED / "nas-bench-graph-cora").as_source()


@pytest.mark.parametrize("size", [3, 2**14])
def test_scores_in_memory_are_equal_to_the_last_bit(source: Source, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "CACHE_SIZE", size)
    cached = CachedSource(source.name, source.space, source.fitted)
    space = get_space(SPACE)
    architectures = [space.parse(document) for document in sample(40)]
    expected = source.scores(architectures)
    parts = [[architectures[i] for i in part] for part in ([3], [7, 3, 3], range(20), range(39, -1, -1), [])]
    with ThreadPoolExecutor(2) as pool:
        for part, scores in zip(parts, pool.map(cached.scores, parts), strict=True):
            np.testing.assert_array_equal(scores, [expected[architectures.index(each)] for each in part])
    np.testing.assert_array_equal(cached.scores(architectures), expected)
