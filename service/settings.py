"""Settings of the service, read from `ARCHRANK_*` environment variables by whoever starts it, never at import."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from common.errors import InputError
from common.files import parse_json

SHIPPED = Path(__file__).resolve().parents[1] / "ensemble" / "artifacts"
"""Directory of the ensembles that come with archrank, one folder each."""
DATA_DIR = Path("~/.local/share/archrank")
MAX_NUMBER = 10**9
"""Largest number that a setting or a key's limit takes: 31 years, a gigabyte."""

Scope = Literal["predict", "admin"]
"""predict: predictions, scores and the key's own jobs. admin: metrics and everyone's jobs."""


class KeyLimits(BaseModel):
    """Limits of an API key; the server's settings hold where one is None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate_limit: Annotated[int | None, Field(ge=1, le=MAX_NUMBER, description="requests a minute")] = None
    max_active_jobs: Annotated[int | None, Field(ge=0, le=MAX_NUMBER, description="unfinished jobs")] = None
    queue_share: Annotated[float | None, Field(gt=0, le=1, description="fraction of the queue")] = None


class KeyEntry(BaseModel):
    """API key as the settings or the store keep it: its hash, not the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$", description="second part of the key")]
    name: Annotated[str, Field(min_length=1, max_length=100, description="name of the key's owner")]
    hash: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$", repr=False)]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] = frozenset({"predict"})
    limits: KeyLimits = KeyLimits()


def _parsed(value: Any) -> Any:
    return parse_json(value.encode(errors="surrogateescape"), "keys") if isinstance(value, str) else value


def _split(value: object) -> object:
    return [name.strip().lower() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """Settings of a server and of the commands, e.g. `ARCHRANK_PORT=9000`. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="ARCHRANK_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=False,  # an unknown home directory matters only where it is needed
    )

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port; 0 chooses a free one")] = 8000
    root_path: Annotated[
        str,
        Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path prefix that a proxy strips, as /archrank"),
    ] = ""
    allowed_hosts: Annotated[
        frozenset[Annotated[str, Field(pattern=r"^(\*|[\w-]+(\.[\w-]+)*|[0-9a-f:]+)$")]],
        NoDecode,
        BeforeValidator(_split),
        Field(description="host names besides this machine's for requests without a key, comma-separated; *: any"),
    ] = frozenset()
    keys: Annotated[
        tuple[KeyEntry, ...],
        NoDecode,
        BeforeValidator(_parsed),
        Field(description="API keys besides the store's: a JSON list of entries from `keys create --settings`"),
    ] = ()
    rate_limit: Annotated[int, Field(ge=1, description="requests a minute of a key without a limit of its own")] = 6000
    max_active_jobs: Annotated[int, Field(ge=1, description="unfinished jobs of such a key")] = 100
    queue_share: Annotated[
        float, Field(gt=0, le=1, description="fraction of the queue and of the event streams for such a key")
    ] = 0.5
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto: a GPU if there is one")] = "auto"
    num_threads: Annotated[
        int | None,
        Field(ge=1, le=65_536, description="PyTorch threads of each worker; default: all cores, shared"),
    ] = None
    ensembles_dir: Annotated[Path, Field(description="directory with one folder per fitted ensemble")] = SHIPPED
    default_ensemble: Annotated[str, Field(description="ensemble of requests that name none")] = "gcn-nas-ntu"
    queue_size: Annotated[int, Field(ge=1, description="queued architectures at which new requests are refused")] = 64
    cache_size: Annotated[
        int, Field(ge=0, description="scores kept in memory, and an eighth as many predictions; 0: none")
    ] = 2**16
    max_architectures: Annotated[int, Field(ge=1, description="architectures in a request")] = 64
    max_brief_architectures: Annotated[
        int, Field(ge=1, description="architectures in a request with `detail: brief` and `proxies: []`")
    ] = 512
    max_body_bytes: Annotated[int, Field(ge=1, description="size of a request's body, in bytes")] = 2**20
    max_parameters: Annotated[int, Field(ge=1, description="parameters of a requested network")] = 50_000_000
    max_flops_ratio: Annotated[
        float, Field(gt=0, description="FLOPs of a requested network, as a multiple of the search space's largest")
    ] = 4.0
    max_json_depth: Annotated[int, Field(ge=4, le=256, description="nesting depth of a JSON text")] = 32
    max_json_values: Annotated[
        int,
        Field(
            ge=1,
            description="JSON values in a body per architecture; an eighth as many lists or objects, and as many names",
        ),
    ] = 128
    max_job_architectures: Annotated[int, Field(ge=1, description="architectures in a job")] = 10_000
    max_job_body_bytes: Annotated[int, Field(ge=1, description="size of a job's body, in bytes")] = 2**23
    max_studies: Annotated[int, Field(ge=1, description="studies of an API key")] = 100
    max_study_observations: Annotated[int, Field(ge=1, description="observations of a study")] = 10_000
    body_timeout: Annotated[float, Field(gt=0, description="time for a request's body to arrive")] = 60.0
    header_timeout: Annotated[float, Field(gt=0, description="time for a request's line and headers to arrive")] = 10.0
    write_timeout: Annotated[
        float, Field(gt=0, description="time without progress after which a response's connection is closed")
    ] = 30.0
    max_connections: Annotated[int, Field(ge=1, description="open connections")] = 1000
    max_event_streams: Annotated[int, Field(ge=1, description="open event streams")] = 100
    sync_timeout: Annotated[float, Field(gt=0, description="time after which a request becomes a job")] = 60.0
    shutdown_timeout: Annotated[float, Field(ge=0, description="time for running work to finish at shutdown")] = 10.0
    shutdown_delay: Annotated[
        float, Field(ge=0, description="time from the signal to the shutdown, in which only readiness fails")
    ] = 0.0
    result_retention: Annotated[float, Field(gt=0, description="time for which a finished job's results are kept")] = (
        604_800.0
    )
    backend: Annotated[
        Literal["processes", "inline", "ray"],
        Field(description="run networks in workers, in the server's own process, or in a Ray cluster"),
    ] = "processes"
    num_workers: Annotated[
        int | None, Field(ge=1, le=1024, description="workers on the CPU; default: one per core")
    ] = None
    workers_per_gpu: Annotated[int, Field(ge=1, le=1024, description="workers on each GPU")] = 1
    ray_address: Annotated[
        str, Field(min_length=1, description="host:port of the Ray cluster's head; auto: the cluster of this machine")
    ] = "auto"
    ray_namespace: Annotated[str, Field(min_length=1, description="namespace of the actors in the Ray cluster")] = (
        "archrank"
    )
    ray_allow_open: Annotated[bool, Field(description="accept a Ray cluster without an authentication token")] = False
    ray_join: Annotated[
        bool, Field(description="start a Ray node without resources, on a machine that is no node of the cluster")
    ] = False
    ray_min_workers: Annotated[int, Field(ge=0, le=1024, description="workers kept in the Ray cluster")] = 1
    ray_max_workers: Annotated[int, Field(ge=1, le=1024, description="workers in the Ray cluster under load")] = 8
    ray_num_gpus: Annotated[
        float, Field(ge=0, le=64, description="GPUs of a worker in the Ray cluster; below 1: workers share a GPU")
    ] = 0.0
    ray_idle_timeout: Annotated[
        float, Field(gt=0, description="time without work after which a worker in the Ray cluster is released")
    ] = 300.0
    ray_scale_up_delay: Annotated[
        float, Field(ge=0, description="time that tasks wait before further workers are requested from the Ray cluster")
    ] = 5.0
    task_timeout: Annotated[float, Field(gt=0, description="time to score one architecture")] = 120.0
    score_timeout: Annotated[float, Field(gt=0, description="time to compute one proxy")] = 60.0
    max_tasks_per_worker: Annotated[int, Field(ge=1, description="tasks after which a worker is replaced")] = 1000
    data_dir: Annotated[Path, Field(description="directory of the SQLite store, created if missing")] = DATA_DIR
    store_url: Annotated[
        str | None, Field(description="postgresql://user@host/database; default: SQLite in the data directory")
    ] = None
    log_format: Annotated[
        Literal["auto", "json", "text"], Field(description="format of the log; auto: text on a terminal, else json")
    ] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="lowest logged level")] = (
        "info"
    )
    otlp_endpoint: Annotated[
        str | None, Field(pattern="^https?://", description="base URL of an OpenTelemetry receiver of traces")
    ] = None
    secrets_dir: Annotated[
        Path | None,
        Field(description="directory of files that set settings, named as the variables in lower case"),
    ] = None
    heartbeat_timeout: Annotated[
        float, Field(gt=0, description="time without a heartbeat after which other servers take over a server's work")
    ] = 20.0

    @property
    def expanded_data_dir(self) -> Path:
        """Data directory with `~` expanded. Raises `InputError` if the home directory is unknown."""
        return _expanded(self.data_dir, "data_dir")

    @field_validator("*")
    @classmethod
    def _within_bounds(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, Path):
            return _expanded(value, str(info.field_name))
        if isinstance(value, int | float) and value > MAX_NUMBER:
            raise PydanticCustomError(
                "less_than_equal", "Input should be less than or equal to {le}", {"le": MAX_NUMBER}
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of priority: arguments, environment, files of `secrets_dir`."""
        sources = init_settings, env_settings
        folder = next((value for source in sources if (value := source().get("secrets_dir"))), None)
        if folder is None:
            return sources
        path = _expanded(Path(folder), "secrets_dir")
        if not path.is_dir():
            raise InputError("secrets_dir", str(folder), "a directory")
        return *sources, SecretsSettingsSource(settings_cls, secrets_dir=path)


def _expanded(path: Path, field: str) -> Path:
    """Expand `~`. Raises `InputError` if the home directory is unknown."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InputError(field, str(path), "a path without ~, as the home directory is unknown") from error
