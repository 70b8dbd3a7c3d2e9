"""Cache key of a proxy score."""

from typing import NamedTuple


class ScoreKey(NamedTuple):
    """Everything that a proxy's score of an architecture depends on, as plain data: equal in every process.

    Attributes:
        space: name and settings of the search space, as JSON.
        architecture: fingerprint of the architecture.
        batch: fingerprint of the probe batch.
        seed: seed of initial weights and random inputs.
        repeats: number of random draws.
        proxy: name of the proxy.
        version: version of the proxy.
        device: type of the device, e.g. `cuda`.
        dtype: type of the batch's numbers, e.g. `float32`.
    """

    space: str
    architecture: str
    batch: str
    seed: int
    repeats: int
    proxy: str
    version: str
    device: str
    dtype: str
