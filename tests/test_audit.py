"""Output and exit code of `make audit`. A stub replaces pip-audit, whose advisories change and need a network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

GOOD: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "description": "bad"}]}
UNKNOWN = {"name": "c", "skip_reason": "c is not there"}


@pytest.mark.parametrize(
    ("packages", "code", "line"),
    [
        ([GOOD], 0, "no known vulnerabilities in 1 packages"),
        ([GOOD, UNKNOWN], 0, "no known vulnerabilities in 1 packages; 1 could not be looked up"),
        ([UNKNOWN], 0, "not audited: c is not there"),
        ([GOOD, UNKNOWN, BAD], 1, "b 2: PYSEC-1"),
        (None, 0, "not audited: no route to host"),
    ],
)
def test_audit(packages: list[Any] | None, code: int, line: str, tmp_path: Path) -> None:
    output = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    (tmp_path / "pip_audit.py").write_text(f"print({output!r})\nraise SystemExit('no route to host')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    script = [sys.executable, str(ROOT / ".ci" / "audit.py")]
    process = subprocess.run(script, capture_output=True, text=True, env=environment)
    assert (process.returncode, process.stdout.splitlines()[-1]) == (code, line)
