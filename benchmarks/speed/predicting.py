"""What a prediction from structure alone costs, without a server."""

from pathlib import Path
from typing import Any

import ensemble
from benchmarks.speed.machine import seconds
from benchmarks.speed.scoring import architecture
from ensemble import Ensemble

NUMBERS = (1, 10, 100, 1_000, 10_000)


def structure_only() -> dict[int, float]:
    """Seconds by number of architectures in one call, features included, reading not."""
    fitted = Ensemble.load(Path(ensemble.__file__).parent / "artifacts" / "gcn-nas-ntu")
    architectures: list[Any] = [architecture(4 + 2 * (i % 4), i) for i in range(max(NUMBERS))]
    return {
        number: seconds(lambda number=number: fitted.predict(architectures[:number]), 3 if number > 999 else 30)
        for number in NUMBERS
    }
