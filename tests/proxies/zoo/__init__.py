"""Small networks of many kinds."""

from tests.proxies.zoo import copies, in_place, models, order, weights
from tests.proxies.zoo.case import ZOO

__all__ = ["ZOO", "copies", "in_place", "models", "order", "weights"]
