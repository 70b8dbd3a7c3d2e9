"""Measurements in which accuracy is a known formula of two terminals."""

from collections.abc import Callable

import numpy as np
import pytest

from evolution import Measurements
from proxies.evolved.expression import Expression
from proxies.evolved.types import Kind

Make = Callable[..., Measurements]
TERMINALS = ("flops", "nwot", "zen")


@pytest.fixture
def make() -> Make:
    """Function that makes measurements: within a stratum accuracy is nwot − zen; over all it grows with flops."""

    def measurements(seed: int = 0, n: int = 150, noise: float = 0.1, name: str = "planted") -> Measurements:
        rng = np.random.default_rng(seed)
        strata = rng.integers(1, 4, n)
        nwot, zen = rng.normal(size=n), rng.normal(size=n)
        accuracy = 10.0 * strata + nwot - zen + noise * rng.normal(size=n)
        columns = {"flops": strata + 0.01 * rng.normal(size=n), "nwot": nwot, "zen": zen}
        terminals = tuple(Expression(each, Kind.SCALAR) for each in TERMINALS)
        values = {terminal.key: columns[str(terminal.head)] for terminal in terminals}
        groups = tuple(f"{name} {i}" for i in range(n))
        return Measurements(name, groups, accuracy, strata, terminals, values, stratum_label="size")

    return measurements
