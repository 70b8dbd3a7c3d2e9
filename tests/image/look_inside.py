"""Program that runs in the container and prints the state of it as JSON."""

import importlib.util
import json
import os
import tempfile
from pathlib import Path

import torch

PACKAGES = ("common", "models", "proxies", "ensemble", "search", "study", "training", "evolution", "service")
NEEDLESS = ("pip", "tests", "benchmarks", "archrank_client")
FOLDERS = ("/", "/tmp", "/run", "/var/tmp", "/srv/archrank", "/opt/archrank", "/var/lib/archrank")


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def writable(folder: str) -> bool:
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(
    json.dumps(
        {
            "absent": [name for name in PACKAGES if not installed(name)],
            "present": [name for name in NEEDLESS if installed(name)],
            "writable": [folder for folder in FOLDERS if writable(folder)],
            "ray": installed("ray"),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "user": os.getuid(),
            "capabilities": status["CapEff"].strip(),
            "no_new_privileges": status["NoNewPrivs"].strip(),
        }
    )
)
