"""Search for inputs that crash a reader."""

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
    """An input on which a reader raised an error that is not a refusal.

    Attributes:
        target: name of the reader.
        content: the input.
        error: the error.
    """

    target: str
    content: bytes
    error: Exception

    def write(self) -> Path:
        """Write the input to a file, which is a test from then on."""
        path = CRASHES / f"{self.target}.{hashlib.sha256(self.content).hexdigest()[:12]}"
        path.write_bytes(self.content)
        return path


def find_crash(target: Target, seed: int, examples: int) -> Crash | None:
    """Return the smallest crashing input among mutations of the target's seeds, or None.

    Args:
        target: reader.
        seed: seed of the mutations.
        examples: number of mutations.
    """
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
    except Exception as error:  # Hypothesis runs the smallest failing example last
        return Crash(target.name, last, error)
    return None
