"""How long each recovery took, told at the end: nothing is asserted of it but that it happened."""

from collections.abc import Callable
from time import monotonic

import pytest

from tests.service.store.conftest import postgres, small_disk  # noqa: F401

Recovered = Callable[[str, float], None]


@pytest.fixture
def recovered(request: pytest.FixtureRequest) -> Recovered:
    """Call it with what happened and since when, by the monotonic clock, once all is well again."""

    def note(what: str, since: float) -> None:
        request.node.user_properties.append(("recovery", f"{monotonic() - since:8.1f} s  {what}"))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind)]
    told = {text for one in reports for name, text in one.user_properties if name == "recovery"}
    if told:
        terminalreporter.section("recovery times")
        for text in sorted(told, key=lambda text: text.split("  ")[-1]):
            terminalreporter.write_line(text)
