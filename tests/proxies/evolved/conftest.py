"""Evolved proxies in a folder of the test's own."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxies import registry

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Function that installs evolved proxies, name and expression by keyword."""
    monkeypatch.setenv("ARCHRANK_EVOLVED_DIR", str(tmp_path))

    def write(**expressions: Any) -> None:
        for name, expression in expressions.items():
            (tmp_path / f"{name}.json").write_text(json.dumps({"name": name, "expression": expression}))
        registry.proxies_by_name.cache_clear()

    registry.proxies_by_name.cache_clear()
    yield write
    registry.proxies_by_name.cache_clear()
