"""Training noise of the table, and the ceiling that it sets for an order within a depth."""

from benchmarks.nw_ucla.material import FIRST_SEED, Material
from ensemble.evaluation.metrics import rows_by_stratum
from training.benchmark.ceilings import measure_ceilings
from training.benchmark.noise import LEVEL, Estimate, SeedDesign, measure_noise

__all__ = ["LEVEL", "Noise", "training_noise"]

Noise = list[tuple[str, Estimate]]


def training_noise(material: Material) -> Noise:
    """Estimate the noise by the architectures with two seeds, and the ceilings for accuracies of the first seed."""
    strata = material.strata.tolist()
    design = SeedDesign(material.accuracies, strata)
    noise = measure_noise(design)
    first = SeedDesign([{FIRST_SEED: accuracies[FIRST_SEED]} for accuracies in material.accuracies], strata)
    first.squares = design.squares  # the first seed alone does not tell its noise
    ceilings = measure_ceilings(first, list(rows_by_stratum(strata).values()))
    assert noise is not None
    assert noise.own_std is not None
    assert noise.shared_std is not None
    assert ceilings is not None
    return [
        ("standard deviation over seeds, of an architecture alone", noise.own_std),
        ("standard deviation over seeds, shared by the architectures of a depth", noise.shared_std),
        ("fraction of the variance within depths that is no noise", ceilings.reliability),
        ("ρ within depth of a perfect predictor", ceilings.spearman),
        ("τ within depth of a perfect predictor", ceilings.kendall),
    ]
