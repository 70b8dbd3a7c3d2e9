"""Orders of the architectures that no accuracy of the table has been fitted to, and their rank correlations."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from benchmarks.nw_ucla.material import Array, Material
from ensemble.evaluation.metrics import rows_by_stratum, spearman

NUM_RESAMPLES = 500
LEVEL = 0.95
EPOCHS = (1, 3, 5, 10)
"""Numbers of first epochs of a training."""
Correlation = tuple[float, float, float]
"""A correlation and the ends of its interval."""


@dataclass(frozen=True)
class Order:
    """Rank correlations of an order with the accuracies.

    Attributes:
        name: what orders.
        spearman, kendall: over all architectures.
        within_spearman, within_kendall: mean over the depths; None for an order by depth.
    """

    name: str
    spearman: Correlation
    kendall: Correlation
    within_spearman: Correlation | None
    within_kendall: Correlation | None


def plain_orders(material: Material) -> Iterator[Order]:
    """Yield depth, costs, the shipped ensemble, and the first epochs of the training."""
    table = material.structure
    yield correlate(material, "number of layers", material.strata.astype(np.float64))
    yield correlate(material, "parameters", table.select(["cost.log_params"])[:, 0])
    yield correlate(material, "FLOPs", table.select(["cost.log_flops"])[:, 0])
    yield correlate(material, "shipped ensemble, `structure`", material.source_scores)
    for epochs in EPOCHS:
        when = "epoch 1" if epochs == 1 else f"{epochs} epochs"
        yield correlate(material, f"validation loss after {when}, negative", loss_order(material, epochs))
    for epochs in EPOCHS[1:]:
        yield correlate(
            material, f"sum of the training losses of {epochs} epochs, negative", loss_sum_order(material, epochs)
        )


def proxy_orders(material: Material, batch: str) -> Iterator[Order]:
    """Yield the proxies of a probe batch that have a score of every architecture."""
    table = material.features(batch=batch)
    for name in table.columns.proxies:
        column = table.select([name])[:, 0]
        if not np.isnan(column).any():
            yield correlate(material, name.removeprefix("proxy."), column)


def loss_order(material: Material, epochs: int) -> Array:
    """Return the negative validation loss after a number of epochs, (n,)."""
    curves = [entry.curve for entry in material.benchmark.entries]
    return -np.array([curve.validation_loss[epochs - 1] for curve in curves if curve is not None])


def loss_sum_order(material: Material, epochs: int) -> Array:
    """Return the negative sum of the first training losses, (n,): SoTL (Ru et al. 2021)."""
    curves = [entry.curve for entry in material.benchmark.entries]
    return -np.array([sum(curve.training_loss[:epochs]) for curve in curves if curve is not None])


def correlate(material: Material, name: str, order: Array) -> Order:
    """Correlate an order with the accuracies; bootstrap intervals over the architectures of each depth.

    Args:
        material: the benchmark.
        name: name of the order.
        order: sort keys, (n,), larger for better.
    """
    y, strata = material.benchmark.accuracy, material.strata
    groups = list(rows_by_stratum(strata).values())
    rng = np.random.default_rng(0)
    drawn = [_correlations(order, y, [rng.choice(rows, len(rows)) for rows in groups]) for _ in range(NUM_RESAMPLES)]
    ends = np.nanquantile(np.array(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    values = _correlations(order, y, groups)
    rho, tau, within_rho, within_tau = (
        (value, float(low), float(high)) for value, low, high in zip(values, *ends, strict=True)
    )
    by_depth = all(np.ptp(order[rows]) == 0 for rows in groups)
    return Order(name, rho, tau, None if by_depth else within_rho, None if by_depth else within_tau)


def _correlations(order: Array, y: Array, groups: list[np.ndarray]) -> tuple[float, float, float, float]:
    """ρ and τ over the rows of all groups, and their means over the groups in which they are defined."""
    rows = np.concatenate(groups)
    by_group = np.array([_pair(order[group], y[group]) for group in groups])
    known = ~np.isnan(by_group[:, 0])
    within = by_group[known].mean(axis=0) if known.any() else (0.0, 0.0)
    return (*_pair(order[rows], y[rows]), float(within[0]), float(within[1]))


def _pair(order: Array, y: Array) -> tuple[float, float]:
    rho = spearman(order, y)
    return (np.nan, np.nan) if rho is None else (rho, float(kendalltau(order, y).statistic))
