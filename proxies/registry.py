"""Registry of proxies: those built in, plug-ins of the entry point group `archrank.proxies`, and evolved ones."""

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import entry_points

from common.errors import InputError, UnknownNameError
from common.plugins import load_plugins, refuse_plugin
from proxies.base import Proxy, ProxyInfo
from proxies.epe_nas import EpeNas
from proxies.expressivity import Expressivity
from proxies.fisher import Fisher
from proxies.flops import Flops
from proxies.grad_norm import GradNorm
from proxies.grad_sign import GradSign
from proxies.grasp import Grasp
from proxies.jacov import Jacov
from proxies.l2_norm import L2Norm
from proxies.meco import Meco
from proxies.meco_opt import MecoOpt
from proxies.near import Near
from proxies.near_mean import NearMean
from proxies.nwot import Nwot
from proxies.params import Params
from proxies.participation import Participation
from proxies.passes import PASSES
from proxies.plain import Plain
from proxies.progressivity import Progressivity
from proxies.sed import Sed
from proxies.snip import Snip
from proxies.swap import Swap
from proxies.synflow import Synflow
from proxies.trainability import Trainability
from proxies.vkdnw import Vkdnw
from proxies.zen import Zen
from proxies.zico import Zico

ENTRY_POINTS = "archrank.proxies"
EVOLVED_ENTRY_POINTS = "archrank.evolved"
EVOLVED_DIR = "ARCHRANK_EVOLVED_DIR"
"""Environment variable with the folder of evolved proxies."""
BUILT_IN: tuple[Proxy, ...] = (
    EpeNas(),
    Expressivity(),
    Fisher(),
    Flops(),
    GradNorm(),
    GradSign(),
    Grasp(),
    Jacov(),
    L2Norm(),
    Meco(),
    MecoOpt(),
    Near(),
    NearMean(),
    Nwot(),
    Params(),
    Participation(),
    Plain(),
    Progressivity(),
    Sed(),
    Snip(),
    Swap(),
    Synflow(),
    Trainability(),
    Vkdnw(),
    Zen(),
    Zico(),
)


@lru_cache(maxsize=1)
def proxies_by_name() -> dict[str, Proxy]:
    """Return all registered proxies by name: the built-in ones, plug-ins, then evolved ones (`evolved:<name>`).

    A plug-in is a subclass of `Proxy` that takes no arguments, whose name is that of its entry point, and whose formula
    reads measurements of the shared passes.

    Raises:
        InputError: the folder of evolved proxies does not exist.
    """
    proxies = {proxy.info.name: proxy for proxy in BUILT_IN}
    if len(proxies) != len(BUILT_IN):
        raise RuntimeError("two proxies share a name")
    for plugin in load_plugins(ENTRY_POINTS, list(proxies)):
        kind = plugin.value
        info = getattr(kind, "info", None)
        if not isinstance(kind, type) or not issubclass(kind, Proxy):
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, "it is no subclass of Proxy")
        elif not isinstance(info, ProxyInfo) or info.name != plugin.name:
            reason = f"the name of its proxy is {getattr(info, 'name', None)!r}"
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, reason)
        elif not info.needs or not any(info.needs <= shared_pass.provides for shared_pass in PASSES):
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, "no pass provides all measurements that it needs")
        else:
            try:
                proxies[plugin.name] = kind()
            except Exception as error:
                refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, f"{type(error).__name__}: {error}")
    if os.environ.get(EVOLVED_DIR) or entry_points(group=EVOLVED_ENTRY_POINTS):
        from proxies.evolved.documents import evolved_proxies  # needs pydantic, without which all others work

        return proxies | evolved_proxies(proxies)
    return proxies


def proxy_infos() -> tuple[ProxyInfo, ...]:
    """Return the metadata of every proxy: the built-in ones ordered by name, then plug-ins."""
    return tuple(proxy.info for proxy in proxies_by_name().values())


def proxy_names() -> list[str]:
    """Return the names of all proxies: the built-in ones in alphabetical order, then plug-ins."""
    return list(proxies_by_name())


def proxy_versions(names: Sequence[str] | None = None) -> dict[str, str]:
    """Return the versions, as stored beside scores, of the named proxies by name; of the default ones where None.

    Raises:
        UnknownNameError: no proxy has such a name.
        InputError: `names` is not a list.
    """
    return {proxy.info.name: proxy.info.version for proxy in get_proxies(names)}


def get_proxies(names: Sequence[str] | None) -> list[Proxy]:
    """Return the named proxies, each once, in the order of the names; the default ones where None.

    Raises:
        UnknownNameError: no proxy has such a name.
        InputError: `names` is not a list.
    """
    by_name = proxies_by_name()
    if names is None:
        return [proxy for proxy in by_name.values() if proxy.info.default]
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError("proxies", names, "a list of names")
    for i, name in enumerate(names):
        if not isinstance(name, str) or name not in by_name:
            raise UnknownNameError(f"proxies[{i}]", name, list(by_name))
    return [by_name[name] for name in dict.fromkeys(names)]
