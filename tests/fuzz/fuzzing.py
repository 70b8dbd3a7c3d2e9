"""Look for bytes that crash a reader, and keep them as a test case."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target

CRASHES = Path(__file__).parent / "crashes"
"""Files named `<target>.<hash>`: each is a test."""


@dataclass(frozen=True)
class Crash:
    """Bytes that a reader ended otherwise on than by a refusal."""

    target: str
    content: bytes
    error: Exception

    def write(self) -> Path:
        """Keep it for the tests."""
        path = CRASHES / f"{self.target}.{hashlib.sha256(self.content).hexdigest()[:12]}"
        path.write_bytes(self.content)
        return path


def crash(target: Target, seed: int, examples: int) -> Crash | None:
    """Try so many mutations; the same seed tries the same. Returns the smallest that crashes, if any does."""
    last = b""

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(mutated(target.seeds(), target.tokens))
    def run(content: bytes) -> None:
        nonlocal last
        last = content
        target.run(content)

    try:
        run()
    except Exception as error:  # Hypothesis runs the smallest again, last
        return Crash(target.name, last, error)
    return None
