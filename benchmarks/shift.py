"""Coverage of intervals for architectures outside of the applicability domain.

    python benchmarks/shift.py --benchmark DIR

Leaves out one depth, or the architectures with the fewest or the most fixed-graph modules, fits `structure` on the rest
and predicts the ones left out. Prints the fraction recognised as outside of the domain, the coverage of the intervals
with and without widening, and the fraction of random architectures that count as outside of the domain.
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
N_RANDOM = 1000
N_SUBSETS = 10


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
        train, test = (FeatureTable(table.columns, table.values[rows]) for rows in (~out, out))
        model, residuals = fit_combiner(info, train, y[~out], seed=0)
        predicted = predict_combiner(info, model, test)
        scales = np.array([mismatch.interval_scale for mismatch in ReferenceSet.from_table(train).mismatches(test)])
        widened, plain = (
            interval_metrics(residuals.intervals(predicted, depths[out], interval_scales), y[out], depths[out])
            for interval_scales in (scales, None)
        )
        cells = (
            f"{out.sum()}",
            f"{(scales > 1).mean():.0%}",
            f"{widened['coverage']['overall']:.1%}",
            f"{100 * (widened['interval_width']['overall'] or 0):.2f}",
            f"{plain['coverage']['overall']:.1%}",
            f"{spearman(predicted, y[out]):.2f}",
        )
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
    for size in (150, len(benchmark)):
        fraction = _false_alarms(benchmark, table, size)
        sys.stdout.write(f"outside of the domain of {size}: {fraction:.1%} of {N_RANDOM} random architectures\n")


def _false_alarms(benchmark: Benchmark, table: FeatureTable, size: int) -> float:
    """Return the fraction of random architectures outside of the domain of a random subset, averaged over subsets."""
    rng = np.random.default_rng(0)
    new = feature_table(benchmark.space, [benchmark.space.sample(rng) for _ in range(N_RANDOM)])
    fractions = []
    for _ in range(N_SUBSETS):
        rows = rng.permutation(len(benchmark))[:size]
        mismatches = ReferenceSet.from_table(FeatureTable(table.columns, table.values[rows])).mismatches(new)
        fractions.append(np.mean([mismatch.interval_scale > 1 for mismatch in mismatches]))
    return float(np.mean(fractions))


if __name__ == "__main__":
    main()
