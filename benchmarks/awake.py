"""Proxies with the batch norms behind graph convolutions at weight 1 instead of 1e-6.

    python benchmarks/awake.py --benchmark DIR

The batch norm behind every graph convolution of `gcn-nas` starts with weight 1e-6, so that with batch norm a network
hardly depends on its modules. The command scores a benchmark with the usual initialization and with weight 1, and
prints the Spearman correlation ρ with the accuracy, overall and within strata.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from ensemble import load_benchmark
from ensemble.evaluation.metrics import prediction_metrics
from models import get_space
from models.gcn_nas.batches import MotionBatchSpec
from proxies import score

PROXIES = ("fisher", "grad_norm", "grasp", "jacov", "meco", "meco_opt", "nwot", "plain", "snip", "zico")
"""Proxies that keep the initial batch norm."""
METRICS = ("spearman", "within_stratum_spearman")


def score_features(architecture: dict[str, object], weight: float | None) -> list[float | None]:
    """Return the proxies' features with the given weight of the batch norms; the initial one for None."""
    torch.set_num_threads(1)
    space = get_space("gcn-nas")
    network = space.build(space.parse(architecture))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if weight is not None and name.endswith("gtcn.bn.weight"):
                parameter.fill_(weight)
    batch = MotionBatchSpec().make(space.task)
    return [result.feature for result in score(network, batch.x, batch.y, PROXIES).values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    benchmark = load_benchmark(arguments.benchmark)
    texts = [benchmark.space.to_json(arch) for arch in benchmark.architectures]
    columns = []
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for weight in (None, 1.0):
            rows = pool.map(partial(score_features, weight=weight), texts)
            columns.append(np.array(list(track(rows, total=len(texts), console=Console(stderr=True))), dtype=float).T)
    sys.stdout.write(
        "| proxy | as initialized: ρ | within-stratum ρ | weight 1: ρ | within-stratum ρ |\n|---|---|---|---|---|\n"
    )
    for name, usual, awake in zip(PROXIES, *columns, strict=True):
        metrics = [
            prediction_metrics(values, benchmark.accuracy, benchmark.strata, absolute=False)
            for values in (usual, awake)
        ]
        cells = [f"{value:.3f}" for row in metrics for key in METRICS if (value := row[key]) is not None]
        sys.stdout.write(f"| `{name}` | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
