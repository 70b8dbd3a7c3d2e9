"""What was measured on the way, told at the end: nothing is asserted of a recovery but that it happened."""

from collections.abc import Callable
from time import monotonic

import pytest

from tests.service.storage.conftest import postgres, small_disk  # noqa: F401

Tell = Callable[[str, str], None]
Recovered = Callable[[str, float], None]


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Call it with what was measured, and what that is."""

    def tell(measured: str, what: str) -> None:
        request.node.user_properties.append(("told", f"{measured:>12}  {what}"))

    return tell


@pytest.fixture
def recovered(tell: Tell) -> Recovered:
    """Call it with what happened and since when, by the monotonic clock, once all is well again."""
    return lambda what, since: tell(f"{monotonic() - since:.1f} s", what)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind)]
    told = {text for one in reports for name, text in one.user_properties if name == "told"}
    if told:
        terminalreporter.section("how long recoveries took, and what else was measured")
        for text in sorted(told, key=lambda text: text[12:]):
            terminalreporter.write_line(text)
