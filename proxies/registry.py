"""Registry of the proxies."""

from collections.abc import Sequence

from common.errors import InputError, UnknownNameError
from proxies.base import Proxy, ProxyInfo
from proxies.epe_nas import EpeNas
from proxies.fisher import Fisher
from proxies.flops import Flops
from proxies.grad_norm import GradNorm
from proxies.grad_sign import GradSign
from proxies.grasp import Grasp
from proxies.jacov import Jacov
from proxies.l2_norm import L2Norm
from proxies.meco import Meco
from proxies.meco_opt import MecoOpt
from proxies.nwot import Nwot
from proxies.params import Params
from proxies.plain import Plain
from proxies.sed import Sed
from proxies.snip import Snip
from proxies.synflow import Synflow
from proxies.zen import Zen
from proxies.zico import Zico

PROXIES: tuple[Proxy, ...] = (
    EpeNas(),
    Fisher(),
    Flops(),
    GradNorm(),
    GradSign(),
    Grasp(),
    Jacov(),
    L2Norm(),
    Meco(),
    MecoOpt(),
    Nwot(),
    Params(),
    Plain(),
    Sed(),
    Snip(),
    Synflow(),
    Zen(),
    Zico(),
)
_BY_NAME = {proxy.info.name: proxy for proxy in PROXIES}
if len(_BY_NAME) != len(PROXIES):
    raise RuntimeError("two proxies share a name")


def proxy_infos() -> tuple[ProxyInfo, ...]:
    """Return the metadata of every proxy, ordered by name."""
    return tuple(proxy.info for proxy in PROXIES)


def proxy_names() -> list[str]:
    """Return the names of all proxies in alphabetical order."""
    return [proxy.info.name for proxy in PROXIES]


def proxy_versions(names: Sequence[str] | None = None) -> dict[str, str]:
    """Return the versions, as stored beside scores, of the named proxies by name; of all where None.

    Raises:
        UnknownNameError: no proxy has such a name.
        InputError: `names` is not a list.
    """
    return {proxy.info.name: proxy.info.version for proxy in get_proxies(names)}


def get_proxies(names: Sequence[str] | None) -> list[Proxy]:
    """Return the named proxies, each once, in the order of the names; all where None.

    Raises:
        UnknownNameError: no proxy has such a name.
        InputError: `names` is not a list.
    """
    if names is None:
        return list(PROXIES)
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError("proxies", names, "a list of names")
    for i, name in enumerate(names):
        if not isinstance(name, str) or name not in _BY_NAME:
            raise UnknownNameError(f"proxies[{i}]", name, list(_BY_NAME))
    return [_BY_NAME[name] for name in dict.fromkeys(names)]
