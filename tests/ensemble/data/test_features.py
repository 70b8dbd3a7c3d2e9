import math
from typing import Any

import numpy as np

from ensemble import Benchmark, feature_table
from ensemble.data.columns import Columns


def test_columns_and_missing_scores(benchmark: Benchmark) -> None:
    space: Any = benchmark.space
    archs = benchmark.architectures[:4]
    table = feature_table(space, archs, [{"zen": 1.0}, {"zen": None}, {"zen": math.inf}, {}], ["zen"])
    structure = tuple(space.features(archs[0]))
    assert table.names == ("proxy.zen", *structure, "cost.log_params", "cost.log_flops")
    assert table.values.shape == (4, len(table.names))
    assert table.select(["proxy.zen"])[0, 0] == 1.0
    assert np.isnan(table.select(["proxy.zen"])[1:]).all()
    params = space.cost(archs[2]).params
    assert table.select(["depth", "cost.log_params"])[2].tolist() == [benchmark.strata[2], math.log(params)]


def test_no_architectures_and_no_proxies(benchmark: Benchmark) -> None:
    table = feature_table(benchmark.space, [])
    assert table.columns == Columns.from_space(benchmark.space)
    assert table.values.shape == (0, len(table.names))
