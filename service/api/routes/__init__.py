"""Routes of the HTTP API."""

from service.api.routes import catalog, draws, health, jobs, metrics, predictions, scores, studies, validations

ROUTERS = (
    predictions.router,
    scores.router,
    jobs.job_router,
    jobs.router,
    studies.stored_router,
    studies.answer_router,
    studies.router,
    validations.router,
    catalog.router,
    draws.router,
    health.router,
    metrics.router,
)

__all__ = ["ROUTERS"]
