"""Contract of every combiner in the registry, and what the registry itself does."""

import numpy as np
import pytest

from common.plugins import Plugin, PluginWarning
from ensemble import Benchmark, Columns, CombinerInfo, FeatureTable, combiner_infos, combiner_names, get_combiner
from ensemble.combiners import registry
from ensemble.combiners.stacked import Stacked
from ensemble.testing import CombinerContract, contract_classes
from models import UnknownNameError, get_space

globals().update(contract_classes(combiner_infos(), [get_space("gcn-nas")]))


def test_the_contract_classes_are_collected() -> None:
    """They are made by a function: were they not found, nothing would be tested."""
    classes = [value for name, value in globals().items() if name.startswith("Test")]
    assert {cls.info.name for cls in classes if issubclass(cls, CombinerContract)} == set(combiner_names())


def test_two_stacks_fit_a_common_estimator_once(benchmark: Benchmark, table: FeatureTable) -> None:
    rows = np.arange(30)
    stacks = []
    for info in (get_combiner("stacked"), get_combiner("structure")):
        X = table.select(info.columns(table.names))[rows]
        stacks.append(info.build(table.columns, 0).fit(X, benchmark.accuracy[rows]))
    stacked, structure = stacks
    assert isinstance(stacked, Stacked)
    assert isinstance(structure, Stacked)
    for name, is_common in (("extra_trees", True), ("xgboost", True), ("gaussian_process", False)):
        assert (stacked.named_estimators_[name] is structure.named_estimators_[name]) == is_common


def test_registry(table: FeatureTable) -> None:
    assert combiner_names() == [info.name for info in combiner_infos()]
    with pytest.raises(UnknownNameError, match="stacked"):
        get_combiner("best")
    assert get_combiner("vote").columns(table.names) == tuple(n for n in table.names if n.startswith("proxy."))
    assert get_combiner("stacked").columns(table.names) == table.names


def test_a_combiner_names_what_a_table_lacks() -> None:
    proxies, structure = Columns(("proxy.zen", "cost.log_params")), Columns(("layers",))
    assert get_combiner("vote").missing_input(proxies) is None
    assert get_combiner("ridge").missing_input(structure) is None
    assert get_combiner("vote").missing_input(structure) == "it needs proxy scores"
    assert "structural features" in (get_combiner("stacked").missing_input(proxies) or "")


def test_plugins_are_added_and_wrong_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    good = CombinerInfo("median", get_combiner("ridge").factory, "structure", "accuracy")
    plugins = [Plugin("median", "tool 1.0", good), Plugin("other", "tool 1.0", good), Plugin("text", "tool 1.0", "?")]
    monkeypatch.setattr(registry, "load_plugins", lambda group, taken: plugins)
    combiner_infos.cache_clear()
    try:
        with pytest.warns(PluginWarning, match=r"other.*tool 1\.0|text.*tool 1\.0") as warnings:
            assert combiner_names()[-1] == "median"
        assert len(warnings) == 2
        assert get_combiner("median") is good
    finally:
        combiner_infos.cache_clear()
