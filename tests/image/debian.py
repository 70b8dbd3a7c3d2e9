"""Images of Debian's packages, where no registry of images is reachable."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.image.engine import Engine, ImageTestError, ImageTestSkippedError, execute

PYTHON = ("passwd", "python3", "libstdc++6", "python-is-python3", "python3-pip", "ca-certificates")
POSTGRES = ("postgresql",)
HOOKS = (
    # The image's pip manages its Python.
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    'rm -rf "$1"/usr/share/doc "$1"/usr/share/locale "$1"/usr/share/man',
)
WITHOUT_CLUSTER = (
    'mkdir "$1/etc/postgresql-common"'
    ' && echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"'
)
IN_MEMORY_KB = 4_000_000
"""Free memory from which the packages are unpacked there, without waiting for a disk."""


def import_debian(engine: Engine, name: str, release: str, packages: Sequence[str]) -> None:
    """Make an image of the essential and some further packages of a release.

    Args:
        engine: the engine that gets the image.
        name: name of the image.
        release: code name, such as `bookworm`.
        packages: names of the further packages.
    """
    if os.getuid() != 0 or not shutil.which("mmdebstrap"):
        raise ImageTestSkippedError(
            "no registry of images is reachable; a base of Debian packages needs root and mmdebstrap"
        )
    memory = Path("/dev/shm")
    in_memory = memory.is_dir() and shutil.disk_usage(memory).free > IN_MEMORY_KB * 1000
    with tempfile.TemporaryDirectory(prefix="archrank-image-", dir=memory if in_memory else None) as folder:
        tar = f"{folder}/root.tar"
        command = ["mmdebstrap", "--quiet", "--variant=essential", "--dpkgopt=force-unsafe-io"]
        command += [f"--essential-hook={WITHOUT_CLUSTER}"] if packages == POSTGRES else []
        command += [*(f"--customize-hook={hook}" for hook in HOOKS), f"--include={','.join(packages)}", release, tar]
        execute(command, {"TMPDIR": folder})
        engine.run("import", tar, name)


def can_pull(engine: Engine, image: str) -> bool:
    """Pull an image from its registry, and return whether that succeeded."""
    try:
        engine.run("pull", f"docker.io/library/{image}", timeout=300)
    except (ImageTestError, subprocess.TimeoutExpired):
        return False
    return True
