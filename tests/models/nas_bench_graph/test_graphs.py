"""Probe graphs: synthetic ones, and published ones by path; malformed files are refused."""

import pickle
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse

from common.errors import BatchError, InputError
from models.nas_bench_graph.datasets import DATASETS, Dataset, get_dataset
from models.nas_bench_graph.graphs.array_pickle import PickleError, read_pickle
from models.nas_bench_graph.graphs.files import ARRAYS, load_graph
from models.nas_bench_graph.graphs.labels import labeled_nodes
from models.nas_bench_graph.graphs.sampling import GraphData, sample_batch
from models.nas_bench_graph.graphs.sizes import default_num_nodes
from models.nas_bench_graph.graphs.synthetic import WORDS, num_links, synthetic_batch
from models.nas_bench_graph.task import GraphTask, check_edges
from models.task import ProbeBatch
from tests.conftest import data_folder
from tests.models.nas_bench_graph.graph_files import (
    CORA,
    OTHERS,
    PHOTO,
    TEST_INDEX,
    TRAIN,
    photo_arrays,
    planetoid,
    ring,
    save,
)

FILES = {"cora": "planetoid", "citeseer": "planetoid"} | {
    name: f"graphs/{name}.npz" for name in ("photo", "computers", "cs", "physics")
}


def degrees(batch: ProbeBatch) -> torch.Tensor:
    return torch.bincount(batch.inputs[1][0], minlength=len(batch.x))


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_synthetic_graphs_fit_their_task(dataset: Dataset) -> None:
    task = GraphTask(dataset)
    batch = task.synthetic_batch(seed=3)
    task.check(batch)
    assert batch.shapes == task.input_shapes()
    assert batch.shapes == (
        (default_num_nodes(dataset), dataset.num_features),
        (2, 2 * num_links(dataset, len(batch.x))),
    )
    assert batch.fingerprint == task.synthetic_batch(seed=3).fingerprint != task.synthetic_batch(seed=4).fingerprint
    assert int(degrees(batch).min()) >= 1
    assert batch.rows is not None
    assert sorted(set(batch.rows.tolist())) == batch.rows.tolist()
    if dataset.is_multilabel:
        assert batch.targets.shape == (len(batch.rows), dataset.num_outputs)
        assert 0.1 < float(batch.targets.mean()) < 0.5
    else:
        labels = torch.bincount(batch.targets, minlength=dataset.num_outputs)
        assert 2 <= int(labels.min()) <= int(labels.max()) <= min(20, int(labels.min()) + 1)


@pytest.mark.parametrize("name", WORDS)
def test_synthetic_features_are_as_sparse_as_those_of_the_data_set(name: str) -> None:
    x = synthetic_batch(get_dataset(name), 256, seed=0).x
    assert set(x.flatten().tolist()) == {0.0, 1.0}
    assert float(x.sum(1).mean()) == pytest.approx(WORDS[name], rel=0.05)


def test_synthetic_graphs_have_class_structure_and_hubs() -> None:
    """Links and features within classes; seen over all nodes by labeling each of them."""
    batch = synthetic_batch(PHOTO, 1000, seed=1)
    assert batch.rows is not None
    classes = torch.full((1000,), -1).scatter(0, batch.rows, batch.targets)
    source, target = batch.inputs[1]
    labeled = (classes[source] >= 0) & (classes[target] >= 0)
    same = classes[source] == classes[target]
    assert 0.6 < float(same[labeled].float().mean()) < 0.9
    assert int(degrees(batch).max()) > 5 * float(degrees(batch).float().median())
    x = batch.x[batch.rows]
    similarity = torch.corrcoef(x - x.mean(0)).fill_diagonal_(0)
    in_class = batch.targets[:, None] == batch.targets
    assert float(similarity[in_class].mean()) > float(similarity[~in_class].mean()) + 0.1


@pytest.mark.parametrize("value", [0, 27, 2049, True, 64.0, "64"])
def test_sizes_of_synthetic_graphs_are_checked(value: Any) -> None:
    with pytest.raises(BatchError, match=r"num_nodes: got .*; allowed: a whole number from 28 to 2048"):
        GraphTask(CORA).synthetic_batch(num_nodes=value)
    with pytest.raises(BatchError, match="num_nodes"):
        GraphTask(CORA).input_shapes(num_nodes=value)


def test_seeds_are_checked() -> None:
    with pytest.raises(InputError, match="seed"):
        GraphTask(CORA).synthetic_batch(seed=-1)


def test_labels_are_balanced_and_at_most_twenty_a_class() -> None:
    classes = np.repeat([0, 1, 2], [100, 30, 5])
    nodes = labeled_nodes(classes, np.arange(135), 135, np.random.default_rng(0))
    assert np.bincount(classes[nodes]).tolist() == [20, 20, 5]
    few = labeled_nodes(classes, np.arange(100, 135), 7, np.random.default_rng(0))
    assert np.bincount(classes[few]).tolist() == [0, 4, 3]


# Published graphs


@pytest.mark.parametrize("name", FILES)
def test_published_graphs(name: str) -> None:
    dataset, task = get_dataset(name), GraphTask(get_dataset(name))
    path = data_folder("ARCHRANK_DATASETS", "datasets") / FILES[name]
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    graph = load_graph(dataset, path)
    assert graph.features.shape == (dataset.num_nodes, dataset.num_features)
    assert graph.adjacency.nnz == dataset.num_edges
    assert set(np.unique(graph.features.data)) == {1.0}
    assert graph.features.nnz / dataset.num_nodes == pytest.approx(WORDS[name], rel=0.02)
    if graph.train is not None:
        assert len(graph.train) == dataset.training.num_train
    spec = task.batch_spec(source="graph", data=str(path), num_nodes=100)
    batch = spec.make(task)
    task.check(batch)
    assert batch.fingerprint == spec.make(task).fingerprint
    assert batch.shapes == spec.shapes(task)
    assert set(batch.targets.tolist()) == set(range(dataset.num_outputs))


def test_samples_are_induced_subgraphs() -> None:
    batch = sample_batch(ring(100), 40, seed=0, source="ring")
    numbers = batch.x[:, 0].long() - 1
    assert len(numbers) == len(set(numbers.tolist())) == 40
    linked = {(int(numbers[a]), int(numbers[b])) for a, b in batch.inputs[1].T.tolist()}
    inside = set(numbers.tolist())
    assert linked == {(a, b) for a in inside for b in ((a + 1) % 100, (a - 1) % 100) if b in inside}
    assert batch.rows is not None
    assert torch.equal(numbers[batch.rows] % 2, batch.targets)
    assert torch.bincount(batch.targets).tolist() == [5, 5]
    check_edges(batch.inputs[1], 40)


def test_whole_graphs_keep_every_node_and_twenty_labels_a_class() -> None:
    batch = sample_batch(ring(100), 0, seed=0, source="ring")
    assert torch.equal(batch.x[:, 0], torch.arange(1.0, 101))
    assert batch.inputs[1].shape == (2, 200)
    assert torch.bincount(batch.targets).tolist() == [20, 20]


def test_labels_come_from_the_training_split_alone() -> None:
    whole = ring(100)
    graph = GraphData(whole.features, whole.adjacency, whole.labels, train=np.arange(10))
    batch = sample_batch(graph, 80, seed=0, source="ring")
    assert batch.rows is not None
    assert batch.x[batch.rows, 0].tolist() == list(range(1, 11))


def test_samples_go_on_where_a_component_ends() -> None:
    graph = ring(100)
    without_links = GraphData(graph.features, sparse.csr_array((100, 100)), graph.labels)
    batch = sample_batch(without_links, 60, seed=0, source="points")
    assert batch.shapes == ((60, 1), (2, 0))


# Files of index arrays


def test_index_arrays_are_read_and_reduced_to_the_largest_component(tmp_path: Path) -> None:
    graph = load_graph(PHOTO, save(tmp_path))
    assert graph.features.shape == (39, PHOTO.num_features)
    assert graph.adjacency.nnz == 76
    assert graph.labels.tolist() == (np.arange(39) % 8).tolist()


def flipped(array: NDArray[Any], index: int, value: Any) -> NDArray[Any]:
    copy = array.astype(np.int64)
    copy[index] = value
    return copy


MALFORMED: dict[str, tuple[Callable[[dict[str, NDArray[Any]]], dict[str, Any]], str]] = {
    "array missing": (lambda a: {"lcc": None}, "data"),
    "pickled": (lambda a: {"y": np.array([{"a": 1}], dtype=object)}, "data"),
    "labels of another shape": (lambda a: {"y": a["y"][:, None]}, "y"),
    "labels that are no whole numbers": (lambda a: {"y": a["y"] + 0.5}, "y"),
    "label too large": (lambda a: {"y": flipped(a["y"], 0, 8)}, r"data \(labels\)"),
    "label missing": (lambda a: {"y": a["y"] % 7}, r"data \(labels\)"),
    "fewer labels": (lambda a: {"y": a["y"][:30]}, "x_shape"),
    "no nodes": (lambda a: {"y": a["y"][:0]}, "y"),
    "other shape of x": (lambda a: {"x_shape": np.array([40])}, "x_shape"),
    "huge x": (lambda a: {"x_shape": np.array([40, 2**62])}, "x_shape"),
    "fewer features": (lambda a: {"x_shape": np.array([40, 10])}, "x_indices"),
    "more features": (lambda a: {"x_shape": np.array([40, 1000])}, r"data \(features\)"),
    "component that is no mask": (lambda a: {"lcc": np.arange(39)}, "lcc"),
    "empty component": (lambda a: {"lcc": np.zeros(40, dtype=bool)}, "lcc"),
    "neighbor out of range": (lambda a: {"adj_indices": flipped(a["adj_indices"], 3, 40)}, "adj_indices"),
    "negative neighbor": (lambda a: {"adj_indices": flipped(a["adj_indices"], 3, -1)}, "adj_indices"),
    "feature out of range": (lambda a: {"x_indices": flipped(a["x_indices"], 0, PHOTO.num_features)}, "x_indices"),
    "directed": (lambda a: {"adj_indices": flipped(a["adj_indices"], 0, 20)}, "adj_indices"),
    "loop": (lambda a: {"adj_indices": np.repeat(np.arange(40), 2)}, "adj_indices"),
    "neighbor twice": (lambda a: {"adj_indices": np.repeat((np.arange(40) + 1) % 40, 2)}, "adj_indices"),
    "pointers that decrease": (lambda a: {"adj_indptr": flipped(a["adj_indptr"], 5, 0)}, "adj_indptr"),
    "pointers beyond the end": (lambda a: {"x_indptr": flipped(a["x_indptr"], -1, 10**9)}, "x_indptr"),
    "pointers that do not begin at 0": (lambda a: {"x_indptr": flipped(a["x_indptr"], 0, 1)}, "x_indptr"),
    "too few pointers": (lambda a: {"x_indptr": a["x_indptr"][1:]}, "x_indptr"),
    "real pointers": (lambda a: {"x_indptr": a["x_indptr"].astype(np.float64)}, "x_indptr"),
    "real indices": (lambda a: {"x_indices": a["x_indices"] + 0.5}, "x_indices"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_index_arrays_are_refused(name: str, tmp_path: Path) -> None:
    change, field = MALFORMED[name]
    with pytest.raises(BatchError, match=f"^{field}"):
        load_graph(PHOTO, save(tmp_path, **change(photo_arrays())))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.npz").write_bytes(b"no archive")
    for path in (tmp_path / "photo.npz", tmp_path / "missing.npz"):
        with pytest.raises(BatchError, match=r"^data"):
            load_graph(PHOTO, path)
    for name in ("arxiv", "proteins"):
        with pytest.raises(BatchError, match=f"synthetic, as the graph of {name} cannot be read"):
            load_graph(get_dataset(name), tmp_path)
    assert "lcc" in ARRAYS


# Planetoid's files


def test_planetoid_files_are_read_in_the_order_of_the_nodes(tmp_path: Path) -> None:
    graph = load_graph(CORA, planetoid(tmp_path))
    tx = read_pickle((tmp_path / "ind.cora.tx").read_bytes()).toarray()
    assert graph.features.shape == (51, CORA.num_features)
    assert np.array_equal(graph.features[TEST_INDEX].toarray(), tx)
    assert graph.features[[45]].nnz == 0
    assert graph.labels[TEST_INDEX].tolist() == (np.arange(OTHERS, OTHERS + 10) % 7).tolist()
    assert graph.train is not None
    assert graph.test is not None
    assert graph.train.tolist() == list(range(TRAIN))
    assert graph.test.tolist() == sorted(TEST_INDEX)
    assert graph.adjacency.nnz == 102, "each link once in both directions, without loops"


def test_planetoid_files_of_old_versions_are_read(tmp_path: Path) -> None:
    """SciPy's and NumPy's former module names, and strings of Python 2 in the place of bytes."""
    planetoid(tmp_path)
    content = (tmp_path / "ind.cora.allx").read_bytes()
    old = content.replace(b"numpy._core.", b"numpy.core.").replace(b"scipy.sparse._csr", b"scipy.sparse.csr")
    assert (read_pickle(old) != read_pickle(content)).nnz == 0
    header = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
    big_endian = b"cnumpy\ndtype\nU\x02i4K\x00K\x01\x87R(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    assert read_pickle(header + big_endian + b"\x89U\x08\x00\x00\x00\x07\x00\x00\x01\x00tb.").tolist() == [7, 256]


BROKEN: dict[str, dict[str, Any]] = {
    "no pickle": {"x": b"no pickle"},
    "empty": {"graph": b""},
    "cut": {"allx": pickle.dumps(sparse.csr_matrix(np.eye(3)), protocol=3)[:-20]},
    "array for a matrix": {"x": np.zeros((TRAIN, CORA.num_features))},
    "matrix for an array": {"y": sparse.csr_matrix(np.eye(7))},
    "objects": {"y": np.array([[None]])},
    "text": {"y": np.array([["a"]])},
    "list": {"graph": [1, 2]},
    "one dimension": {"y": np.arange(TRAIN)},
    "not finite": {"tx": sparse.csr_matrix(np.full((10, CORA.num_features), np.nan, dtype=np.float32))},
    "fewer rows than labels": {"x": sparse.csr_matrix((3, CORA.num_features))},
    "other number of features": {"tx": sparse.csr_matrix((10, 5))},
    "neighbor out of range": {"graph": defaultdict(list, {0: [51]})},
    "neighbor that is no number": {"graph": defaultdict(list, {0: ["1"]})},
    "no neighbors": {"graph": defaultdict(list, {0: 1})},
    "index that is no number": {"index": b"40\nforty"},
    "empty index": {"index": b""},
    "index too large": {"index": b"99999999999999999999999"},
    "index twice": {"index": b"40\n" * 10},
    "index with a gap too wide": {"index": "\n".join(map(str, [*range(40, 49), 10**9])).encode()},
    "more training nodes than nodes": {"x": sparse.csr_matrix((60, CORA.num_features)), "y": np.eye(60, 7)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_malformed_planetoid_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError):
        load_graph(CORA, planetoid(tmp_path, **BROKEN[name]))


def test_missing_planetoid_files_are_named(tmp_path: Path) -> None:
    planetoid(tmp_path)
    (tmp_path / "ind.cora.ty").unlink()
    with pytest.raises(BatchError, match=r"ind\.cora\.ty'; allowed: an existing file"):
        load_graph(CORA, tmp_path)


class Malicious:
    def __reduce__(self) -> Any:
        return print, ("run",)


def test_pickles_run_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [b"os\nsystem", b"builtins\neval", b"numpy\nload", b"scipy.sparse._csr\ncsr_array", b"builtins\ngetattr"]
    for content in (pickle.dumps(Malicious()), *(b"\x80\x02c" + name + b"\n." for name in names)):
        with pytest.raises(PickleError, match="it names"):
            read_pickle(content)
    with pytest.raises(BatchError, match=r"a pickle of arrays \(it names builtins\.print\)"):
        load_graph(CORA, planetoid(tmp_path, x=pickle.dumps(Malicious())))
    assert capsys.readouterr().out == ""


def test_large_indices_of_a_pickle_reserve_no_memory() -> None:
    """LONG_BINPUT with the largest index: the unpickler written in C would reserve 64 GB."""
    with pytest.raises(PickleError, match="holds a NoneType"):
        read_pickle(b"\x80\x02Nr\xff\xff\xff\xff.")
