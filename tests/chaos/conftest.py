"""Durations of recoveries, reported after the tests. No test depends on them."""

from collections.abc import Callable
from time import monotonic

import pytest

from tests.service.storage.conftest import postgres, small_disk  # noqa: F401

Tell = Callable[[str, str], None]
Recovered = Callable[[str, float], None]


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Function that reports a measurement and its description."""

    def tell(measured: str, what: str) -> None:
        request.node.user_properties.append(("told", f"{measured:>12}  {what}"))

    return tell


@pytest.fixture
def recovered(tell: Tell) -> Recovered:
    """Function that reports the duration of a recovery that started at a monotonic time."""
    return lambda what, since: tell(f"{monotonic() - since:.1f} s", what)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = {text for report in reports for name, text in report.user_properties if name == "told"}
    if told:
        terminalreporter.section("how long recoveries took, and what else was measured")
        for text in sorted(told, key=lambda text: text[12:]):
            terminalreporter.write_line(text)
