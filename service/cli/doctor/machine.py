"""Checks of the machine and of what is installed on it."""

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

from service.cli.doctor.base import Finding, Setup, SkippedError, error, ok, warning

TESTED = Path(__file__).resolve().parents[3] / "constraints.txt"
"""The versions that were tested; only a checkout has it."""
INSTALL = "install it anew: make install, or pip install -c constraints.txt ."
PYTORCH = "https://pytorch.org/get-started/locally"
FILES_ENOUGH = 1024
"""Open files: each connection is one, each process that scores a few."""


def python(setup: Setup) -> Finding:
    """The interpreter's version is allowed."""
    allowed, found = SpecifierSet(_metadata()["Requires-Python"]), ".".join(map(str, sys.version_info[:3]))
    if found not in allowed:
        return error(f"Python {found}; archrank needs {allowed}", "make the virtual environment with another Python")
    return ok(f"Python {found}")


def packages(setup: Setup) -> Finding:
    """Every package that archrank needs is there, in a version that is allowed and was tested."""
    needed = [Requirement(line) for line in _metadata().get_all("Requires-Dist", [])]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    versions = {one.name: _version(one.name) for one in needed}
    missing = [one.name for one in needed if versions[one.name] is None]
    if missing:
        return error(f"not installed: {', '.join(missing)}", INSTALL)
    refused = [f"{one.name} {versions[one.name]}, not {one.specifier}" for one in needed if _refuses(one, versions)]
    if refused:
        return error("; ".join(refused), INSTALL)
    other = _untested()
    if other:
        return warning(f"not as tested: {'; '.join(other)}", INSTALL)
    return ok(f"{len(needed)} packages")


def gpu(setup: Setup) -> Finding:
    """PyTorch sees the GPU that is there."""
    wanted = setup.settings.device
    built, cards = torch.version.cuda, _cards()
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        unused = ", not used: ARCHRANK_DEVICE is cpu" if wanted == "cpu" else ""
        return ok(f"{names}, CUDA {built}{unused}")
    if cards is not None and wanted != "cpu":
        if built is None:
            return warning(
                f"{cards.name}, but this PyTorch ({torch.__version__}) is a build for the CPU",
                f"install a PyTorch for CUDA {cards.cuda} or older ({PYTORCH}), or set ARCHRANK_DEVICE=cpu",
            )
        return error(
            f"{cards.name}, but PyTorch, built for CUDA {built}, cannot use it; the driver ({cards.driver}) is for "
            f"CUDA {cards.cuda}",
            f"update the driver, or install a PyTorch for CUDA {cards.cuda} or older ({PYTORCH}); in a container, "
            "give it the GPU",
        )
    if wanted == "cuda":
        return error("ARCHRANK_DEVICE is cuda, and there is no GPU", "set ARCHRANK_DEVICE=auto, or install the driver")
    raise SkippedError("no GPU is used: networks run on the CPU")


def clock(setup: Setup) -> Finding:
    """The time is later than that of the installation."""
    now, installed = time.time(), Path(__file__).stat().st_mtime
    if now < installed - 86400:
        return error(f"the clock says {time.ctime(now)}, archrank was installed on {time.ctime(installed)}", "set it")
    return ok(f"{time.ctime(now)}, {time.tzname[0]}")


def open_files(setup: Setup) -> Finding:
    """Enough connections can be open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < FILES_ENOUGH:
        return warning(f"{limit} may be open at once", f"raise it (ulimit -n, LimitNOFILE) to {FILES_ENOUGH} or more")
    return ok("any number" if limit == resource.RLIM_INFINITY else f"{limit} may be open at once")


def temporary_files(setup: Setup) -> Finding:
    """There is a place for them."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0" * 2**20)
            file.flush()
    except OSError as refusal:
        return error(f"none can be written ({refusal.strerror})", "make /tmp writable, or set TMPDIR to what is")
    try:
        get_context("spawn").Lock()
    except OSError as refusal:
        return warning(f"no shared memory ({refusal.strerror})", "mount /dev/shm: `fit` and `evaluate` need it")
    return ok(f"{tempfile.gettempdir()}; shared memory")


class _Cards:
    """What `nvidia-smi` says."""

    def __init__(self, said: str) -> None:
        found = {name: re.search(rf"{name}\s*:\s*(\S.*)", said) for name in ("Product Name", "Driver Version")}
        cuda = re.search(r"CUDA(?: UMD)? Version\s*:\s*(\S+)", said)
        self.name, self.driver = (match[1].strip() if match else "unknown" for match in found.values())
        self.cuda = cuda[1] if cuda else "unknown"


def _cards() -> _Cards | None:
    """The NVIDIA GPUs of the machine, whatever PyTorch makes of them; None where there are none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "-q"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return _Cards(said) if "Product Name" in said else None


def _metadata() -> metadata.PackageMetadata:
    try:
        return metadata.metadata("archrank")
    except metadata.PackageNotFoundError:
        raise SkippedError("archrank is not installed, only on the path: what it needs is not known") from None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _refuses(needed: Requirement, versions: dict[str, str | None]) -> bool:
    return not needed.specifier.contains(versions[needed.name] or "", prereleases=True)


def _untested() -> list[str]:
    """Packages that are installed in another version than the tested one."""
    if not TESTED.is_file():
        return []
    tested = [Requirement(line) for line in TESTED.read_text().splitlines() if line and not line.startswith("#")]
    found = {one.name: _version(one.name) for one in tested}
    return [
        f"{one.name} {found[one.name]}, not {one.specifier}"
        for one in tested
        if found[one.name] and _refuses(one, found)
    ]
