"""Evolution of proxies: genetic programming of expressions over measurements of a benchmark's architectures."""

from evolution.evolving import EvolutionReport, evolve
from evolution.measurements import Measurements, measure_architectures
from evolution.settings import EvolutionSettings, Objective

__all__ = [
    "EvolutionReport",
    "EvolutionSettings",
    "Measurements",
    "Objective",
    "evolve",
    "measure_architectures",
]
