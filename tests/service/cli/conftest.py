"""Fixtures of the commands."""

import pytest

from tests.real_server import ENSEMBLES


@pytest.fixture
def default_ensemble_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no other ensemble in each of the commands."""
    monkeypatch.setenv("ARCHRANK_ENSEMBLES_DIR", str(ENSEMBLES))
