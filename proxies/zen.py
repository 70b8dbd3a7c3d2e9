"""Gaussian complexity."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Zen(Proxy):
    """log mean_n Σ abs(f(x) − f(x')) + Σ over 2-d batch norms of log sqrt(mean running variance).

    Averaged over repeats, each with weights and inputs of its own.
    """

    info = ProxyInfo(
        name="zen",
        needs=frozenset({Need.PERTURBATION}),
        batch_norm=True,
        direction=1,
        cost=2.0,
        source="Lin et al., ICCV 2021, alg. 1",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        repeats = [
            difference.mean().log() + sum(0.5 * variance.double().mean().log() for variance in variances)
            for difference, variances in measured[Need.PERTURBATION]
        ]
        return sum(float(repeat) for repeat in repeats) / len(repeats)
