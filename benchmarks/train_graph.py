"""Train a `nas-bench-graph` architecture on its real graph by the benchmark's protocol.

    python -m benchmarks.train_graph --dataset cora --key 88811 --data $ARCHRANK_DATASETS/planetoid --seeds 3

Prints the test accuracy at the first epoch of the best validation accuracy, for each seed. The split of cora, citeseer
and pubmed is the public one; of the others 20 nodes a class for training and 30 for validation are drawn by the seed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from torch.nn import functional

from models.nas_bench_graph.architecture import NasBenchGraphArchitecture, parse
from models.nas_bench_graph.datasets import Dataset, get_dataset
from models.nas_bench_graph.graphs.files import load_graph
from models.nas_bench_graph.graphs.sampling import GraphData
from models.nas_bench_graph.network import build

NUM_VALID = 500
"""Validation nodes of the public split: those that follow the training nodes."""
TRAIN_PER_CLASS, VALID_PER_CLASS = 20, 30


def split(graph: GraphData, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes for training, validation and test."""
    if graph.train is not None and graph.test is not None:
        first = len(graph.train)
        parts = graph.train, np.arange(first, first + NUM_VALID), graph.test
    else:
        order = np.random.default_rng(seed).permutation(len(graph.labels))
        members = [order[graph.labels[order] == label] for label in np.unique(graph.labels)]
        train = np.concatenate([nodes[:TRAIN_PER_CLASS] for nodes in members])
        valid = np.concatenate([nodes[TRAIN_PER_CLASS : TRAIN_PER_CLASS + VALID_PER_CLASS] for nodes in members])
        parts = train, valid, np.setdiff1d(order, np.concatenate([train, valid]))
    train_nodes, valid_nodes, test_nodes = (torch.from_numpy(part) for part in parts)
    return train_nodes, valid_nodes, test_nodes


def train(arch: NasBenchGraphArchitecture, dataset: Dataset, graph: GraphData, seed: int) -> tuple[float, float, int]:
    """Return the best validation accuracy, the test accuracy at its first epoch, and this epoch."""
    protocol = dataset.training
    x = torch.from_numpy(graph.features.toarray().astype(np.float32))
    edges = torch.from_numpy(np.stack(graph.adjacency.nonzero()).astype(np.int64))
    labels = torch.from_numpy(graph.labels)
    train_nodes, valid_nodes, test_nodes = split(graph, seed)
    network = build(arch, dataset, seed, dataset.dropout)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[protocol.optimizer]
    optimizer = kind(network.parameters(), lr=protocol.learning_rate, weight_decay=protocol.weight_decay)
    torch.manual_seed(seed)  # dropout
    best = (0.0, 0.0, 0)
    for epoch in range(1, protocol.epochs + 1):
        network.train()
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(network(x, edges)[train_nodes], labels[train_nodes]))
        optimizer.step()
        network.eval()
        with torch.no_grad():
            is_right = network(x, edges).argmax(1) == labels
        valid, test = (float(is_right[nodes].float().mean()) for nodes in (valid_nodes, test_nodes))
        if valid > best[0]:
            best = valid, test, epoch
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--key", required=True, help="five digits of the benchmark, e.g. 88811")
    parser.add_argument("--data", required=True, type=Path, help="an .npz file, or the folder of Planetoid's files")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    dataset = get_dataset(options.dataset)
    arch, graph = parse(options.key, dataset.operations), load_graph(dataset, options.data)
    console, results = Console(), []
    for seed in range(options.seeds):
        valid, test, epoch = train(arch, dataset, graph, seed)
        results.append(test)
        console.print(f"seed {seed}: test accuracy {test:.4f}, validation {valid:.4f}, epoch {epoch}")
    console.print(f"mean test accuracy {np.mean(results):.4f}")


if __name__ == "__main__":
    main()
