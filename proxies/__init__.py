"""Zero-cost proxies: formulas over a few shared passes."""

from proxies.base import Need, Proxy, ProxyInfo, Score
from proxies.registry import proxy_infos, proxy_names, proxy_versions
from proxies.runner import score, score_batch

__all__ = [
    "Need",
    "Proxy",
    "ProxyInfo",
    "Score",
    "proxy_infos",
    "proxy_names",
    "proxy_versions",
    "score",
    "score_batch",
]
