"""The shared passes, in the order in which they run: cheap ones first."""

from proxies.passes.base import Pass, Probe
from proxies.passes.counting import FlopsPass, TopologyPass, WeightsPass
from proxies.passes.datum import DatumPass
from proxies.passes.engines import needs_shown
from proxies.passes.exact import ExactPass
from proxies.passes.flow import FlowPass
from proxies.passes.free import FreeInputPass
from proxies.passes.minibatches import MinibatchPass
from proxies.passes.perturbation import PerturbationPass
from proxies.passes.signs import GradientSignPass
from proxies.passes.training import TrainingPass

PASSES: tuple[Pass, ...] = (
    WeightsPass(),
    TopologyPass(),
    FlopsPass(),
    DatumPass(),
    FlowPass(),
    PerturbationPass(),
    FreeInputPass(),
    GradientSignPass(),
    MinibatchPass(),
    TrainingPass(),
)

EXACT = ExactPass()
"""The pass of the exact engine, for what those above are not right for."""

__all__ = ["EXACT", "PASSES", "Pass", "Probe", "needs_shown"]
