"""Networks and costs against the published counts, features, and probe batches of images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ensemble.evaluation.metrics import spearman
from models import BatchError, UnknownNameError
from models.nas_bench_201 import NasBench201, NasBench201Architecture
from models.nas_bench_201.cell import EDGES
from tests.models.nas_bench_201.test_architecture import table

SPACE = NasBench201()
CELLS = ("333333", "300103", "421211", "030000", "000000", "231402")


@pytest.mark.parametrize(("dataset", "column"), [("cifar10", "c10"), ("imagenet16-120", "in16")])
def test_costs_are_the_published_ones(dataset: str, column: str) -> None:
    space = NasBench201(dataset)
    rows = [row for row in table("proxies_9445.csv") if row["dataset"] == column]
    costs = [space.cost(space.parse(row["ops"])) for row in rows]
    assert len(rows) == 9445
    assert [cost.params for cost in costs] == [round(1e6 * float(row["params"])) for row in rows]
    flops = [np.array(values, float) for values in ([cost.flops for cost in costs], [row["flops"] for row in rows])]
    assert (spearman(*flops) or 0) > 0.99


@pytest.mark.parametrize("digits", CELLS)
def test_costs_are_those_of_the_network(digits: str) -> None:
    arch = SPACE.parse(digits)
    network, batch = SPACE.build(arch), SPACE.task.synthetic_batch(batch_size=2)
    with FlopCounterMode(display=False) as counter:
        assert network(batch.x).shape == (2, 10)
    cost = SPACE.cost(arch, batch.shapes)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert cost.flops == network.flops(batch.shapes) == counter.get_total_flops()


def test_a_cell_without_a_path_passes_nothing_on() -> None:
    network = SPACE.build(SPACE.parse("030000")).eval()
    with torch.no_grad():
        first, second = (network(SPACE.task.synthetic_batch(seed).x) for seed in (0, 1))
    assert torch.equal(first, second)


def test_isomorphic_cells_with_the_same_weights_are_the_same_function() -> None:
    # Nodes 1 and 2 exchanged: edges 0-1 and 0-2, and 1-3 and 2-3, change places.
    first, second = SPACE.build(SPACE.parse("320432")), SPACE.build(SPACE.parse("230423"))
    exchanged = {0: 1, 1: 0, 2: 2, 3: 3, 4: 5, 5: 4}
    state = {}
    for key, value in first.state_dict().items():
        parts = key.split(".")
        if "layers" in parts:
            parts[3] = str(exchanged[int(parts[3])])
        state[".".join(parts)] = value
    second.load_state_dict(state)
    x = SPACE.task.synthetic_batch().x
    torch.testing.assert_close(first(x), second(x))


def test_weights_depend_on_seed_and_place_alone() -> None:
    networks = [
        SPACE.build(SPACE.parse(digits), seed) for digits, seed in (("333333", 0), ("300003", 0), ("300003", 1))
    ]
    weights = [network.state_dict()["cells.0.layers.5.op.1.weight"] for network in networks]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert float(weights[0].std()) == pytest.approx((3 * 16 * 9) ** -0.5, rel=0.05)


def test_operations_without_effect_change_no_feature() -> None:
    # Edge 1-2 leads nowhere, as node 2 has no way to the output.
    assert SPACE.features(SPACE.parse("303030")) == SPACE.features(SPACE.parse("300030"))
    names = SPACE.feature_names
    assert len(set(names)) == len(names)
    assert all(SPACE.describe_feature(name) for name in names)
    grouped = [feature for group in SPACE.feature_groups for feature in group.features]
    assert sorted(grouped) == sorted(names)
    with pytest.raises(UnknownNameError):
        SPACE.describe_feature("paths.convolutions=9")


def test_features_of_a_cell() -> None:
    # Paths: 0-3 (skip), 0-1-3 (3×3, 1×1), 0-1-2-3 (3×3, pool, 3×3).
    features = SPACE.features(SPACE.parse("304123"))
    expected = {
        "paths": 3,
        "count.convolution": 3,
        "paths.convolutions=0": 1,
        "paths.convolutions=2": 2,
        "paths.length.max": 3,
        "paths.length.min": 1,
        "paths.nor_conv_3x3.max": 2,
        "paths.nor_conv_3x3.sum": 3,
        "paths.only.skip_connect": 1,
        "paths.only.nor_conv_3x3+avg_pool_3x3": 1,
        "node3.in.nor_conv_1x1": 1,
        "node1.out.avg_pool_3x3": 1,
        "edge0-2=none": 1,
    }
    assert {name: features[name] for name in expected} == expected
    assert SPACE.stratum(SPACE.parse("304123")) == 3
    assert SPACE.feature_group(SPACE.parse("304123"), "edge1-2=avg_pool_3x3") == "edge 1-2 (avg_pool_3x3)"
    assert len(EDGES) == 6


def test_synthetic_images_have_classes() -> None:
    batch = SPACE.task.synthetic_batch(seed=3, batch_size=8)
    assert batch.fingerprint == SPACE.task.synthetic_batch(seed=3, batch_size=8).fingerprint
    assert batch.fingerprint != SPACE.task.synthetic_batch(seed=4, batch_size=8).fingerprint
    assert batch.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    similarity = torch.corrcoef(batch.x.flatten(1))
    assert similarity[range(0, 8, 2), range(1, 8, 2)].mean() > 0.3 > similarity[range(6), range(2, 8)].mean()
    assert NasBench201("imagenet16-120").task.input_shapes(batch_size=3) == ((3, 3, 16, 16),)
    SPACE.task.check(batch)


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"batch_size": True}, {"batch_size": 10**6}, {"frames": 8}])
def test_sizes_are_checked(sizes: Any) -> None:
    with pytest.raises(BatchError):
        SPACE.task.synthetic_batch(**sizes)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    return {"x": pixels, "y": np.arange(12) % 3}


def test_batches_of_images_from_a_file(images: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, **images)
    spec = SPACE.task.batch_spec(source="npz", data=str(path), batch_size=6, seed=2)
    batch = spec.make(SPACE.task)
    assert batch.shapes == spec.shapes(SPACE.task) == ((6, 3, 32, 32),)
    assert batch.y.bincount().tolist() == [2, 2, 2]
    assert -1 <= float(batch.x.min()) < -0.9 < 0.9 < float(batch.x.max()) <= 1
    scaled = (images["x"].transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
    np.savez(path, x=scaled, y=images["y"])
    torch.testing.assert_close(spec.make(SPACE.task).x, batch.x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((12, 28, 28, 3), np.uint8)}, r"x \(shape\)"),
        ({"x": np.zeros((12, 3, 32, 32), np.int64)}, r"x \(shape\)"),
        ({"x": np.full((12, 3, 32, 32), np.nan)}, "finite"),
        ({"x": np.full((12, 3, 32, 32), 1e300)}, "finite"),
        ({"y": np.arange(11)}, r"y \(shape\)"),
        ({"y": np.arange(12.0)}, r"y \(shape\)"),
        ({"y": np.arange(12)}, "labels from 0 to 9"),
        ({"x": np.array([None] * 12)}, "an .npz file with the arrays x and y"),
    ],
)
def test_malformed_images_are_refused(
    images: dict[str, Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, **images | changes, allow_pickle=True)
    with pytest.raises(BatchError, match=message):
        SPACE.task.batch_spec(source="npz", data=str(path), batch_size=12).make(SPACE.task)


def test_missing_files_and_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.npz").touch()
    for fields, message in (
        ({"source": "npz", "data": str(tmp_path / "none.npz")}, "an existing file"),
        ({"source": "npz", "data": str(tmp_path / "empty.npz")}, "an .npz file with the arrays"),
        ({"source": "npz"}, "path of an .npz file"),
        ({"data": "images.npz"}, "none with source 'synthetic'"),
    ):
        with pytest.raises(BatchError, match=message):
            SPACE.task.batch_spec(**fields).make(SPACE.task)


def test_architectures_are_frozen() -> None:
    assert isinstance(SPACE.largest, NasBench201Architecture)
    assert SPACE.cost(SPACE.largest).params == 1_531_546
