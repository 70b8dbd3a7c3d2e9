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
"""A forward pre-hook that makes a module's weight anew before each call: the older form of a parametrization."""

KNOWN = frozenset(
    {nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.ReLU, nn.Identity}
    | {nn.Sequential, nn.ModuleList, nn.ModuleDict}
)
"""PyTorch's modules that a network for a tape may have."""


def working_copy(network: nn.Module, share: bool = False, in_place: bool = True) -> nn.Module:
    """A copy in train mode that shares nothing that a forward pass may change.

    A weight that is made anew in each call (by `torch.nn.utils.parametrizations`, `weight_norm`, `spectral_norm` or
    `prune`) is made once and is a plain parameter of the copy.

    Args:
        network: stays as it is. Its own `__deepcopy__` is not called.
        share: parameters share the network's memory, for a network that writes to no parameter.
        in_place: False switches the `inplace` of modules off.

    Returns:
        A network with the same submodules, parameter names (but for weights made anew) and `requires_grad`.
    """
    memo: dict[int, Any] = {id(p): _parameter(p, share) for p in network.parameters()}
    memo |= {id(b): b.detach().clone() for b in network.buffers()}
    modules = _python_modules(network, memo)
    for module in modules:
        memo[id(module)] = object.__new__(type(module))  # whatever its class makes of `__new__`
    for module in modules:
        memo[id(module)].__dict__.update({name: copy_of(value, memo) for name, value in module.__dict__.items()})
    copied: nn.Module = memo[id(network)]
    copied.train()  # may return nothing
    for module in list(copied.modules()):
        _make_weights(module)
        if not in_place and isinstance(getattr(module, "inplace", None), bool):
            setattr(module, "inplace", False)  # noqa: B010
    return copied


def in_double(network: nn.Module) -> nn.Module:
    """A working copy in float64, plain tensor attributes included, such as a graph that is no buffer."""
    network.double()
    for module in network.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor):
                vars(module)[name] = _doubled(value)
            elif type(value) in (list, tuple) and any(isinstance(item, Tensor) for item in value):
                vars(module)[name] = type(value)(map(_doubled, value))
    return network


def _doubled(value: Any) -> Any:
    plain = isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and value.is_floating_point()
    return value.double() if plain else value


def is_modified(network: nn.Module) -> bool:
    """True if the network has something that its class may not know of.

    That is a hook, a parametrization, a function in place of a module's `forward`, a tensor that two modules share, or
    a module that is neither of its own package nor a plain layer of PyTorch's.
    """
    own = type(network).__module__.partition(".")[0]
    return len(list(network.parameters())) < len(list(network.named_parameters(remove_duplicate=False))) or any(
        module._forward_hooks
        or module._forward_pre_hooks
        or "forward" in module.__dict__
        or not (type(module) in KNOWN or type(module).__module__.partition(".")[0] == own)
        for module in network.modules()
    )


@torch.no_grad()
def _scripted(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    made = copy.deepcopy(module)
    for ours, theirs in zip(made.parameters(), module.parameters(), strict=True):
        ours.requires_grad_(theirs.requires_grad)
    return made


def _parameter(parameter: nn.Parameter, share: bool) -> nn.Parameter:
    tensor = parameter.detach()
    return nn.Parameter(tensor if share and not tensor.is_inference() else tensor.clone(), parameter.requires_grad)


def _python_modules(network: nn.Module, memo: dict[int, Any]) -> list[nn.Module]:
    """Every module but TorchScript's, which are copied into `memo` by TorchScript."""
    found: list[nn.Module] = []
    scripted: set[int] = set()
    for module in network.modules():
        if isinstance(module, torch.jit.ScriptModule):
            if id(module) not in scripted:
                memo[id(module)] = _scripted(module)
                scripted |= {id(inner) for inner in module.modules()}
        else:
            found.append(module)
    return found


def _make_weights(module: nn.Module) -> None:
    """Replace each weight that is made anew in every call by a parameter with its value."""
    if parametrize.is_parametrized(module):
        lists: Any = module.parametrizations
        made = {name: (getattr(module, name), list(lists[name].parameters())) for name in lists}
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module._modules["parametrizations"]
        for name, (value, sources) in made.items():
            _set_parameter(module, name, value, sources)
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, WeightHook):
            _make_hooked_weight(module, hook)
            del module._forward_pre_hooks[key]


def _make_hooked_weight(module: nn.Module, hook: Callable[..., Any]) -> None:
    hook(module, ())
    name: str = hook._tensor_name if isinstance(hook, BasePruningMethod) else getattr(hook, "name")  # noqa: B009
    value = getattr(module, name)
    parts = [f"{name}_{part}" for part in ("orig", "g", "v")]
    sources = [module._parameters.pop(part) for part in parts if part in module._parameters]
    delattr(module, name)
    _set_parameter(module, name, value, [source for source in sources if source is not None])


def _set_parameter(module: nn.Module, name: str, value: Tensor, sources: list[nn.Parameter]) -> None:
    """Register what was made of `sources`: a buffer where these are no parameters."""
    if sources:
        trainable = any(source.requires_grad for source in sources)
        module.register_parameter(name, nn.Parameter(value.detach().clone(), trainable))
    else:
        module.register_buffer(name, value.detach().clone())
