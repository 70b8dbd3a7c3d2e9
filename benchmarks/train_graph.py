"""Train a `nas-bench-graph` architecture on its real graph by the benchmark's protocol.

    python -m benchmarks.train_graph --dataset cora --key 88811 --data $ARCHRANK_DATASETS/planetoid --seeds 3

Prints the test accuracy at the first epoch of the best validation accuracy, for each seed. The split of cora, citeseer
and pubmed is the public one; of the others 20 nodes a class for training and 30 for validation are drawn.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from rich.console import Console

from models.nas_bench_graph import NasBenchGraph
from training import default_recipe, load_training_data, train


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--key", required=True, help="five digits of the benchmark, e.g. 88811")
    parser.add_argument("--data", required=True, type=Path, help="an .npz file, or the folder of Planetoid's files")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    space = NasBenchGraph(options.dataset)
    architecture, data = space.parse(options.key), load_training_data(space, options.data)
    console, accuracies = Console(), []
    for seed in range(options.seeds):
        result = train(space, architecture, data, default_recipe(space), seed)
        if result.accuracy is None:
            parser.exit(1, f"seed {seed}: {result.error}: {result.detail}\n")
        accuracies.append(result.accuracy)
        console.print(f"seed {seed}: test accuracy {result.accuracy:.4f}, {result.seconds:.0f} s")
    console.print(f"mean test accuracy {mean(accuracies):.4f}")


if __name__ == "__main__":
    main()
