"""Proxies of other packages, by entry points."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from common.plugins import Plugin, PluginWarning
from proxies import proxy_names, proxy_versions, registry, score
from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.params import Params


class HalfParams(Proxy):
    """Half the number of parameters."""

    info = ProxyInfo("half_params", frozenset({Need.NUM_PARAMETERS}), None, 1, 0.0, "-", version="7")

    def compute(self, measured: Measured) -> float:
        return float(measured[Need.NUM_PARAMETERS]) / 2


class Unserved(HalfParams):
    """A proxy over measurements that no single pass makes."""

    info = ProxyInfo("unserved", frozenset({Need.FLOPS, Need.TOPOLOGY}), None, 1, 0.0, "-")


class Unmakable(HalfParams):
    """A proxy that cannot be made."""

    info = ProxyInfo("unmakable", frozenset({Need.NUM_PARAMETERS}), None, 1, 0.0, "-")

    def __init__(self) -> None:
        raise OSError("no licence")


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Plugin]]:
    """Plug-ins that are installed, as a list to fill."""
    installed: list[Plugin] = []
    monkeypatch.setattr(registry, "load_plugins", lambda group, taken: installed)
    registry.proxies_by_name.cache_clear()
    yield installed
    registry.proxies_by_name.cache_clear()


def test_a_plugin_is_a_proxy_like_any_other(plugins: list[Plugin]) -> None:
    plugins.append(Plugin("half_params", "other 1.0", HalfParams))
    assert proxy_names()[-1] == "half_params"
    assert proxy_versions(["half_params"]) == {"half_params": "7"}
    scores = score(nn.Linear(3, 2), torch.ones(2, 3), torch.tensor([0, 1]), ["half_params", "params"])
    assert {name: result.value for name, result in scores.items()} == {"half_params": 4, "params": 8}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("broken", "no class", "it is no subclass of Proxy"),
        ("other_name", HalfParams, "the name of its proxy is 'half_params'"),
        ("renamed", Params, "the name of its proxy is 'params'"),
        ("unserved", Unserved, "no pass provides all measurements"),
        ("unmakable", Unmakable, "OSError: no licence"),
    ],
)
def test_a_broken_plugin_is_a_warning_and_the_rest_works(
    name: str, value: Any, reason: str, plugins: list[Plugin]
) -> None:
    plugins += [Plugin(name, "other 1.0", value), Plugin("half_params", "third 2.0", HalfParams)]
    with pytest.warns(PluginWarning, match=f"plug-in '{name}' of other 1.0.*{reason}"):
        names = proxy_names()
    assert names == [*(proxy.info.name for proxy in registry.BUILT_IN), "half_params"]
