"""Small networks of the kinds that people have."""

from tests.proxies.zoo import in_place, models, order, weights
from tests.proxies.zoo.specimen import ZOO

__all__ = ["ZOO", "in_place", "models", "order", "weights"]
