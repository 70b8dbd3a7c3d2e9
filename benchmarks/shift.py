"""How honest are intervals for architectures unlike those that were learned from?

    python benchmarks/shift.py --benchmark DIR

Leaves out a whole depth, or the architectures with the fewest or the most fixed-graph modules, fits `structure` on the
others and predicts those. Prints how many are recognised as unlike, and how often their interval holds the accuracy, as
it is and as it would be without being widened; and how many new random architectures are called unlike.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from ensemble import Benchmark, FeatureTable, feature_table, get_combiner, load_benchmark
from ensemble.calibration.applicability import ReferenceSet
from ensemble.evaluation.cross_validation import fit_combiner, predict_combiner
from ensemble.evaluation.metrics import interval_metrics, spearman
from ensemble.evaluation.protocol import benchmark_features

FIXED = "network.fixed.mean"
NEW = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True)
    benchmark = load_benchmark(parser.parse_args().benchmark)
    table, y, depths = benchmark_features(benchmark, None), benchmark.accuracy, benchmark.strata
    fixed = table.select([FIXED])[:, 0]
    low, high = np.quantile(fixed, [0.15, 0.85])
    left_out = {f"{depth} layers": depths == depth for depth in np.unique(depths)}
    left_out |= {f"at most {low:.2f} fixed-graph modules": fixed <= low, f"at least {high:.2f}": fixed >= high}
    info = get_combiner("structure")
    header = (
        "left out",
        "architectures",
        "outside of the domain",
        "coverage",
        "width, points",
        "coverage without widening",
        "ρ",
    )
    sys.stdout.write(f"| {' | '.join(header)} |\n|{'---|' * len(header)}\n")
    for name, out in left_out.items():
        seen, unseen = (FeatureTable(table.names, table.values[rows]) for rows in (~out, out))
        model, errors = fit_combiner(info, seen, y[~out], seed=0)
        predicted = predict_combiner(info, model, unseen)
        stretch = np.array([one.interval_scale for one in ReferenceSet.from_table(seen).mismatches(unseen)])
        told, alike = (
            interval_metrics(errors.intervals(predicted, depths[out], widened), y[out], depths[out])
            for widened in (stretch, None)
        )
        shares = (
            f"{(stretch > 1).mean():.0%}",
            f"{told['coverage']['overall']:.1%}",
            f"{100 * (told['interval_width']['overall'] or 0):.2f}",
        )
        cells = (f"{out.sum()}", *shares, f"{alike['coverage']['overall']:.1%}", f"{spearman(predicted, y[out]):.2f}")
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
    for size in (150, len(benchmark)):
        fraction = _false_alarms(benchmark, table, size)
        sys.stdout.write(f"outside of the domain of {size}, of {NEW} random: {fraction:.1%}\n")


def _false_alarms(benchmark: Benchmark, table: FeatureTable, size: int) -> float:
    """Share of new random architectures that are called unlike a random part of the benchmark; mean of ten draws."""
    rng = np.random.default_rng(0)
    new = feature_table(benchmark.space, [benchmark.space.sample(rng) for _ in range(NEW)])
    shares = []
    for _ in range(10):
        rows = rng.permutation(len(benchmark))[:size]
        found = ReferenceSet.from_table(FeatureTable(table.names, table.values[rows])).mismatches(new)
        shares.append(np.mean([one.interval_scale > 1 for one in found]))
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
