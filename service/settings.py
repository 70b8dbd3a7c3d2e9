"""Settings of the service, from `ARCHRANK_*` environment variables. Built by whoever starts it, never at import."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import InputError

SHIPPED = Path(__file__).resolve().parents[1] / "ensemble" / "artifacts"
"""The ensembles that come with archrank, one folder each."""
DATA = Path.home() / ".local" / "share" / "archrank"


class Settings(BaseSettings):
    """What can be set, e.g. `ARCHRANK_PORT=9000`."""

    model_config = SettingsConfigDict(env_prefix="ARCHRANK_", env_ignore_empty=True, extra="forbid", frozen=True)

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port; 0 takes a free one")] = 8000
    allow_remote: Annotated[bool, Field(description="whether `host` may be reached by other machines")] = False
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="auto takes a GPU where there is one")] = "auto"
    threads: Annotated[int | None, Field(ge=1, description="CPU threads of PyTorch; all cores where not set")] = None
    ensembles_folder: Annotated[Path, Field(description="holds one folder per fitted ensemble")] = SHIPPED
    default_ensemble: Annotated[str, Field(description="answers where a request names none")] = "gcn-nas-ntu"
    queue_size: Annotated[int, Field(ge=1, description="architectures waiting at which new requests are refused")] = 64
    cache_size: Annotated[
        int, Field(ge=0, description="scores kept in memory, and an eighth as many predictions; 0: none")
    ] = 2**16
    max_architectures: Annotated[int, Field(ge=1, description="architectures in one HTTP request")] = 64
    max_body_bytes: Annotated[int, Field(ge=1, description="size of an HTTP body, in bytes")] = 2**20
    max_nesting: Annotated[int, Field(ge=4, description="depth of lists and objects in a JSON text")] = 32
    max_job_architectures: Annotated[int, Field(ge=1, description="architectures in one job")] = 10_000
    max_job_body_bytes: Annotated[int, Field(ge=1, description="size of a job's HTTP body, in bytes")] = 2**23
    timeout_seconds: Annotated[float, Field(gt=0, description="how long a body may take to arrive, in seconds")] = 60.0
    wait_seconds: Annotated[
        float, Field(gt=0, description="how long a request is waited for before it becomes a job, in seconds")
    ] = 60.0
    drain_seconds: Annotated[
        float, Field(ge=0, description="how long what runs may take to finish when the server is told to stop")
    ] = 10.0
    keep_hours: Annotated[float, Field(gt=0, description="how long a finished job's results are kept")] = 168.0
    backend: Annotated[
        Literal["processes", "inline"],
        Field(description="where networks run: apart from the server, or in it"),
    ] = "processes"
    processes: Annotated[int | None, Field(ge=1, description="scoring on the CPU; one a core if not set")] = None
    deadline_seconds: Annotated[float, Field(gt=0, description="how long one architecture may take to score")] = 120.0
    tasks_per_process: Annotated[int, Field(ge=1, description="architectures after which a process is replaced")] = 1000
    data_folder: Annotated[Path, Field(description="where the SQLite store lies, made if it is not there")] = DATA
    store_url: Annotated[
        str | None, Field(description="postgresql://user@host/database; SQLite in the data folder where not set")
    ] = None

    worker_seconds: Annotated[
        float, Field(gt=0, description="after so long without a sign of a server on the same store, others do its work")
    ] = 20.0

    @model_validator(mode="after")
    def _local_unless_allowed(self) -> "Settings":
        if not (self.allow_remote or _is_loopback(self.host)):
            raise InputError("host", self.host, "a loopback address, or any where ARCHRANK_ALLOW_REMOTE=true")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
