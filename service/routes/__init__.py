"""The HTTP routes, thin: they read, hand over and write."""

from service.routes import catalog, health, jobs, predictions, scores

ROUTERS = (predictions.router, scores.router, jobs.posting, jobs.router, catalog.router, health.router)

__all__ = ["ROUTERS"]
