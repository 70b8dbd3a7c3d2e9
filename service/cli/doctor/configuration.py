"""Checks of the settings, and of the resources that they need."""

import difflib
import os
import shutil
import socket
from pathlib import Path

import httpx
import torch
from pydantic import ValidationError

from common.errors import ArchrankError, InputError
from service.api.problems import problem
from service.app import worker_options
from service.cli.doctor.report import Finding, Installation, error, ok, warning
from service.inference.registry import find_device
from service.settings import Settings

OTHER_VARIABLES = {"ARCHRANK_BENCHMARKS", "ARCHRANK_DATASETS", "ARCHRANK_EVOLVED_DIR"}
"""Variables that are not settings of the service."""
SERVER_MB, WORKER_MB = 450, 750
"""Memory of the server and of a busy worker, in MB, as measured by benchmarks/sizing.py."""
MIN_DISK_BYTES, RECOMMENDED_DISK_BYTES = 2**27, 2**30
CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
SETTINGS_ADVICE = "docs/service.md lists the settings"


def settings(installation: Installation) -> Finding:
    """The settings are valid."""
    try:
        installation.read_settings()
    except (ValidationError, ArchrankError) as refusal:
        return error(problem(refusal).detail, SETTINGS_ADVICE)
    names = _variables()
    return ok(f"{len(names & installation.environment.keys())} of {len(names)} set in the environment")


def unknown_settings(installation: Installation) -> Finding:
    """Every `ARCHRANK_` variable is a setting."""
    names = _variables()
    present = {name.upper() for name in installation.environment if name.upper().startswith("ARCHRANK_")}
    unknown = sorted(present - names - OTHER_VARIABLES)
    if not unknown:
        return ok("none")
    matches = [(name, difflib.get_close_matches(name, names, 1, 0.8)) for name in unknown]
    text = "; ".join(f"{name} (is {close[0]} meant?)" if close else name for name, close in matches)
    finding = error if any(close for _, close in matches) else warning
    return finding(f"not settings: {text}", f"correct or remove them; {SETTINGS_ADVICE}")


def cores(installation: Installation) -> Finding:
    """The workers have no more threads than there are cores."""
    if installation.settings.backend == "ray":
        return ok("workers run in the Ray cluster")
    workers, threads, available = *_workers_and_threads(installation.settings), _cores()
    text = f"{workers} workers with {threads} threads each, {available:g} cores"
    if workers * threads > available:
        return warning(
            text, "set ARCHRANK_NUM_WORKERS and ARCHRANK_NUM_THREADS so that their product is the cores at most"
        )
    return ok(text)


def memory(installation: Installation) -> Finding:
    """The memory suffices for the server and all workers."""
    needed, available = SERVER_MB + _workers_and_threads(installation.settings)[0] * WORKER_MB, _memory_mb()
    text = f"about {needed} MB needed, {available} MB available"
    if needed > available:
        return warning(text, "lower ARCHRANK_NUM_WORKERS, or give the machine or the container more")
    return ok(text)


def data_dir(installation: Installation) -> Finding:
    """The SQLite store can be created in the data directory."""
    if installation.settings.store_url is not None:
        return ok("not used: ARCHRANK_STORE_URL is set")
    try:
        folder = installation.settings.expanded_data_dir
    except InputError as refusal:
        return error(str(refusal), "set HOME, or ARCHRANK_DATA_DIR")
    existing = _nearest_existing(folder)
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        return error(f"{existing} is not a writable directory", "change its owner, or set ARCHRANK_DATA_DIR")
    return ok(f"{folder}{'' if existing == folder else ', to be created'}")


def disk(installation: Installation) -> Finding:
    """The disk has room for the store."""
    if installation.settings.store_url is not None:
        return ok("not used: ARCHRANK_STORE_URL is set")
    folder = _nearest_existing(installation.data_dir)
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < MIN_DISK_BYTES:
        return error(text, "free some space: without it jobs are refused")
    if free < RECOMMENDED_DISK_BYTES:
        return warning(text, "free some space: 100,000 architectures take about a gigabyte")
    return ok(text)


def port(installation: Installation) -> Finding:
    """The port is free, or this service uses it."""
    host, number = installation.settings.host, installation.settings.port
    try:
        socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as failure:
        url = f"http://{f'[{host}]' if ':' in host else host}:{number}"
        if _is_archrank(url):
            return ok(f"archrank runs there already: {url}")
        return error(
            f"{host}, {number}: {failure.strerror}",
            "stop the program that uses it, or set ARCHRANK_HOST and ARCHRANK_PORT",
        )
    return ok(f"{host}, {number} is free")


def _is_archrank(url: str) -> bool:
    """Return whether a server of archrank responds at the URL."""
    try:
        response = httpx.get(f"{url}/health/live", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return response.is_success and response.json() == {"status": "ok"}


def _variables() -> set[str]:
    return {f"ARCHRANK_{name.upper()}" for name in Settings.model_fields}


def _workers_and_threads(settings: Settings) -> tuple[int, int]:
    """Return the number of workers on this machine, and of threads of each."""
    if settings.backend == "ray":
        return 1, 1  # the process that is connected to the cluster
    if settings.backend == "inline":
        return 1, torch.get_num_threads()
    options = worker_options(settings, find_device(settings.device))
    workers = len(options.visible_devices)
    return workers, options.num_threads or max(1, torch.get_num_threads() // workers)


def _cores() -> float:
    """Return the number of cores that this process may use, within the container's limit."""
    available = float(len(os.sched_getaffinity(0)))
    quota, _, period = _read(CGROUP / "cpu.max").partition(" ")
    return min(available, int(quota) / int(period)) if quota.isdecimal() else available


def _memory_mb() -> int:
    """Return the available memory in MB, within the container's limit."""
    lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) // 1024
    limit = _read(CGROUP / "memory.max")
    return min(available, int(limit) // 2**20) if limit.isdecimal() else available


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or the nearest of its parents that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
