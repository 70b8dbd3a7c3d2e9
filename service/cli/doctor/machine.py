"""Checks of the machine and of the installed packages."""

import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from service.cli.doctor.report import Finding, Installation, SkippedError, error, ok, warning

CONSTRAINTS = Path(__file__).resolve().parents[3] / "constraints.txt"
"""Tested versions of all packages; present in a checkout only."""
INSTALL_ADVICE = "reinstall archrank: make install, or pip install -c constraints.txt ."
PYTORCH_URL = "https://pytorch.org/get-started/locally"
MIN_OPEN_FILES = 1024
"""Each connection is an open file, and each worker has a few."""


def python(installation: Installation) -> Finding:
    """The version of Python is supported."""
    supported, version = SpecifierSet(_metadata()["Requires-Python"]), ".".join(map(str, sys.version_info[:3]))
    if version not in supported:
        return error(f"Python {version}; archrank needs {supported}", "recreate the virtual environment with it")
    return ok(f"Python {version}")


def packages(installation: Installation) -> Finding:
    """All required packages are installed, in supported and tested versions."""
    required = [Requirement(line) for line in _metadata().get_all("Requires-Dist", [])]
    required = [item for item in required if item.marker is None or item.marker.evaluate({"extra": ""})]
    versions = {item.name: _version(item.name) for item in required}
    missing = [item.name for item in required if versions[item.name] is None]
    if missing:
        return error(f"not installed: {', '.join(missing)}", INSTALL_ADVICE)
    unsupported = [
        f"{item.name} {versions[item.name]}, not {item.specifier}" for item in required if not _matches(item, versions)
    ]
    if unsupported:
        return error("; ".join(unsupported), INSTALL_ADVICE)
    untested = _untested()
    if untested:
        return warning(f"not the tested versions: {'; '.join(untested)}", INSTALL_ADVICE)
    return ok(f"{len(required)} packages")


def gpu(installation: Installation) -> Finding:
    """PyTorch can use the machine's GPU."""
    device = installation.settings.device
    build, driver = torch.version.cuda, _nvidia_driver()
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        unused = ", not used: ARCHRANK_DEVICE is cpu" if device == "cpu" else ""
        return ok(f"{names}, CUDA {build}{unused}")
    if driver is not None and device != "cpu":
        if build is None:
            return warning(
                f"{driver.gpu}, but this PyTorch ({torch.__version__}) is a CPU build",
                f"install a PyTorch for CUDA {driver.cuda} or older ({PYTORCH_URL}), or set ARCHRANK_DEVICE=cpu",
            )
        return error(
            f"{driver.gpu}, but PyTorch, built for CUDA {build}, cannot use it; the driver ({driver.version}) supports "
            f"CUDA {driver.cuda}",
            f"update the driver, or install a PyTorch for CUDA {driver.cuda} or older ({PYTORCH_URL}); in a container, "
            "give it access to the GPU",
        )
    if device == "cuda":
        return error("ARCHRANK_DEVICE is cuda, but there is no GPU", "set ARCHRANK_DEVICE=auto, or install the driver")
    raise SkippedError("no GPU is used: networks run on the CPU")


def clock(installation: Installation) -> Finding:
    """The clock is not behind the time of the installation."""
    now, installed = time.time(), Path(__file__).stat().st_mtime
    if now < installed - 86400:
        return error(
            f"the clock shows {time.ctime(now)}, archrank was installed on {time.ctime(installed)}", "set the clock"
        )
    return ok(f"{time.ctime(now)}, {time.tzname[0]}")


def open_files(installation: Installation) -> Finding:
    """The limit of open files allows enough connections."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < MIN_OPEN_FILES:
        return warning(f"the limit is {limit}", f"raise it (ulimit -n, LimitNOFILE) to {MIN_OPEN_FILES} or more")
    return ok("no limit" if limit == resource.RLIM_INFINITY else f"the limit is {limit}")


def temporary_files(installation: Installation) -> Finding:
    """Temporary files and shared memory can be created."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0" * 2**20)
            file.flush()
    except OSError as failure:
        return error(f"none can be written ({failure.strerror})", "make /tmp writable, or set TMPDIR")
    try:
        get_context("spawn").Lock()
    except OSError as failure:
        return warning(f"no shared memory ({failure.strerror})", "mount /dev/shm: `fit` and `evaluate` need it")
    return ok(f"{tempfile.gettempdir()}; shared memory")


class _NvidiaDriver:
    """Driver and first GPU from the output of `nvidia-smi -q`.

    Attributes:
        gpu: product name.
        version: version of the driver.
        cuda: newest version of CUDA that the driver supports.
    """

    def __init__(self, output: str) -> None:
        patterns = {
            "gpu": r"Product Name\s*:\s*(\S.*)",
            "version": r"Driver Version\s*:\s*(\S.*)",
            "cuda": r"CUDA(?: UMD)? Version\s*:\s*(\S+)",
        }
        matches = (re.search(pattern, output) for pattern in patterns.values())
        self.gpu, self.version, self.cuda = (match[1].strip() if match else "unknown" for match in matches)


def _nvidia_driver() -> _NvidiaDriver | None:
    """Return the driver of the machine's NVIDIA GPUs, which PyTorch may be unable to use; None without a GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        output = subprocess.run([program, "-q"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return _NvidiaDriver(output) if "Product Name" in output else None


def _metadata() -> metadata.PackageMetadata:
    try:
        return metadata.metadata("archrank")
    except metadata.PackageNotFoundError:
        raise SkippedError("archrank is not installed, but imported from its folder: no requirements known") from None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _matches(requirement: Requirement, versions: dict[str, str | None]) -> bool:
    return requirement.specifier.contains(versions[requirement.name] or "", prereleases=True)


def _untested() -> list[str]:
    """Return the packages that are installed in another than the tested version."""
    if not CONSTRAINTS.is_file():
        return []
    lines = CONSTRAINTS.read_text().splitlines()
    tested = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {item.name: _version(item.name) for item in tested}
    return [
        f"{item.name} {versions[item.name]}, not {item.specifier}"
        for item in tested
        if versions[item.name] and not _matches(item, versions)
    ]
