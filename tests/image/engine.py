"""Container engines: Docker and Podman, which share a command line."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import ArchrankError

LIMITS = '"nofile=4096:4096", "nproc=4096:4096"'
"""Resource limits of containers. Podman's defaults are above those of a machine without CAP_SYS_RESOURCE."""


class ImageTestError(ArchrankError):
    """A step of the test failed."""


class ImageTestSkippedError(ArchrankError):
    """This machine lacks a tool that the test needs."""


@dataclass
class Engine:
    """A container engine.

    Attributes:
        name: `docker` or `podman`.
        environment: variables of its commands.
        storage: folder with its images and containers; None if they are among the user's.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    storage: Path | None = None

    def run(self, *arguments: str, check: bool = True, timeout: float = 900) -> str:
        """Run a command of the engine and return its standard output.

        Args:
            arguments: arguments of the command.
            check: raise `ImageTestError` if it fails.
            timeout: seconds after which it is killed.
        """
        return execute([self.name, *arguments], self.environment, check=check, timeout=timeout)

    def inspect(self, name: str) -> Any:
        """Return the description of a container or an image."""
        return json.loads(self.run("inspect", name))[0]

    def has_image(self, name: str) -> bool:
        """Return whether an image exists."""
        return self._succeeds("image", "inspect", name)

    def works(self) -> bool:
        """Return whether the engine answers."""
        return shutil.which(self.name) is not None and self._succeeds("info")

    @property
    def hardening(self) -> list[str]:
        """Options of a container as compose.yaml and the Kubernetes deployment run it."""
        options = ["--read-only", "--user", "10001:10001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        # Podman mounts folders in memory at /run and /var/tmp unless told not to.
        return [*options, "--read-only-tmpfs=false"] if self.name == "podman" else options

    def close(self) -> None:
        """Delete all containers and images of `storage`."""
        if self.storage is not None:
            for command in ("rm --all --force --volumes --time 0", "rmi --all --force", "network prune --force"):
                self.run(*command.split(), check=False)
            for mount in sorted(_mounts_under(self.storage), reverse=True):
                subprocess.run(["umount", mount], check=False)
            shutil.rmtree(self.storage)

    def _succeeds(self, *arguments: str) -> bool:
        command, variables = [self.name, *arguments], os.environ | self.environment
        return subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0


def execute(
    command: Sequence[str],
    environment: Mapping[str, str] = {},
    *,
    check: bool = True,
    timeout: float = 900,
    folder: Path | None = None,
) -> str:
    """Run a command and return its standard output; raise `ImageTestError` with the end of its output if it fails."""
    variables = os.environ | environment
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=timeout, check=False, cwd=folder
    )
    if check and done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise ImageTestError(f"{' '.join(command[:3])} … exited with {done.returncode}:\n{end}")
    return done.stdout


def find_engine(folder: Path, name: str | None = None) -> Engine | None:
    """Find a container engine that works.

    Args:
        folder: empty folder for Podman's configuration and, as root, its images and containers.
        name: `docker` or `podman`; by default the first that works.
    """
    for engine in (Engine("docker"), _podman(folder)):
        if name in (None, engine.name) and engine.works():
            return engine
    return None


def _podman(folder: Path) -> Engine:
    """Return Podman with storage of its own if this user is root, so that all of it can be deleted afterwards."""
    lines = ["[containers]", f"default_ulimits = [{LIMITS}]", "[engine]"]
    # Debian's crun refuses cgroups of both versions at once; runc does not.
    if shutil.which("runc") and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        lines.append('runtime = "runc"')
    if shutil.which("netavark") or Path("/usr/lib/podman/netavark").exists():
        lines += ["[network]", 'network_backend = "netavark"', f'network_config_dir = "{folder}/networks"']
    environment = {"CONTAINERS_CONF": str(folder / "containers.conf")}
    storage = None
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        storage = folder / "storage"
        text = f'[storage]\ndriver = "overlay"\ngraphroot = "{storage}"\nrunroot = "{folder}/run"\n'
        (folder / "storage.conf").write_text(text)
        environment["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")
        lines.insert(lines.index("[engine]") + 1, f'tmp_dir = "{folder}/tmp"')
    (folder / "containers.conf").write_text("\n".join(lines) + "\n")
    return Engine("podman", environment, storage)


def _mounts_under(folder: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    with suppress(OSError):
        folder = folder.resolve()
    return [mount for mount in mounts if Path(mount).is_relative_to(folder)]
