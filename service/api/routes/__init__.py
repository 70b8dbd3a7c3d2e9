"""The HTTP routes, thin: they read, hand over and write."""

from service.api.routes import catalog, health, jobs, metrics, predictions, scores, validations

ROUTERS = (
    predictions.router,
    scores.router,
    jobs.posting,
    jobs.router,
    validations.router,
    catalog.router,
    health.router,
    metrics.router,
)

__all__ = ["ROUTERS"]
