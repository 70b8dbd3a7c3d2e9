"""Descriptions of how processes ended, and the garbage collection of programs."""

import signal
import subprocess
import sys

import pytest

from common.processes import YOUNG_OBJECTS, describe_exit
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (0, "the process exited with code 0"),
        (7, "the process exited with code 7"),
        (-signal.SIGKILL, "the process was killed by SIGKILL"),
        (-signal.SIGRTMIN - 1, f"the process was killed by {signal.SIGRTMIN + 1}"),
        (None, "the process was killed, but has not ended yet"),
    ],
)
def test_description(code: int | None, description: str) -> None:
    assert describe_exit(code) == description


def test_objects_are_not_traversed_at_the_exit() -> None:
    last = "atexit.register(lambda: print(gc.get_freeze_count() > 0))"  # functions registered first are called last
    code = f"import atexit, gc; from common.processes import *; {last}; collect_rarely(); print(*gc.get_threshold())"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.split()[0] == str(YOUNG_OBJECTS)
    assert shown.stdout.split()[-1] == "True"
