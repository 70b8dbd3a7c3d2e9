"""Small studies: architectures of two spaces with values that their structure determines."""

import numpy as np
import pytest

from ensemble.data.features import feature_table
from ensemble.source import Source
from models import Architecture, EncodedSpace, get_space
from study import Observation, StudyDefinition, StudyMetric, load_sources

SPACE = get_space("nas-bench-graph", dataset="cora")
SOURCES = ("nas-bench-graph-citeseer", "nas-bench-graph-pubmed")


def definition(
    direction: str = "maximize", unit: str = "fraction", sources: tuple[str, ...] = (), name: str = "example"
) -> StudyDefinition:
    metric = StudyMetric("accuracy", direction, unit)  # type: ignore[arg-type]  # checked at run time
    return StudyDefinition(name, SPACE.name, SPACE.settings, "own split", metric, sources)


def architectures(number: int, seed: int = 0) -> list[Architecture]:
    """Different random architectures."""
    rng, result = np.random.default_rng(seed), dict[Architecture, None]()
    while len(result) < number:
        result[SPACE.sample(rng)] = None
    return list(result)


def true_values(items: list[Architecture]) -> list[float]:
    """Accuracies between ½ and 1 that fall with each `fc` and rise with each `gcn`."""
    assert isinstance(SPACE, EncodedSpace)
    table = feature_table(SPACE, items)
    fc, gcn = table.select(["all.fc", "all.gcn"]).T
    noise = [int(item.fingerprint[:4], 16) / 16**4 for item in items]
    return [float(value) for value in 0.75 - 0.05 * fc + 0.04 * gcn + 0.01 * np.array(noise)]


def observations(number: int, seed: int = 0) -> list[Observation]:
    items = architectures(number, seed)
    return [Observation(item, value) for item, value in zip(items, true_values(items), strict=True)]


@pytest.fixture(scope="session")
def sources() -> tuple[Source, ...]:
    return load_sources(SOURCES, SPACE)
