"""Contract of every registered proxy, on the networks of every registered search space."""

from proxies.testing import ProxyContract


class TestProxies(ProxyContract):
    """All proxies, all spaces."""
