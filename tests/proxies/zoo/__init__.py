"""Small networks of the kinds that people have."""

from tests.proxies.zoo import copies, in_place, models, order, weights
from tests.proxies.zoo.specimen import ZOO

__all__ = ["ZOO", "copies", "in_place", "models", "order", "weights"]
