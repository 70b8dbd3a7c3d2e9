"""Key of a proxy score."""

from typing import NamedTuple


class ScoreKey(NamedTuple):
    """Everything that a proxy's score of an architecture depends on, as plain data with the same meaning everywhere.

    Attributes:
        space: name of the search space.
        architecture: fingerprint of the architecture.
        probe_batch: fingerprint of the probe batch.
        seed: seed of the initial weights and random inputs.
        repeats: number of random inputs that a proxy averages over.
        proxy: name of the proxy.
        version: version of the proxy.
        device: name of the device.
        dtype: name of the floating-point type.
    """

    space: str
    architecture: str
    probe_batch: str
    seed: int
    repeats: int
    proxy: str
    version: str
    device: str
    dtype: str
