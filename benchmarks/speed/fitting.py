"""Growth of a fit of the additive Gaussian process with the number of rows.

python -m benchmarks.speed.fitting
"""

from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.speed.machine import seconds
from ensemble import Ensemble, feature_table
from ensemble.combiners.gaussian_process import AdditiveGaussianProcess
from service.settings import SHIPPED

NUMBERS = (500, 1_000, 2_000)
NOISE = 0.005
"""Standard deviation of the accuracies around the predictions that replace a table, a fraction."""


def growth(name: str) -> dict[int, tuple[int, float]]:
    """Measure fits to random architectures of an ensemble's space, with its predictions and noise as accuracies.

    Args:
        name: name of the shipped ensemble.

    Returns:
        Number of components, and seconds of a fit, by number of rows.
    """
    fitted, rng = Ensemble.load(SHIPPED / name), np.random.default_rng(0)
    architectures = [fitted.space.sample(rng) for _ in range(max(NUMBERS))]
    predicted = np.array([prediction.accuracy for prediction in fitted.predict(architectures)])
    accuracies = predicted + NOISE * rng.standard_normal(len(predicted))
    features = feature_table(fitted.space, architectures)
    process = AdditiveGaussianProcess(features.columns)
    fits = {number: partial(process.fit, features.values[:number], accuracies[:number]) for number in NUMBERS}
    times = {number: seconds(fit, 1) for number, fit in fits.items()}
    return {number: (len(process.variances_) - 1, time) for number, time in times.items()}


def main() -> None:
    table = Table("ensemble", "rows", "components", "s", "kernel matrices, GiB", "s / s with half the rows")
    for name in ("gcn-nas-ntu", "nas-bench-201-cifar10"):
        measured = growth(name)
        for number, (components, time) in measured.items():
            ratio = f"{time / measured[number // 2][1]:.1f}" if number // 2 in measured else ""
            size = components * number**2 * 8 / 2**30
            table.add_row(name, str(number), str(components), f"{time:.2f}", f"{size:.2f}", ratio)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
