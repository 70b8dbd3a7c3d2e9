"""Choice of the architectures that are trained with several seeds."""

import math
from collections.abc import Collection, Sequence

import numpy as np

from models import Architecture


def choose_repeated(
    architectures: Sequence[Architecture],
    strata: Sequence[int],
    fraction: float,
    seed: int,
    num_known: int = 0,
    known: Collection[Architecture] = (),
) -> list[Architecture]:
    """Choose random architectures, two by two of one stratum, evenly over the strata.

    Two repeated architectures of a stratum tell the noise of an architecture from that which they share (see `noise`).
    Where strata of one architecture are all that is left, these are taken one by one.

    Args:
        architectures: the sample.
        strata: stratum of each architecture.
        fraction: fraction of the architectures to choose; their number is rounded up to an even one.
        seed: seed of the choice.
        num_known: size of a shorter sample, the beginning of this one, none of which is chosen further.
        known: those chosen from the shorter sample.

    Returns:
        Those chosen from the other architectures, in the order of the sample.
    """
    number = 2 * math.ceil(round(len(architectures) * fraction / 2, 9)) - len(known)
    counts = dict.fromkeys(strata, 0)
    for architecture, stratum in zip(architectures, strata, strict=True):
        counts[stratum] += architecture in known
    remaining: dict[int, list[int]] = {stratum: [] for stratum in counts}
    for index in num_known + np.random.default_rng(seed).permutation(len(architectures) - num_known):
        remaining[strata[index]].append(int(index))

    def rank(stratum: int) -> tuple[bool, bool, int, int]:
        """Incomplete pairs first, then complete ones, then strata with few repeats, or many architectures."""
        number_left = len(remaining[stratum])
        return counts[stratum] % 2 == 0, number_left < 2, counts[stratum], -number_left

    chosen: list[int] = []
    for _ in range(min(number, len(architectures) - num_known)):
        stratum = min((stratum for stratum in counts if remaining[stratum]), key=rank)
        chosen.append(remaining[stratum].pop())
        counts[stratum] += 1
    return [architectures[index] for index in sorted(chosen)]
