"""Each check of `archrank doctor` finds its problem, and a correct installation has none."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from alembic.script import ScriptDirectory

from ensemble.artifact import MANIFEST, _manifest_hash
from service.app import worker_options
from service.cli.doctor import CHECKS, Check, Finding, Installation, components, configuration, machine, run_checks
from service.storage import Store
from service.storage.migrate import MIGRATIONS_DIR
from tests.conftest import ROOT
from tests.real_server import ENSEMBLES

pytestmark = pytest.mark.usefixtures("default_ensemble_alone")
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: Patch) -> Path:
    """Create a data directory, and configure one worker with one thread."""
    monkeypatch.setenv("ARCHRANK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ARCHRANK_PORT", "0")
    monkeypatch.setenv("ARCHRANK_NUM_WORKERS", "1")
    monkeypatch.setenv("ARCHRANK_NUM_THREADS", "1")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def ensembles(tmp_path: Path, monkeypatch: Patch) -> Path:
    """Copy the default ensemble."""
    shutil.copytree(ENSEMBLES, tmp_path / "ensembles")
    monkeypatch.setenv("ARCHRANK_ENSEMBLES_DIR", str(tmp_path / "ensembles"))
    return tmp_path / "ensembles" / "gcn-nas-ntu"


def run(check: Check) -> Finding:
    (finding,) = run_checks([check], Installation()).findings
    return finding


def assert_found(check: Check, status: str, *words: str) -> None:
    finding = run(check)
    assert (finding.status, [word for word in words if word not in f"{finding.message} {finding.advice}"]) == (
        status,
        [],
    )


def installed(monkeypatch: Patch, *requirements: str, python: str = ">=3.11") -> None:
    """Replace the requirements of archrank."""
    about = Message()
    about["Requires-Python"] = python
    for requirement in requirements:
        about["Requires-Dist"] = requirement
    monkeypatch.setattr(metadata, "metadata", lambda name: about)


def test_a_good_setup_has_no_errors_and_doctor_says_so() -> None:
    command = [sys.executable, "-m", "service.cli", "doctor", "--json"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    findings = json.loads(shown.stdout)["findings"]
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert [finding["check"] for finding in findings] == [check.__name__.replace("_", " ") for check in CHECKS]
    assert not [finding for finding in findings if finding["status"] == "error"]
    assert {finding["status"] for finding in findings if finding["check"] in ("scoring", "ensembles", "port")} == {"ok"}


def test_an_error_is_exit_code_1_and_has_advice() -> None:
    command = [sys.executable, "-m", "service.cli", "doctor"]
    environment = {**os.environ, "ARCHRANK_QUEUE_SIZE": "0", "COLUMNS": "200"}
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert shown.returncode == 1
    assert "queue_size" in shown.stdout
    assert "the settings are invalid" in shown.stdout  # the reason of the skipped checks


def test_a_check_that_fails_itself_is_an_error_and_the_others_run() -> None:
    def broken(installation: Installation) -> Finding:
        raise ZeroDivisionError("by zero")

    first, second = run_checks([broken, machine.clock], Installation()).findings
    assert (first.check, first.status, first.message) == ("broken", "error", "ZeroDivisionError: by zero")
    assert second.status == "ok"


def test_python(monkeypatch: Patch) -> None:
    installed(monkeypatch)
    assert_found(machine.python, "ok", "Python 3.")
    installed(monkeypatch, python="<3.5")
    assert_found(machine.python, "error", "needs <3.5")


def test_packages(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "CONSTRAINTS", tmp_path / "constraints.txt")
    installed(monkeypatch, "torch>=2", "there_is_no_such>1; extra == 'dev'")
    assert_found(machine.packages, "ok", "1 packages")
    (tmp_path / "constraints.txt").write_text("# tested\nnumpy==1.0\nthere_is_no_such==1\n")
    assert_found(machine.packages, "warning", f"numpy {metadata.version('numpy')}, not ==1.0")
    installed(monkeypatch, "torch<1")
    assert_found(machine.packages, "error", "torch", "not <1", "reinstall archrank")
    installed(monkeypatch, "there_is_no_such>1")
    assert_found(machine.packages, "error", "not installed: there_is_no_such")


def test_packages_are_not_known_without_an_installation(monkeypatch: Patch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", absent)
    assert_found(machine.packages, "skipped", "not installed")


SMI = """
Driver Version                            : 535.104.05
CUDA Version                              : 12.2
GPU 00000000:3B:00.0
    Product Name                          : NVIDIA A10
"""


@pytest.mark.parametrize(
    ("output", "built", "device", "status", "words"),
    [
        (None, None, "auto", "skipped", ["no GPU"]),
        (None, None, "cuda", "error", ["ARCHRANK_DEVICE is cuda"]),
        (SMI, None, "auto", "warning", ["NVIDIA A10", "CPU build", "CUDA 12.2 or older"]),
        (SMI, "13.0", "auto", "error", ["NVIDIA A10", "built for CUDA 13.0", "535.104.05", "update the driver"]),
        (SMI, "13.0", "cpu", "skipped", ["no GPU is used"]),
        ("No devices were found", "13.0", "auto", "skipped", ["no GPU"]),
    ],
)
def test_gpu(
    output: str | None,
    built: str | None,
    device: str,
    status: str,
    words: list[str],
    monkeypatch: Patch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if output is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{output}END\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setenv("ARCHRANK_DEVICE", device)
    assert_found(machine.gpu, status, *words)


def test_clock(monkeypatch: Patch) -> None:
    assert_found(machine.clock, "ok")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert_found(machine.clock, "error", "1970")


def test_open_files(monkeypatch: Patch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    assert_found(machine.open_files, "warning", "256", "LimitNOFILE")


def test_temporary_files(monkeypatch: Patch) -> None:
    def full(*args: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    assert_found(machine.temporary_files, "ok")
    monkeypatch.setattr(machine, "get_context", lambda kind: type("Context", (), {"Lock": full}))
    assert_found(machine.temporary_files, "warning", "no shared memory", "/dev/shm")
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert_found(machine.temporary_files, "error", "No space left", "TMPDIR")


def test_settings(monkeypatch: Patch) -> None:
    assert_found(configuration.settings, "ok", "5 of ")
    monkeypatch.setenv("ARCHRANK_PORT", "70000")
    assert_found(configuration.settings, "error", "port", "70000", "65535")
    assert_found(configuration.port, "skipped", "settings are invalid")
    monkeypatch.setenv("ARCHRANK_PORT", "1")
    monkeypatch.setenv("ARCHRANK_SECRETS_DIR", "/no/such/folder")
    assert_found(configuration.settings, "error", "secrets_dir", "/no/such/folder")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("ARCHRANK_BENCHMARKS", "ok", []),
        ("ARCHRANK_SHUTDOWN_TIMEOUT", "ok", []),
        ("ARCHRANK_STOREURL", "error", ["ARCHRANK_STOREURL (is ARCHRANK_STORE_URL meant?)"]),
        ("ARCHRANK_QQQQ", "warning", ["ARCHRANK_QQQQ", "docs/service.md"]),
    ],
)
def test_unknown_settings(name: str, status: str, words: list[str], monkeypatch: Patch) -> None:
    monkeypatch.setenv(name, "1")
    assert_found(configuration.unknown_settings, status, *words)


def test_cores(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(configuration, "CGROUP", tmp_path)
    assert_found(configuration.cores, "ok", "1 workers with 1 threads")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert_found(configuration.cores, "warning", "0.5 cores", "ARCHRANK_NUM_WORKERS")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    monkeypatch.setenv("ARCHRANK_NUM_THREADS", "10000")
    assert_found(configuration.cores, "warning", "1 workers with 10000 threads")


def test_memory(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(configuration, "CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   64000000 kB\n")
    monkeypatch.setattr(configuration, "MEMINFO", tmp_path / "meminfo")
    assert_found(configuration.memory, "ok", "62500 MB available")
    (tmp_path / "memory.max").write_text(str(500 * 2**20))
    assert_found(configuration.memory, "warning", "500 MB available", "ARCHRANK_NUM_WORKERS")
    (tmp_path / "memory.max").write_text("max")
    monkeypatch.setenv("ARCHRANK_NUM_WORKERS", "1000")
    assert_found(configuration.memory, "warning", "62500 MB available")


def test_data_folder(monkeypatch: Patch, data: Path) -> None:
    assert_found(configuration.data_dir, "ok", str(data))
    monkeypatch.setenv("ARCHRANK_DATA_DIR", str(data / "not" / "yet"))
    assert_found(configuration.data_dir, "ok", "to be created")
    (data / "file").touch()
    monkeypatch.setenv("ARCHRANK_DATA_DIR", str(data / "file"))
    assert_found(configuration.data_dir, "error", "not a writable directory")
    monkeypatch.setenv("ARCHRANK_STORE_URL", "postgresql://me@db/archrank")
    assert_found(configuration.data_dir, "ok", "not used")


@pytest.mark.parametrize(("free", "status"), [(2**40, "ok"), (2**29, "warning"), (2**20, "error")])
def test_disk(free: int, status: str, monkeypatch: Patch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free))
    assert_found(configuration.disk, status, "free at")


def test_port(monkeypatch: Patch, url: str) -> None:
    assert_found(configuration.port, "ok", "is free")
    monkeypatch.setenv("ARCHRANK_PORT", url.rsplit(":", 1)[1])
    assert_found(configuration.port, "ok", "archrank runs there already")
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("ARCHRANK_PORT", str(other.getsockname()[1]))
        assert_found(configuration.port, "error", "in use", "ARCHRANK_PORT")


def test_store(data: Path) -> None:
    assert_found(components.store, "ok", "does not exist yet")
    assert not list(data.iterdir())
    Store.open(Store.directory_url(data)).close()
    assert_found(components.store, "ok", "opened and written")
    (data / "archrank.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    assert_found(components.store, "error", "not a database", "ARCHRANK_DATA_DIR")


def test_empty_store_is_left_alone(data: Path) -> None:
    (data / "archrank.db").touch()
    assert_found(components.store, "ok", "empty")
    assert (data / "archrank.db").stat().st_size == 0


def test_store_of_another_version_is_left_alone(data: Path, monkeypatch: Patch) -> None:
    Store.open(Store.directory_url(data)).close()
    before = (data / "archrank.db").read_bytes()
    shutil.copytree(MIGRATIONS_DIR, data / "newer", ignore=shutil.ignore_patterns("__pycache__"))
    newest = ScriptDirectory(str(MIGRATIONS_DIR)).get_current_head()
    newer = f'revision, down_revision = "9999", "{newest}"\ndef upgrade(): raise AssertionError\n'
    (data / "newer" / "versions" / "v9999_newer.py").write_text(newer)
    monkeypatch.setattr(components, "MIGRATIONS_DIR", data / "newer")
    assert_found(components.store, "warning", "9999 are to be run", "back up the store")
    assert (data / "archrank.db").read_bytes() == before


def test_store_that_cannot_be_reached(monkeypatch: Patch) -> None:
    monkeypatch.setenv("ARCHRANK_STORE_URL", "postgresql://me:secret@127.0.0.1:1/archrank")
    assert_found(components.store, "error", "ARCHRANK_STORE_URL")
    assert "secret" not in run(components.store).message
    monkeypatch.setenv("ARCHRANK_STORE_URL", "secret")
    assert "secret" not in run(components.store).message
    assert_found(components.store, "error", "ARCHRANK_STORE_URL")
    assert_found(components.keys, "skipped", "the store cannot be read")


@pytest.mark.parametrize(
    ("name", "value", "words"), [("MAX_WRITE_S", 0.0, ["its disk"]), ("MAX_CLOCK_SKEW_S", -1.0, ["clock", "NTP"])]
)
def test_store_that_is_slow_or_tells_another_time(
    name: str, value: float, words: list[str], data: Path, monkeypatch: Patch
) -> None:
    Store.open(Store.directory_url(data)).close()
    monkeypatch.setattr(components, name, value)
    assert_found(components.store, "warning", *words)


def test_keys(data: Path) -> None:
    def finding(host: str) -> Finding:
        return components.keys(Installation({"host": host}))

    assert finding("127.0.0.1").status == "ok"
    assert (finding("0.0.0.0").status, finding("0.0.0.0").advice) == ("error", "archrank keys create --name NAME")
    with Store.open(Store.directory_url(data)) as store:
        store.keys.add("one", "lab", "0" * 64, ["predict"], {})
        assert finding("0.0.0.0").status == "ok"
        store.keys.revoke("one")
        assert finding("0.0.0.0").status == "error"
        closed = finding("127.0.0.1")
        assert (closed.status, "archrank keys open" in str(closed.advice)) == ("warning", True)
        store.keys.open()
        assert finding("127.0.0.1").status == "ok"
        assert finding("0.0.0.0").status == "error"


def test_ensembles(ensembles: Path) -> None:
    assert_found(components.ensembles, "ok", "gcn-nas-ntu")
    arrays = ensembles / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"?")
    assert_found(components.ensembles, "error", "was altered")
    assert_found(components.scoring, "skipped", "cannot be loaded")


def test_no_ensemble(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("ARCHRANK_ENSEMBLES_DIR", str(tmp_path))
    assert_found(components.ensembles, "error", "none in")


def test_proxies(ensembles: Path) -> None:
    assert_found(components.proxies, "ok")
    manifest = json.loads((ensembles / MANIFEST).read_text())
    manifest["proxies"]["zen"] = "0"
    (ensembles / MANIFEST).write_text(json.dumps({**manifest, "manifest_sha256": _manifest_hash(manifest)}))
    assert_found(components.proxies, "warning", "gcn-nas-ntu: zen")


def test_scoring(monkeypatch: Patch) -> None:
    assert_found(components.scoring, "ok", "18 proxies in", "the worker started in")
    options = worker_options(Installation().settings, torch.device("cpu"))
    monkeypatch.setattr(
        components, "worker_options", lambda *args: replace(options, entry_point="tests:nothing_of_the_kind")
    )
    assert_found(components.scoring, "error", "no worker is ready", "nothing_of_the_kind")
