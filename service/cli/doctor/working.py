"""Checks of what the service works with: store, keys, ensembles, and a real scoring."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic, perf_counter, sleep

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, exc, func, select

from common.errors import ArchrankError, InputError
from proxies import proxy_versions
from service.api.authentication import is_loopback
from service.api.schemas import FOUR_LAYERS
from service.api_keys import NO_KEY_HINT
from service.app import worker_options
from service.cli.doctor.base import Finding, Setup, SkippedError, error, ok, warning
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.settings import Settings
from service.storage.database import create_postgres_engine, parse_url
from service.storage.errors import StoreError
from service.storage.migrate import MIGRATIONS_DIR
from service.storage.opening import open_store, store_url
from service.storage.store import FILE_NAME
from service.workers.backend import Task
from service.workers.process_backend import ProcessBackend

SLOW_SECONDS = 0.5
"""A store that takes longer to write a row is slow."""
SKEW_SECONDS = 5.0
UNREACHABLE = (InputError, StoreError, exc.SQLAlchemyError, OSError)
PATIENCE = 60.0
"""Seconds that a process may take to start, and then one architecture."""


def store(setup: Setup) -> Finding:
    """It can be reached, its tables are up to date, and it can be written."""
    try:
        if not _there(setup.settings):
            return ok("not there yet: a server makes it when it starts")
        migrations, empty, skew = _look(setup.settings)
        if empty:
            return ok("empty: a server makes the tables when it starts")
        if migrations:  # to open it is to bring it up to date, which is for a server to do
            said = f"its tables are not those of this archrank: {', '.join(migrations)} to be run"
            return warning(said, "a server does it when it starts; back the store up before")
        started = perf_counter()
        with open_store(setup.settings) as opened:
            opened.check_health()
        seconds = perf_counter() - started
    except UNREACHABLE as refusal:
        said = " ".join(str(refusal.orig if isinstance(refusal, exc.DBAPIError) else refusal).split())
        return error(said, "see that it runs, and that ARCHRANK_STORE_URL or ARCHRANK_DATA_DIR says where")
    if skew > SKEW_SECONDS:
        return warning(f"its clock and this one differ by {skew:.0f} s", "set both by NTP")
    said = f"opened and written in {seconds:.3f} s"
    return ok(said) if seconds < SLOW_SECONDS else warning(said, "requests and jobs wait for it: look at its disk")


def keys(setup: Setup) -> Finding:
    """Somebody may ask: with a key, or without one where only this machine can reach the service."""
    host = setup.settings.host
    try:
        stored, anonymous = _stored_keys(setup.settings)
    except UNREACHABLE:
        raise SkippedError("the store cannot be read") from None
    number = len(setup.settings.keys) + stored
    if not (number or is_loopback(host)):
        return error(f"other machines can reach {host}, and there is no key", "archrank keys create --name NAME")
    if not (number or anonymous):
        return warning("there is no key in use, and every request without one is refused", NO_KEY_HINT)
    if not is_loopback(host):
        return ok(f"{number} of them")
    return ok(f"{number} of them; only this machine can reach {host}")


def ensembles(setup: Setup) -> Finding:
    """They can be loaded, every byte is what was saved, and the default one is among them."""
    try:
        library = EnsembleRegistry.load(setup.settings)
    except ArchrankError as refusal:
        return error(str(refusal), "copy or fit it again, or set ARCHRANK_ENSEMBLES_DIR and ARCHRANK_DEFAULT_ENSEMBLE")
    if not library.models:
        return error(f"none in {setup.settings.ensembles_dir}", "set ARCHRANK_ENSEMBLES_DIR, or fit one")
    return ok(f"{', '.join(library.models)}; by default {library.default}")


def proxies(setup: Setup) -> Finding:
    """The ensembles were fitted on scores of these proxies."""
    ours, models = proxy_versions(), setup.library.models.values()
    changed = [f"{model.name}: {name}" for model in models for name in _changed(model, ours)]
    if changed:
        return warning(f"changed since the ensemble was fitted: {'; '.join(changed)}", "score anew, and fit anew")
    return ok(f"{len(ours)}, as the ensembles know them")


def scoring(setup: Setup) -> Finding:
    """One small architecture is scored, as a server does it: in a process of its own."""
    settings, library = setup.settings, setup.library
    probe, names = library.probe, list(library.models[library.default].proxies) if library.models else ["params"]
    options = worker_options(settings.model_copy(update={"num_workers": 1}), library.device)
    arch = probe.space.to_json(probe.space.parse(FOUR_LAYERS))
    task = Task("doctor", probe.space.name, probe.space.settings, arch, "probe", probe.seed, probe.repeats, names)
    started = perf_counter()
    try:
        with _started(ProcessBackend({"probe": probe.batch}, replace(options, gpus=options.gpus[:1]))) as backend:
            ready = perf_counter()
            outcome = backend.submit(task).result(PATIENCE)
    except TimeoutError as late:
        return error(str(late) or f"one architecture takes more than {PATIENCE:g} s", "see the memory and cores above")
    if outcome.failure is not None:
        return error(f"{outcome.failure.kind}: {outcome.failure.detail}", "see the memory and cores above")
    failed = {name: one["error"] for name, one in (outcome.scores or {}).items() if one["status"] != "ok"}
    if failed:
        return error("; ".join(f"{name}: {why}" for name, why in failed.items()), "see docs/proxies.md")
    return ok(f"{len(names)} proxies in {outcome.seconds:.2f} s; the process started in {ready - started:.1f} s")


def _there(settings: Settings) -> bool:
    return settings.store_url is not None or (settings.expanded_data_dir / FILE_NAME).exists()


def _look(settings: Settings) -> tuple[Sequence[str], bool, float]:
    """Migrations that the store lacks, whether it lacks all, by how many seconds its clock differs; changes nothing."""
    url = parse_url(store_url(settings))
    server = url.get_backend_name() == "postgresql"
    engine = (create_postgres_engine if server else create_engine)(url, poolclass=NullPool)
    scripts = ScriptDirectory(str(MIGRATIONS_DIR))
    with engine.connect() as conn:
        heads = MigrationContext.configure(conn).get_current_heads()
        known = {script.revision for script in scripts.walk_revisions()}
        if not set(heads) <= known:  # of a newer archrank: to open the store says so
            return [], False, 0.0
        missing = [script.revision for script in scripts.iterate_revisions("head", heads[0] if heads else "base")]
        skew = abs((conn.scalars(select(func.now())).one() - datetime.now(UTC)).total_seconds()) if server else 0.0
    return missing, not heads, skew


def _stored_keys(settings: Settings) -> tuple[int, bool]:
    """Number of keys in use, and whether requests without one are answered."""
    if not _there(settings) or _look(settings)[0]:
        return 0, True
    with open_store(settings) as opened:
        return sum(key.revoked_at is None for key in opened.keys.list()), opened.keys.anonymous()


def _changed(model: LoadedEnsemble, ours: Mapping[str, str]) -> list[str]:
    return [name for name, version in model.manifest["proxies"].items() if ours.get(name) != version]


@contextmanager
def _started(backend: ProcessBackend) -> Iterator[ProcessBackend]:
    """A backend that is ready. Raises `TimeoutError` with its last error where it does not get so."""
    backend.start()
    try:
        deadline = monotonic() + PATIENCE
        while not backend.ready:
            health = backend.health()
            if health.state == "unhealthy" or monotonic() > deadline:
                raise TimeoutError(f"no process is ready to score: {health.last_error or 'it takes too long'}")
            sleep(0.05)
        yield backend
    finally:
        backend.stop()
