"""Descriptions of how processes ended."""

import signal

import pytest

from common.processes import describe_exit


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
