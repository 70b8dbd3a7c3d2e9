"""The shared passes, in the order in which they run: cheap ones first."""

from proxies.passes.base import Pass, Probe
from proxies.passes.counting import FlopsPass, WeightsPass
from proxies.passes.flow import FlowPass
from proxies.passes.free import FreeInputPass, GradientSignPass
from proxies.passes.perturbation import PerturbationPass
from proxies.passes.training import TrainingPass

PASSES: tuple[Pass, ...] = (
    WeightsPass(),
    FlopsPass(),
    FlowPass(),
    PerturbationPass(),
    FreeInputPass(),
    GradientSignPass(),
    TrainingPass(),
)

__all__ = ["PASSES", "Pass", "Probe"]
