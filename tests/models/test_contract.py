"""Contract of every registered search space and of the example plug-in."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import numpy as np
from typing_extensions import override

from models import SearchSpace, get_space
from models.gcn_nas.architecture import MODULES, THRESHOLD
from models.nas_bench_graph.canonical import RAW_LINKS, canonical_keys
from models.nas_bench_graph.datasets import OPERATIONS
from models.registry import BUILT_IN
from models.testing import SearchSpaceContract
from tests.conftest import ROOT


def example_space() -> SearchSpace[Any]:
    """Return the space of the example plug-in, which is not installed here."""
    spec = spec_from_file_location("tiny_gcn", ROOT / "examples" / "own_space" / "tiny_gcn.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["tiny_gcn"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    space: SearchSpace[Any] = module.TinyGcn()
    return space


class TestExample(SearchSpaceContract):
    space = example_space()


class TestGcnNas(SearchSpaceContract):
    space = get_space("gcn-nas")

    @override
    def notations(self, arch: Any) -> list[Any]:
        """All notations, also without the name of the field."""
        layers = [[name for name, present in zip(MODULES, row, strict=True) if present] for row in arch.mask]
        mask = [[int(present) for present in row] for row in arch.mask]
        weights = [
            [float(np.nextafter(THRESHOLD, 1)) if present else THRESHOLD for present in row] for row in arch.mask
        ]
        return [{"mask": mask}, {"weights": weights}, layers, mask, weights]


class TestNasBenchGraph(SearchSpaceContract):
    space = get_space("nas-bench-graph")

    @override
    def notations(self, arch: Any) -> list[Any]:
        """The key, operations by index, and descriptions of the same cell that are not canonical."""
        indices = [OPERATIONS.index(op) for op in arch.ops]
        raw = np.argwhere(canonical_keys() == int(arch.digits))[:4].tolist()
        return [
            {"key": arch.digits},
            {"link": list(arch.link), "ops": indices},
            *({"link": list(RAW_LINKS[link]), "ops": ops} for link, *ops in raw),
            arch.digits,
        ]


class TestNasBenchGraphProteins(TestNasBenchGraph):
    """Another number of operations, and independent targets in place of classes."""

    space = get_space("nas-bench-graph", dataset="proteins")


class TestNasBench201(SearchSpaceContract):
    space = get_space("nas-bench-201")

    @override
    def notations(self, arch: Any) -> list[Any]:
        """All four notations; string, names and digits also without the name of the field."""
        plain = {"arch": arch.arch, "ops": list(arch.names), "digits": arch.digits}
        return [*({name: value} for name, value in plain.items()), {"index": arch.index}, *plain.values()]


def test_every_built_in_space_is_tested() -> None:
    tested = {kind.space.name for kind in SearchSpaceContract.__subclasses__()}
    assert {space.name for space in BUILT_IN} <= tested
