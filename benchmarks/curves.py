"""Gain of proxy scores and training curves of the first epochs over the structure of an architecture.

    python -m benchmarks.curves --benchmark $ARCHRANK_BENCHMARKS/gcn-nas-ntu
    python -m benchmarks.curves --benchmark table.jsonl --sizes 25 50 --curve-epochs 1 3 5

Draws n rows at random, fits ridge regression and extremely randomized trees to them, on the structure alone and with
additional columns, and predicts all other rows. The penalty of the ridge is chosen on the n rows, by leave-one-out; the
trees have fixed settings and predict the residuals from the stratum means. Printed is the within-stratum ρ, mean over
the draws, and in brackets its paired difference from that of the structure alone, with the standard error over the
draws.

Proxies come from the public files, or from the trainings of a table, curves from the trainings of a table. The public
files hold scores of later epochs too. From epoch 49 on, which of them exist depends on the result of the training: they
are no features.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import insert_tables, markdown
from ensemble import Benchmark, Combiner, ScoreTable, load_benchmark
from ensemble.combiners.forest import Forest
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stratum_residual import StratumResidual
from ensemble.data.curve import CurveFeatures
from ensemble.data.features import as_number, feature_table
from ensemble.evaluation.metrics import prediction_metrics
from ensemble.report import load_epochs

Array = NDArray[np.float64]
EPOCHS = (0, 1, 2, 4, 6, 9)
MAX_EPOCH = 47
"""Last epoch whose scores exist for every architecture of the public files."""
STRUCTURE = "structure"
MIN_COVERED_FRACTION = 0.95
"""Fraction of architectures with a score below which a proxy is left out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of the public files, or a built table")
    parser.add_argument("--epochs", type=int, nargs="*", default=list(EPOCHS), help="epochs of the proxies, from 0")
    parser.add_argument("--curve-epochs", type=int, nargs="*", default=[], help="numbers of first epochs of the curve")
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 100, 500], help="numbers of training rows")
    parser.add_argument("--draws", type=int, default=10, help="number of random training sets")
    parser.add_argument("--page", type=Path, help="page of the documentation whose table is replaced")
    parser.add_argument("--table", default="curves", help="name of that table")
    args = parser.parse_args()
    if late := [epoch for epoch in args.epochs if not 0 <= epoch <= MAX_EPOCH]:
        parser.error(f"--epochs: got {late}; allowed: 0 to {MAX_EPOCH}")
    benchmark = load_benchmark(args.benchmark)
    inputs = input_columns(benchmark, args.benchmark, args.epochs, args.curve_epochs)
    text = markdown(table(measure(benchmark, inputs, args.sizes, args.draws), args.sizes))
    sys.stdout.write(text)
    if args.page is not None:
        insert_tables(args.page, {args.table: text})


def input_columns(
    benchmark: Benchmark, path: Path, epochs: Sequence[int], curve_epochs: Sequence[int]
) -> dict[str, Array]:
    """Columns by the name of an input, (n, columns): the structure, and what is added to it."""
    inputs = {STRUCTURE: feature_table(benchmark.space, benchmark.architectures).values}
    by_epoch = load_epochs(path, benchmark) if path.is_dir() else {}
    if by_epoch:
        inputs["+ proxies before the training"] = _proxy_columns(benchmark)
    for epoch in epochs:
        if epoch in by_epoch:
            inputs[f"+ proxies after epoch {epoch}"] = _proxy_columns(by_epoch[epoch])
    completed = {count for entry in benchmark.entries for training in entry.trainings for count in training.scores}
    for count in sorted(completed & {0, *(epoch + 1 for epoch in epochs)}):
        name = "before the training" if count == 0 else f"after epoch {count - 1}"
        inputs[f"+ proxies {name}"] = _columns_of_trainings(benchmark, count)
    for count in curve_epochs:
        curves = [entry.curve for entry in benchmark.entries]
        label = "epoch" if count == 1 else f"{count} epochs"
        inputs[f"+ curve of the first {label}"] = CurveFeatures.from_curves(curves, count).values(curves)
    return inputs


def measure(
    benchmark: Benchmark, inputs: Mapping[str, Array], sizes: Sequence[int], draws: int
) -> dict[tuple[str, str, int], Array]:
    """Within-stratum ρ by model, input and number of training rows, (draws,)."""
    y, strata = benchmark.accuracy, benchmark.strata
    stratum_column = feature_table(benchmark.space, benchmark.architectures).columns
    index = stratum_column.indices([stratum_column.stratum or ""])
    trees = Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True, random_state=0)
    models: dict[str, Callable[[], Combiner]] = {
        "ridge": Ridge,
        "trees": lambda: StratumResidual(trees, index[0]) if index else trees,
    }
    results: dict[tuple[str, str, int], list[float]] = {}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(y))
        for size in sizes:
            train, test = np.sort(order[:size]), np.sort(order[size:])
            for name, added in inputs.items():
                columns = inputs[STRUCTURE] if name == STRUCTURE else np.hstack([inputs[STRUCTURE], added])
                columns = _imputed(columns, train)
                for model, make in models.items():
                    predicted = make().fit(columns[train], y[train]).predict(columns[test])
                    rho = prediction_metrics(predicted, y[test], strata[test])["within_stratum_spearman"]
                    results.setdefault((model, name, size), []).append(as_number(rho))
        sys.stderr.write(f"draw {draw + 1} of {draws}\n")
    return {key: np.array(values) for key, values in results.items()}


def table(results: Mapping[tuple[str, str, int], Array], sizes: Sequence[int]) -> list[list[str]]:
    """Rows of the table, with a heading."""
    models, names = (list(dict.fromkeys(key[i] for key in results)) for i in (0, 1))
    columns = [(model, size) for size in sizes for model in models]
    rows = [["inputs", *(f"{model}, {size} rows" for model, size in columns)], ["---", *("---:" for _ in columns)]]
    for name in names:
        row = [name]
        for model, size in columns:
            values, reference = (np.asarray(results[model, each, size]) for each in (name, STRUCTURE))
            cell = f"{values.mean():.3f}"
            if name != STRUCTURE:
                gain = values - reference
                error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else np.nan
                cell += f" ({gain.mean():+.3f} ± {error:.3f})"
            row.append(cell)
        rows.append(row)
    return rows


def _proxy_columns(benchmark: Benchmark) -> Array:
    """Published scores, as features, of the proxies that nearly all architectures have."""
    scores = ScoreTable.from_published(benchmark)
    rows = [scores.features.get(architecture.fingerprint, {}) for architecture in benchmark.architectures]
    columns = np.array([[as_number(row.get(proxy)) for proxy in scores.proxies] for row in rows])
    return _covered(columns)


def _columns_of_trainings(benchmark: Benchmark, count: int) -> Array:
    """Scores after a number of completed epochs, means over the trainings that have them."""
    proxies = sorted(
        {
            proxy
            for entry in benchmark.entries
            for training in entry.trainings
            for proxy in training.scores.get(count, {})
        }
    )
    rows = []
    for entry in benchmark.entries:
        scores = [training.scores[count] for training in entry.trainings if count in training.scores]
        row = [[value for each in scores if (value := each.get(proxy)) is not None] for proxy in proxies]
        rows.append([float(np.mean(values)) if values else np.nan for values in row])
    return _covered(np.array(rows))


def _covered(columns: Array) -> Array:
    return columns[:, (~np.isnan(columns)).mean(axis=0) >= MIN_COVERED_FRACTION]


def _imputed(columns: Array, train: NDArray[np.int64]) -> Array:
    """Fill missing values with the medians of the training rows."""
    return np.where(np.isnan(columns), np.nanmedian(columns[train], axis=0), columns)


if __name__ == "__main__":
    main()
