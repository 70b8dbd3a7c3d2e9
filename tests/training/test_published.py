"""Networks that are trained by the benchmark's protocol have its accuracy."""

from pathlib import Path
from statistics import mean

from models.nas_bench_graph import NasBenchGraph
from training import default_recipe, load_training_data, train


def test_cora_88811(cora: NasBenchGraph, datasets_folder: Path) -> None:
    data = load_training_data(cora, datasets_folder / "planetoid")
    results = [train(cora, cora.parse("88811"), data, default_recipe(cora), seed) for seed in range(3)]
    accuracies = [result.accuracy for result in results if result.accuracy is not None]
    assert len(accuracies) == 3
    assert abs(mean(accuracies) - 0.80) <= 0.015  # published: .802
