"""A part that fails; the name of the file of architectures selects the failure."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.gpu.checks import Check, Options, stated


def run(options: Options) -> Iterator[Check]:
    yield stated("first", "there")
    match options.architectures.name:
        case "raise":
            raise ValueError("no\nsecond line")
        case "exit":
            os._exit(5)
        case "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            yield stated("child", str(child.pid))
            time.sleep(600)
