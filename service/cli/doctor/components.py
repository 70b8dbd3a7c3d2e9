"""Checks of the service's components: store, keys, ensembles, proxies and workers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic, perf_counter, sleep

import numpy as np
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, exc, func, select

from common.errors import ArchrankError, InputError
from common.extras import MissingExtraError
from models import ProbeBatch
from proxies import proxy_names, proxy_versions
from service.api.authentication import is_loopback
from service.api_keys import NO_KEY_HINT
from service.app import ray_options, worker_options
from service.cli.doctor.report import Finding, Installation, SkippedError, error, ok, warning
from service.inference.plan import Plan
from service.inference.queries import PredictionQuery, Query, ScoreQuery
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.inference.scorer import make_task
from service.settings import Settings
from service.storage.database import create_postgres_engine, parse_url
from service.storage.errors import StoreError
from service.storage.migrate import MIGRATIONS_DIR
from service.storage.opening import open_store, store_url
from service.storage.store import FILE_NAME
from service.workers.backend import Backend
from service.workers.errors import ClusterError
from service.workers.process_backend import ProcessBackend
from service.workers.ray_backend import RayBackend

MAX_WRITE_S = 0.5
"""Time above which writing a row is reported as slow."""
MAX_CLOCK_SKEW_S = 5.0
STORE_ERRORS = (InputError, MissingExtraError, StoreError, exc.SQLAlchemyError, OSError)
WORKER_TIMEOUT_S = 180.0
"""Timeout of a worker's start, and then of scoring one architecture."""
SCORING_ADVICE = "see the memory and cores above"


def store(installation: Installation) -> Finding:
    """The store can be reached and written, and its tables are up to date."""
    try:
        if not _exists(installation.settings):
            return ok("does not exist yet: a server creates it at its start")
        schema = _schema(installation.settings)
        if schema.empty:
            return ok("empty: a server creates the tables at its start")
        if schema.missing:  # opening the store would run them, which is left to a server
            text = f"its tables are of an older archrank: migrations {', '.join(schema.missing)} are to be run"
            return warning(text, "a server runs them at its start; back up the store before")
        started = perf_counter()
        with open_store(installation.settings) as opened:
            opened.check_health()
        seconds = perf_counter() - started
    except MissingExtraError as failure:
        return error(str(failure), "install the extra, or use SQLite")
    except STORE_ERRORS as failure:
        text = " ".join(str(failure.orig if isinstance(failure, exc.DBAPIError) else failure).split())
        return error(text, "check that it runs, and ARCHRANK_STORE_URL or ARCHRANK_DATA_DIR")
    if schema.clock_skew > MAX_CLOCK_SKEW_S:
        return warning(f"its clock differs from this machine's by {schema.clock_skew:.0f} s", "set both by NTP")
    text = f"opened and written in {seconds:.3f} s"
    return ok(text) if seconds < MAX_WRITE_S else warning(text, "requests and jobs wait for it: check its disk")


def keys(installation: Installation) -> Finding:
    """Requests are accepted: with a key, or without one if only this machine can reach the service."""
    host = installation.settings.host
    try:
        stored, anonymous = _stored_keys(installation.settings)
    except STORE_ERRORS:
        raise SkippedError("the store cannot be read") from None
    number = len(installation.settings.keys) + stored
    if not (number or is_loopback(host)):
        return error(f"other machines can reach {host}, and there is no key", "archrank keys create --name NAME")
    if not (number or anonymous):
        return warning("no key is in use, and requests without a key are refused", NO_KEY_HINT)
    if not is_loopback(host):
        return ok(f"{number} in use")
    return ok(f"{number} in use; only this machine can reach {host}")


def ensembles(installation: Installation) -> Finding:
    """All ensembles can be loaded, their files are unchanged, and the default one is among them."""
    try:
        registry = EnsembleRegistry.load(installation.settings)
    except ArchrankError as failure:
        advice = "copy or fit it again, or set ARCHRANK_ENSEMBLES_DIR and ARCHRANK_DEFAULT_ENSEMBLE"
        return error(str(failure), advice)
    if not registry.ensembles:
        folder = installation.settings.ensembles_dir
        return error(f"none in {folder}", "set ARCHRANK_ENSEMBLES_DIR, or fit an ensemble")
    return ok(f"{', '.join(registry.ensembles)}; default: {registry.default}")


def proxies(installation: Installation) -> Finding:
    """The ensembles were fitted on scores of the installed versions of the proxies."""
    versions, models = proxy_versions(proxy_names()), installation.registry.ensembles.values()
    changed = [f"{model.name}: {proxy}" for model in models for proxy in _changed_proxies(model, versions)]
    if changed:
        return warning(
            f"changed since the ensemble was fitted: {'; '.join(changed)}", "score the benchmark and fit it again"
        )
    return ok(f"{len(versions)}, in the versions of the ensembles")


def scoring(installation: Installation) -> Finding:
    """A worker can be started, and scores a small architecture."""
    settings, registry = installation.settings, installation.registry
    query: Query = PredictionQuery() if registry.ensembles else ScoreQuery(["params"])
    plan = Plan.from_query(query, registry)
    if plan.context.batch is None:
        raise SkippedError("the networks of the default ensemble's search space cannot be built")
    context, space, names = plan.context, plan.context.space, list(plan.proxies)
    presets = [space.parse(preset) for preset in space.presets.values()]
    architecture = presets[0] if presets else space.sample(np.random.default_rng(0))
    task = make_task(architecture, context, names or ["params"])
    started = perf_counter()
    try:
        with _running(_small_backend(settings, registry, {task.probe_batch: context.probe_batch})) as backend:
            ready = perf_counter()
            outcome = backend.submit(task).result(WORKER_TIMEOUT_S)
    except (ClusterError, MissingExtraError) as failure:
        return error(str(failure), "see docs/deploy.md")
    except TimeoutError as timeout:
        return error(str(timeout) or f"one architecture takes more than {WORKER_TIMEOUT_S:g} s", SCORING_ADVICE)
    if outcome.failure is not None:
        return error(f"{outcome.failure.kind}: {outcome.failure.detail}", SCORING_ADVICE)
    failed = {name: score["error"] for name, score in (outcome.scores or {}).items() if score["status"] == "failed"}
    if failed:
        return error("; ".join(f"{name}: {reason}" for name, reason in failed.items()), "see docs/proxies.md")
    return ok(f"{len(names)} proxies in {outcome.seconds:.2f} s; the worker started in {ready - started:.1f} s")


def _exists(settings: Settings) -> bool:
    return settings.store_url is not None or (settings.expanded_data_dir / FILE_NAME).exists()


@dataclass(frozen=True)
class _Schema:
    """Schema of the store.

    Attributes:
        missing: migrations to be run.
        empty: the store has no tables.
        clock_skew: seconds by which the database server's clock differs; 0 for SQLite.
    """

    missing: tuple[str, ...]
    empty: bool
    clock_skew: float


def _schema(settings: Settings) -> _Schema:
    """Read the store's schema without changing it."""
    url = parse_url(store_url(settings))
    is_server = url.get_backend_name() == "postgresql"
    engine = (create_postgres_engine if is_server else create_engine)(url, poolclass=NullPool)
    scripts = ScriptDirectory(str(MIGRATIONS_DIR))
    with engine.connect() as conn:
        heads = MigrationContext.configure(conn).get_current_heads()
        known = {script.revision for script in scripts.walk_revisions()}
        if not set(heads) <= known:  # of a newer archrank: opening the store raises an error that says so
            return _Schema((), empty=False, clock_skew=0.0)
        missing = [script.revision for script in scripts.iterate_revisions("head", heads[0] if heads else "base")]
        skew = abs((conn.scalars(select(func.now())).one() - datetime.now(UTC)).total_seconds()) if is_server else 0.0
    return _Schema(tuple(missing), not heads, skew)


def _stored_keys(settings: Settings) -> tuple[int, bool]:
    """Return the number of stored keys in use, and whether requests without a key are accepted."""
    if not _exists(settings) or _schema(settings).missing:
        return 0, True
    with open_store(settings) as opened:
        return sum(key.revoked_at is None for key in opened.keys.list()), opened.keys.anonymous()


def _changed_proxies(model: LoadedEnsemble, versions: Mapping[str, str]) -> list[str]:
    return [name for name, version in model.manifest["proxies"].items() if versions.get(name) != version]


def _small_backend(settings: Settings, registry: EnsembleRegistry, batches: Mapping[str, ProbeBatch]) -> Backend:
    """Build a backend with one worker, where those of the settings run."""
    if settings.backend == "ray":
        return RayBackend(batches, replace(ray_options(settings), min_workers=1, max_workers=1))
    options = worker_options(settings.model_copy(update={"num_workers": 1}), registry.device)
    return ProcessBackend(batches, replace(options, gpus=options.gpus[:1]))


@contextmanager
def _running(backend: Backend) -> Iterator[Backend]:
    """Start a backend and wait until it is ready. Raises `TimeoutError` with its last error if it is not in time."""
    backend.start()
    try:
        deadline = monotonic() + WORKER_TIMEOUT_S
        while not backend.ready:
            health = backend.health()
            if health.state == "unhealthy" or monotonic() > deadline:
                raise TimeoutError(f"no worker is ready: {health.last_error or 'it takes too long'}")
            sleep(0.05)
        yield backend
    finally:
        backend.stop()
