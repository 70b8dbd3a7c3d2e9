"""The shared passes, in the order in which they run: cheap ones first."""

from proxies.passes.base import Pass, ProxyInput
from proxies.passes.counting import FlopsPass, TopologyPass, WeightsPass
from proxies.passes.engines import needs_shown
from proxies.passes.exact import ExactPass
from proxies.passes.gradient_sign import GradientSignPass
from proxies.passes.input_gradient import FreeInputPass
from proxies.passes.minibatches import MinibatchPass
from proxies.passes.perturbation import PerturbationPass
from proxies.passes.random_input import DatumPass
from proxies.passes.synflow import FlowPass
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

__all__ = ["EXACT", "PASSES", "Pass", "ProxyInput", "needs_shown"]
