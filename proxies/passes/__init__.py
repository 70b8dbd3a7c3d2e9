"""Shared passes, in the order in which they run: cheap ones first."""

from proxies.passes.activation_patterns import ActivationPatternPass
from proxies.passes.base import Pass, ProxyInput
from proxies.passes.counting import FlopsPass, TopologyPass, WeightsPass
from proxies.passes.engines import verified_needs
from proxies.passes.exact import ExactPass
from proxies.passes.gradient_sign import GradientSignPass
from proxies.passes.input_gradient import InputGradientPass
from proxies.passes.layer_tensors import LayerTensorsPass
from proxies.passes.minibatches import MinibatchPass
from proxies.passes.perturbation import PerturbationPass
from proxies.passes.random_input import RandomInputPass
from proxies.passes.synflow import SynflowPass
from proxies.passes.training import TrainingPass

PASSES: tuple[Pass, ...] = (
    WeightsPass(),
    TopologyPass(),
    FlopsPass(),
    RandomInputPass(),
    SynflowPass(),
    PerturbationPass(),
    ActivationPatternPass(),
    InputGradientPass(),
    GradientSignPass(),
    MinibatchPass(),
    LayerTensorsPass(),
    TrainingPass(),
)

EXACT_PASS = ExactPass()
"""Pass of the exact engine, for measurements that the passes above are not verified for."""

__all__ = ["EXACT_PASS", "PASSES", "Pass", "ProxyInput", "verified_needs"]
