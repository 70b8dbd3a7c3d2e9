"""Working copies of a network, on which passes run."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from proxies.passes.references import copy_of

WeightHook = WeightNorm | SpectralNorm | BasePruningMethod
"""Forward pre-hooks that recompute a module's weight before each call: the older form of a parametrization."""

TAPE_MODULES = frozenset(
    {nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.ReLU, nn.Identity}
    | {nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d}
    | {nn.Sequential, nn.ModuleList, nn.ModuleDict}
)
"""PyTorch modules that a network with `supports_tape` may contain."""
DROPOUT_MODULES = (nn.modules.dropout._DropoutNd, nn.MultiheadAttention, nn.RNNBase)
DROPOUT_RATES = ("p", "dropout")
"""Attributes of these modules with the share of entries that they set to 0."""


def working_copy(network: nn.Module, share: bool = False, in_place: bool = True) -> nn.Module:
    """Return a copy in train mode, without dropout, that shares nothing that a forward pass may change.

    A weight that is recomputed in each call (by `torch.nn.utils.parametrizations`, `weight_norm`, `spectral_norm` or
    `prune`) is computed once and is a plain parameter of the copy.

    Args:
        network: unchanged. Its own `__deepcopy__` is not called.
        share: share the memory of parameters, for a network that writes to none.
        in_place: False switches the `inplace` of modules off.

    Returns:
        A network with the same submodules, parameter names (but for recomputed weights) and `requires_grad`.
    """
    memo: dict[int, Any] = {id(p): _parameter(p, share) for p in network.parameters()}
    memo |= {id(b): b.detach().clone() for b in network.buffers()}
    modules = _python_modules(network, memo)
    for module in modules:
        memo[id(module)] = object.__new__(type(module))  # not the `__new__` of its class, which may do anything
    for module in modules:
        memo[id(module)].__dict__.update({name: copy_of(value, memo) for name, value in module.__dict__.items()})
    copied: nn.Module = memo[id(network)]
    copied.train()  # its result may be None
    for module in list(copied.modules()):
        _make_weights(module)
        for name in DROPOUT_RATES:
            if isinstance(module, DROPOUT_MODULES) and isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
        if not in_place and isinstance(getattr(module, "inplace", None), bool):
            setattr(module, "inplace", False)  # noqa: B010
    return copied


def in_double(network: nn.Module) -> nn.Module:
    """Convert a working copy to float64, plain tensor attributes included, such as a graph that is no buffer."""
    network.double()
    for module in network.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor):
                vars(module)[name] = _doubled(value)
            elif type(value) in (list, tuple) and any(isinstance(item, Tensor) for item in value):
                vars(module)[name] = type(value)(map(_doubled, value))
    return network


def _doubled(value: Any) -> Any:
    is_plain = isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and value.is_floating_point()
    return value.double() if is_plain else value


def is_modified(network: nn.Module) -> bool:
    """Return True if the network has a part that its class may not know of.

    Such parts are a hook, a parametrization, a function in place of a module's `forward`, a tensor that two modules
    share, and a module that is neither of the network's package nor a plain layer of PyTorch.
    """
    package = type(network).__module__.partition(".")[0]
    return len(list(network.parameters())) < len(list(network.named_parameters(remove_duplicate=False))) or any(
        module._forward_hooks
        or module._forward_pre_hooks
        or "forward" in module.__dict__
        or not (type(module) in TAPE_MODULES or type(module).__module__.partition(".")[0] == package)
        for module in network.modules()
    )


@torch.no_grad()
def _copy_scripted(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Return a copy of a TorchScript module with the same `requires_grad`."""
    copied = copy.deepcopy(module)
    for parameter, original in zip(copied.parameters(), module.parameters(), strict=True):
        parameter.requires_grad_(original.requires_grad)
    return copied


def _parameter(parameter: nn.Parameter, share: bool) -> nn.Parameter:
    tensor = parameter.detach()
    return nn.Parameter(tensor if share and not tensor.is_inference() else tensor.clone(), parameter.requires_grad)


def _python_modules(network: nn.Module, memo: dict[int, Any]) -> list[nn.Module]:
    """Return every module but those of TorchScript, which TorchScript copies into `memo`."""
    modules: list[nn.Module] = []
    scripted: set[int] = set()
    for module in network.modules():
        if isinstance(module, torch.jit.ScriptModule):
            if id(module) not in scripted:
                memo[id(module)] = _copy_scripted(module)
                scripted |= {id(inner) for inner in module.modules()}
        else:
            modules.append(module)
    return modules


def _make_weights(module: nn.Module) -> None:
    """Replace each weight that is recomputed in every call by a parameter with its value."""
    if parametrize.is_parametrized(module):
        lists: Any = module.parametrizations
        values = {name: (getattr(module, name), list(lists[name].parameters())) for name in lists}
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module._modules["parametrizations"]
        for name, (value, sources) in values.items():
            _set_parameter(module, name, value, sources)
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, WeightHook):
            _make_hooked_weight(module, hook)
            del module._forward_pre_hooks[key]


def _make_hooked_weight(module: nn.Module, hook: Callable[..., Any]) -> None:
    """Replace the weight that a pre-hook computes by a parameter with its value."""
    hook(module, ())
    name: str = hook._tensor_name if isinstance(hook, BasePruningMethod) else getattr(hook, "name")  # noqa: B009
    value = getattr(module, name)
    parts = [f"{name}_{part}" for part in ("orig", "g", "v")]
    sources = [module._parameters.pop(part) for part in parts if part in module._parameters]
    delattr(module, name)
    _set_parameter(module, name, value, [source for source in sources if source is not None])


def _set_parameter(module: nn.Module, name: str, value: Tensor, sources: list[nn.Parameter]) -> None:
    """Register a value computed from `sources`: a parameter, or a buffer where there is no source."""
    if sources:
        trainable = any(source.requires_grad for source in sources)
        module.register_parameter(name, nn.Parameter(value.detach().clone(), trainable))
    else:
        module.register_buffer(name, value.detach().clone())
