"""Settings of the service, from `ARCHRANK_*` environment variables. Built by whoever starts it, never at import."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
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
from service.api_keys import MOST, KeyEntry

SHIPPED = Path(__file__).resolve().parents[1] / "ensemble" / "artifacts"
"""The ensembles that come with archrank, one folder each."""
DATA = Path("~/.local/share/archrank")


def _parsed(value: Any) -> Any:
    """The value of JSON text; anything else as it is."""
    return parse_json(value.encode(errors="surrogateescape"), "keys") if isinstance(value, str) else value


def _names(value: object) -> object:
    return [name.strip().lower() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """What can be set, e.g. `ARCHRANK_PORT=9000`."""

    model_config = SettingsConfigDict(
        env_prefix="ARCHRANK_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=False,  # a home that is not known matters only where it is needed
    )

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port; 0 takes a free one")] = 8000
    root_path: Annotated[
        str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path that a proxy in front takes off, as /archrank")
    ] = ""
    allowed_hosts: Annotated[
        frozenset[Annotated[str, Field(pattern=r"^(\*|[\w-]+(\.[\w-]+)*|[0-9a-f:]+)$")]],
        NoDecode,
        BeforeValidator(_names),
        Field(description="names, with commas between, to be asked under without a key besides this machine's; *: any"),
    ] = frozenset()
    keys: Annotated[
        tuple[KeyEntry, ...],
        NoDecode,
        BeforeValidator(_parsed),
        Field(description="API keys besides the store's: a JSON list of what `keys create --settings` prints"),
    ] = ()
    rate_limit: Annotated[
        int, Field(ge=1, description="requests a minute of an API key that has no rate of its own")
    ] = 6000
    max_active_jobs: Annotated[int, Field(ge=1, description="unfinished jobs at a time, likewise")] = 100
    queue_share: Annotated[float, Field(gt=0, le=1, description="part of the queue that it may fill, likewise")] = 0.5
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto takes a GPU where there is one")] = "auto"
    num_threads: Annotated[
        int | None, Field(ge=1, le=65_536, description="CPU threads of PyTorch; all cores where not set")
    ] = None
    ensembles_dir: Annotated[Path, Field(description="holds one folder per fitted ensemble")] = SHIPPED
    default_ensemble: Annotated[str, Field(description="answers where a request names none")] = "gcn-nas-ntu"
    queue_size: Annotated[int, Field(ge=1, description="architectures waiting at which new requests are refused")] = 64
    cache_size: Annotated[
        int, Field(ge=0, description="scores kept in memory, and an eighth as many predictions; 0: none")
    ] = 2**16
    max_architectures: Annotated[int, Field(ge=1, description="architectures in one HTTP request")] = 64
    max_body_bytes: Annotated[int, Field(ge=1, description="size of an HTTP body, in bytes")] = 2**20
    max_parameters: Annotated[int, Field(ge=1, description="parameters of a network that is asked for")] = 50_000_000
    max_flops_ratio: Annotated[
        float, Field(gt=0, description="FLOPs of a network, as a multiple of what the space's largest takes")
    ] = 4.0
    max_json_depth: Annotated[int, Field(ge=4, le=256, description="depth of lists and objects in a JSON text")] = 32
    max_json_values: Annotated[
        int,
        Field(
            ge=1,
            description="JSON values in a body for each architecture, an eighth of them lists or objects, "
            "an eighth with a name",
        ),
    ] = 128
    max_job_architectures: Annotated[int, Field(ge=1, description="architectures in one job")] = 10_000
    max_job_body_bytes: Annotated[int, Field(ge=1, description="size of a job's HTTP body, in bytes")] = 2**23
    body_timeout: Annotated[float, Field(gt=0, description="how long a body may take to arrive, in seconds")] = 60.0
    header_timeout: Annotated[
        float, Field(gt=0, description="how long a request's line and headers may take to arrive, in seconds")
    ] = 10.0
    write_timeout: Annotated[
        float,
        Field(gt=0, description="after so long without any of an answer taken its connection is closed, in seconds"),
    ] = 30.0
    max_connections: Annotated[int, Field(ge=1, description="connections that may be open at once")] = 1000
    max_event_streams: Annotated[int, Field(ge=1, description="streams of jobs' events that may be open at once")] = 100
    sync_timeout: Annotated[
        float, Field(gt=0, description="how long a request is waited for before it becomes a job, in seconds")
    ] = 60.0
    shutdown_timeout: Annotated[
        float, Field(ge=0, description="how long what runs may take to finish when the server is told to stop")
    ] = 10.0
    shutdown_delay: Annotated[
        float, Field(ge=0, description="how long a server that was told to stop still takes requests, not ready")
    ] = 0.0
    result_retention: Annotated[
        float, Field(gt=0, description="how long a finished job's results are kept, in seconds")
    ] = 604_800.0
    backend: Annotated[
        Literal["processes", "inline"],
        Field(description="where networks run: apart from the server, or in it"),
    ] = "processes"
    num_workers: Annotated[
        int | None, Field(ge=1, le=1024, description="scoring on the CPU; one a core if not set")
    ] = None
    workers_per_gpu: Annotated[int, Field(ge=1, le=1024, description="scoring on each GPU, at the same time")] = 1
    task_timeout: Annotated[float, Field(gt=0, description="how long one architecture may take to score")] = 120.0
    score_timeout: Annotated[float, Field(gt=0, description="how long one proxy may take, in seconds")] = 60.0
    max_tasks_per_worker: Annotated[int, Field(ge=1, description="architectures after which a process is replaced")] = (
        1000
    )
    data_dir: Annotated[Path, Field(description="where the SQLite store lies, made if it is not there")] = DATA
    store_url: Annotated[
        str | None, Field(description="postgresql://user@host/database; SQLite in the data folder where not set")
    ] = None
    log_format: Annotated[
        Literal["auto", "json", "text"], Field(description="of the log on standard error; auto: text for a terminal")
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="the least that is logged")
    ] = "info"
    otlp_endpoint: Annotated[
        str | None,
        Field(pattern="^https?://", description="base URL of an OpenTelemetry receiver; no traces where not set"),
    ] = None
    secrets_dir: Annotated[
        Path | None, Field(description="files named as these variables, in lower case, set what is not set here")
    ] = None
    heartbeat_timeout: Annotated[
        float, Field(gt=0, description="after so long without a sign of a server on the same store, others do its work")
    ] = 20.0

    @property
    def store_folder(self) -> Path:
        """The data folder. Raises `InputError` where it is in the home of a user who has none."""
        return _expanded(self.data_dir, "data_dir")

    @field_validator("*")
    @classmethod
    def _within_bounds(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, Path):
            return _expanded(value, str(info.field_name))
        if isinstance(value, int | float) and value > MOST:
            raise PydanticCustomError("less_than_equal", "Input should be less than or equal to {le}", {"le": MOST})
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
        """What is given, the environment, the folder of secrets: the first that sets something counts."""
        first = init_settings, env_settings
        folder = next((found for source in first if (found := source().get("secrets_dir"))), None)
        if folder is None:
            return first
        path = _expanded(Path(folder), "secrets_dir")
        if not path.is_dir():
            raise InputError("secrets_dir", str(folder), "a folder")
        return *first, SecretsSettingsSource(settings_cls, secrets_dir=path)


def _expanded(folder: Path, field: str) -> Path:
    """The folder with `~` as the home of who runs this. Raises `InputError` where nobody knows it."""
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise InputError(field, str(folder), "a folder without ~, as that home is not known") from error
