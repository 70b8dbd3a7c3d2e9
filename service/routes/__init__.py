"""The HTTP routes, thin: they read, hand over and write."""

from service.routes import catalog, health, predictions, scores

ROUTERS = (predictions.router, scores.router, catalog.router, health.router)

__all__ = ["ROUTERS"]
