"""Published graphs: splits of the benchmark, and its accuracy after a few epochs."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import InputError
from models.nas_bench_graph import NasBenchGraph
from tests.models.nas_bench_graph.graph_files import planetoid, save
from training import default_recipe, load_training_data, train


def test_published_split(cora: NasBenchGraph, datasets_folder: Path) -> None:
    data = load_training_data(cora, datasets_folder / "planetoid")
    assert data.description["sizes"] == {"training": 140, "validation": 500, "test": 1000}
    assert data.description["split"] == {"rule": "public"}


def test_random_split_has_the_benchmarks_sizes(datasets_folder: Path) -> None:
    space = NasBenchGraph("photo")
    data, other = (
        load_training_data(space, datasets_folder / "graphs" / "photo.npz", split_seed=seed) for seed in (0, 1)
    )
    protocol = space.task.dataset.training
    sizes = {"training": protocol.num_train, "validation": protocol.num_valid, "test": protocol.num_test}
    assert data.description["sizes"] == sizes
    rows = [next(part.batches("training", None, 0)).rows for part in (data, other)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert rows[0].tolist() != rows[1].tolist()


def test_cora_is_learned_within_a_few_epochs(cora: NasBenchGraph, datasets_folder: Path) -> None:
    data = load_training_data(cora, datasets_folder / "planetoid")
    result = train(cora, cora.parse("88811"), data, replace(default_recipe(cora), epochs=5), 0)
    assert result.epochs[4].training_loss < result.epochs[0].training_loss
    assert result.epochs[4].validation_loss < result.epochs[0].validation_loss


@pytest.mark.parametrize("split", [None, "random", "half"])
def test_graphs_that_cannot_be_divided(cora: NasBenchGraph, tmp_path: Path, split: str | None) -> None:
    with pytest.raises(InputError, match="split: got"):
        load_training_data(cora, planetoid(tmp_path), split)


def test_small_graphs_without_published_split(tmp_path: Path) -> None:
    for split in (None, "public"):
        with pytest.raises(InputError, match="split: got"):
            load_training_data(NasBenchGraph("photo"), save(tmp_path), split)


def test_recipe_is_the_benchmarks(cora: NasBenchGraph) -> None:
    recipe = default_recipe(cora)
    assert (recipe.epochs, recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == (400, "sgd", 0.1, 5e-4)
    assert (recipe.batch_size, recipe.momentum, recipe.milestones) == (None, 0.0, ())


def test_a_graph_is_one_batch(cora: NasBenchGraph, datasets_folder: Path) -> None:
    data = load_training_data(cora, datasets_folder / "planetoid")
    with pytest.raises(InputError, match=r"recipe\.batch_size: got 40"):
        next(data.batches("training", 40, 0))
