"""Checks of the settings, and whether the machine can give what they ask for."""

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
from service.cli.doctor.base import Finding, Setup, error, ok, warning
from service.inference.registry import find_device
from service.settings import Settings

ELSEWHERE = {"ARCHRANK_BENCHMARKS", "ARCHRANK_DATASETS"}
"""Variables that are no settings of the service."""
SERVER_MB, PROCESS_MB = 450, 750
"""Memory of the server, and of each process that scores, while it does. docs/deploy.md says how it was measured."""
CGROUP = Path("/sys/fs/cgroup")
MEMORY = Path("/proc/meminfo")


def settings(setup: Setup) -> Finding:
    """They are valid."""
    try:
        setup.read_settings()
    except (ValidationError, ArchrankError) as refusal:
        return error(problem(refusal).detail, "docs/service.md lists what can be set")
    names = {f"ARCHRANK_{name.upper()}" for name in Settings.model_fields}
    return ok(f"{len(names & setup.environment.keys())} of {len(names)} set in the environment")


def unknown_settings(setup: Setup) -> Finding:
    """Every `ARCHRANK_` variable means something."""
    known = {f"ARCHRANK_{name.upper()}" for name in Settings.model_fields}
    given = {name.upper() for name in setup.environment if name.upper().startswith("ARCHRANK_")}
    unknown = sorted(given - known - ELSEWHERE)
    if not unknown:
        return ok("none")
    meant = [(name, difflib.get_close_matches(name, known, 1, 0.8)) for name in unknown]
    said = "; ".join(f"{name} (is {near[0]} meant?)" if near else name for name, near in meant)
    how_bad = error if any(near for _, near in meant) else warning
    return how_bad(f"no settings: {said}", "correct or remove them; docs/service.md lists what can be set")


def cores(setup: Setup) -> Finding:
    """No more threads than cores."""
    processes, threads, there = *_at_work(setup.settings), _cores()
    said = f"{processes} processes with {threads} threads each, {there:g} cores"
    if processes * threads > there:
        return warning(
            said, "set ARCHRANK_NUM_WORKERS and ARCHRANK_NUM_THREADS so that their product is the cores at most"
        )
    return ok(said)


def memory(setup: Setup) -> Finding:
    """Enough for the server and for every process."""
    needed, there = SERVER_MB + _at_work(setup.settings)[0] * PROCESS_MB, _memory_mb()
    said = f"about {needed} MB needed, {there} MB there"
    if needed > there:
        return warning(said, "set ARCHRANK_NUM_WORKERS to fewer, or give the machine or the container more")
    return ok(said)


def data_dir(setup: Setup) -> Finding:
    """The SQLite store can be made in it."""
    if setup.settings.store_url is not None:
        return ok("not used: the store is by URL")
    try:
        folder = setup.settings.expanded_data_dir
    except InputError as refusal:
        return error(str(refusal), "set HOME, or ARCHRANK_DATA_DIR")
    existing = _existing(folder)
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        return error(f"{existing} is no folder that can be written", "change its owner, or set ARCHRANK_DATA_DIR")
    return ok(f"{folder}{'' if existing == folder else ', to be made'}")


def disk(setup: Setup) -> Finding:
    """There is room for the store."""
    if setup.settings.store_url is not None:
        return ok("not used: the store is by URL")
    folder = _existing(setup.expanded_data_dir)
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < 2**27:
        return error(said, "make room: without it jobs are refused")
    return ok(said) if free >= 2**30 else warning(said, "make room: 100,000 architectures take about a gigabyte")


def port(setup: Setup) -> Finding:
    """It is free, or this service has it."""
    host, number = setup.settings.host, setup.settings.port
    try:
        socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as refusal:
        where = f"http://{f'[{host}]' if ':' in host else host}:{number}"
        try:
            answer = httpx.get(f"{where}/health/live", timeout=2, trust_env=False)
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.is_success and answer.json() == {"status": "ok"}:
            return ok(f"archrank runs there already: {where}")
        return error(
            f"{host}, {number}: {refusal.strerror}", "stop what has it, or set ARCHRANK_HOST and ARCHRANK_PORT"
        )
    return ok(f"{host}, {number} is free")


def _at_work(settings: Settings) -> tuple[int, int]:
    """How many processes score, and with how many threads each."""
    if settings.backend == "inline":
        return 1, torch.get_num_threads()
    options = worker_options(settings, find_device(settings.device))
    processes = len(options.visible_devices)
    return processes, options.num_threads or max(1, torch.get_num_threads() // processes)


def _cores() -> float:
    """Those that this process may use, less where a container is given fewer."""
    there = float(len(os.sched_getaffinity(0)))
    quota, _, period = _read(CGROUP / "cpu.max").partition(" ")
    return min(there, int(quota) / int(period)) if quota.isdecimal() else there


def _memory_mb() -> int:
    """What is available, less where a container is given less."""
    lines = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines())
    there = int(lines["MemAvailable"].split()[0]) // 1024
    limit = _read(CGROUP / "memory.max")
    return min(there, int(limit) // 2**20) if limit.isdecimal() else there


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
