"""The network against reference values of the public implementation."""

from typing import Any

import numpy as np
import pytest
import torch

from models import get_space
from models.gcn_nas.architecture import DEPTHS
from models.gcn_nas.backbone import fixed_graph, polynomials
from models.gcn_nas.network import GcnNasNetwork
from models.gcn_nas.skeletons import KINECT, NTU
from tests.conftest import REFERENCES, fill_as_reference, reference_id


@pytest.fixture(params=REFERENCES, ids=reference_id)
def reference(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_state_dict_is_the_public_implementations(space: Any, reference: Any) -> None:
    network = space.build(space.parse(reference["mask"]))
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert list(shapes.items()) == list(reference["state_dict_shapes"].items())
    assert sum(p.numel() for p in network.parameters()) == reference["n_params"]


def test_outputs_in_train_and_eval_mode(space: Any, reference: Any, reference_input: torch.Tensor) -> None:
    network = space.build(space.parse(reference["mask"]))
    fill_as_reference(network)
    with torch.no_grad():
        evaluated = network.eval()(reference_input)
        trained = network.train()(reference_input)
    expected = torch.tensor(reference["logits_eval_mode"])
    torch.testing.assert_close(evaluated, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    torch.testing.assert_close(trained, torch.tensor(reference["logits_train_mode"]), rtol=0, atol=5e-6)


def test_initialization_is_as_documented(space: Any, rng: Any) -> None:
    arch = space.parse([["L2", "S", "T", "ST"]] * 4)
    network = space.build(arch, seed=1)
    state = network.state_dict()
    assert float(state["l9.gtcn.bn.weight"].unique()) == pytest.approx(1e-6)
    assert float(state["l9.tcn.bn.weight"].unique()) == 1
    assert float(state["l9.gtcn.PA"].unique()) == pytest.approx(1e-6)
    assert float(state["l9.gtcn.conv_d.0.weight"].std()) == pytest.approx((2 / (256 * 256 * 3)) ** 0.5, rel=0.02)
    assert float(state["l9.tcn.conv.weight"].std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert float(state["fc.weight"].std()) == pytest.approx((2 / 60) ** 0.5, rel=0.02)
    assert not any(bool(tensor.any()) for key, tensor in state.items() if key.endswith("bias"))


def test_shared_slots_share_their_initial_weights(space: Any) -> None:
    first = space.build(space.parse([["L", "S"]] * 4)).state_dict()
    second = space.build(space.parse([["L2", "S", "T"]] * 10)).state_dict()
    shared = [key for key in first if key in second and first[key].shape == second[key].shape]
    assert len(shared) > 50
    assert all(torch.equal(first[key], second[key]) for key in shared)


def test_adjacency_columns_sum_to_one_or_nothing() -> None:
    for skeleton in (NTU, KINECT):
        adjacency = skeleton.adjacency()
        assert adjacency.shape == (3, skeleton.joints, skeleton.joints)
        assert set(adjacency.sum(axis=1).round(5).ravel().tolist()) <= {0.0, 1.0}
        assert len(skeleton.links) == skeleton.joints - 1


def test_polynomials_are_elementwise_and_softmax_is_over_rows() -> None:
    softmax = fixed_graph(NTU, (False, True, False, False, False))
    assert softmax.sum(axis=1) == pytest.approx(1.0)
    squares = fixed_graph(NTU, (False, False, False, False, True))
    assert squares[0].diagonal() == pytest.approx(1.0)
    assert fixed_graph(NTU, (False,) * 5).any() == False  # noqa: E712


def test_other_skeletons_persons_and_classes() -> None:
    kinect = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)
    network = kinect.build(kinect.parse([["L2", "S", "T", "ST"]] * 6))
    assert network(torch.randn(2, 3, 9, 20, 1)).shape == (2, 10)


def test_units_are_the_layers_in_order(space: Any) -> None:
    network = space.build(space.parse([["L2", "S"]] * 6))
    assert list(network.units) == [network.get_submodule(f"l{slot}") for slot in (1, 2, 5, 6, 8, 9)]


def test_topology_of_each_layer(space: Any) -> None:
    units = space.build(space.parse([["L", "L2", "S", "ST"], ["T"], [], ["L4n"]])).topology
    assert [len(unit.aggregations) for unit in units] == [3, 1, 0, 1]
    assert [unit.skips for unit in units] == [1, 2, 2, 2]
    assert [(unit.kernel, unit.stride) for unit in units] == [(9, 1), (9, 2), (9, 2), (9, 1)]
    terms = polynomials(NTU.adjacency())
    np.testing.assert_array_equal(units[0].aggregations[0], np.concatenate([terms["L"], terms["L2"]]))
    assert all((units[0].aggregations[i] == 1 / 25).all() for i in (1, 2))
    ball = units[0].ball
    assert ball.dtype == bool
    assert ball.sum() == 25 + 2 * len(NTU.links)
    assert (ball == ball.T).all()
    assert ball.diagonal().all()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"skeleton": "kinect", "num_persons": 1, "num_classes": 10},
        {"skeleton": {"name": "arm", "joints": 3, "links": [[2, 1], [3, 2]]}, "num_persons": 4, "num_classes": 1},
    ],
    ids=["ntu", "kinect", "custom"],
)
def test_parameters_by_formula_are_those_of_the_network(settings: dict[str, Any], rng: np.random.Generator) -> None:
    space: Any = get_space("gcn-nas", **settings)
    samples = [space.sample(rng, depth=depth) for depth in DEPTHS for _ in range(3)]
    for arch in [*samples, space.largest]:
        with torch.device("meta"):
            network = GcnNasNetwork(arch, space.task.skeleton, space.task.num_persons, space.task.num_classes)
        assert space.cost(arch, space.task.input_shapes(batch_size=2, frames=5)).params == sum(
            p.numel() for p in network.parameters()
        )


def test_parameters_of_the_whole_benchmark(space: Any, benchmark_folder: Any) -> None:
    """Analytic parameter counts equal the published ones for every architecture."""
    import json

    files = sorted((benchmark_folder / "data").glob("*.json"))
    assert len(files) >= 593
    for file in files:
        (entry,) = json.loads(file.read_text()).values()
        arch = space.parse({"weights": entry["weights"]})
        published = entry["zero_cost_scores"]["params"]["score"]
        assert space.cost(arch, space.task.input_shapes(batch_size=1, frames=16)).params == published, file.name
