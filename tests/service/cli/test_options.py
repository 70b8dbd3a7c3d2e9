"""Options that several commands share."""

from proxies import proxy_names
from service.cli.options import proxy_option


def test_all_are_the_proxies_beyond_the_default_ones_too() -> None:
    assert proxy_option("all") == proxy_names()
    assert proxy_option("near, zen") == ["near", "zen"]
