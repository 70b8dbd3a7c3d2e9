"""The shared passes, in the order in which they run: cheap ones first."""

from proxies.passes.base import Pass, Probe
from proxies.passes.counting import CountingPass
from proxies.passes.flow import FlowPass
from proxies.passes.free import FreePass
from proxies.passes.perturbation import PerturbationPass
from proxies.passes.training import TrainingPass

PASSES: tuple[Pass, ...] = (CountingPass(), FlowPass(), PerturbationPass(), FreePass(), TrainingPass())

__all__ = ["PASSES", "Pass", "Probe"]
