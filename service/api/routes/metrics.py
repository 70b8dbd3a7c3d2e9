"""Metrics for Prometheus."""

import asyncio
from typing import get_args

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from service.api.deps import AdminRoute, ContextDep, StoreDep
from service.api.problems import problem_responses
from service.storage import StoreError
from service.storage.records import ACTIVE_STATES, JobState

router = APIRouter(tags=["health"], route_class=AdminRoute)
STORE_TIMEOUT_S = 2.0
"""Time after which metrics are returned without those of the store, which may be unavailable."""


@router.get("/metrics", response_class=PlainTextResponse, responses=problem_responses())
async def get_metrics(context: ContextDep, store: StoreDep) -> Response:
    """Return all metrics in Prometheus's text format."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            counts = await asyncio.to_thread(store.jobs.counts)
            studies = await asyncio.to_thread(store.studies.counts)
    except (StoreError, TimeoutError):
        context.metrics.set_store_down()
    else:
        jobs = {state: counts[state].jobs if state in counts else 0 for state in get_args(JobState)}
        active = [counts[state] for state in ACTIVE_STATES if state in counts]
        items = {"queued": sum(job.queued for job in active), "running": sum(job.running for job in active)}
        context.metrics.set_jobs(jobs, items)
        context.metrics.set_studies(*studies)
    context.metrics.queue_depth.set(context.queue_depth)
    return Response(await asyncio.to_thread(context.metrics.render), media_type=CONTENT_TYPE_LATEST)
