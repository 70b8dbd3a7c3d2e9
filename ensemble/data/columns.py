"""Description of the columns of a feature table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import CostedSpace, EncodedSpace, FeatureGroup, SearchSpace

PROXY = "proxy."
"""Prefix of the names of proxy columns."""
SOURCE = "source."
"""Prefix of the names of columns with the scores of sources."""
CURVE = "curve."
"""Prefix of the names of columns with features of a training curve."""
COSTS = {"cost.log_params": "parameters", "cost.log_flops": "FLOPs"}
"""Names of the cost columns and the costs in words; the columns hold natural logarithms."""


@dataclass(frozen=True)
class Columns:
    """Names, groups and stratum of the columns of a feature table.

    Attributes:
        names: names of the d columns: `proxy.<name>` for proxies, `source.<name>` for scores of sources,
            `curve.<name>` for features of a training curve, the space's own names for structural features, those of
            `COSTS` for costs.
        groups: parts of an architecture and the structural features that describe them, as the space declares them.
        stratum: name of the column that holds the stratum; None for a table without one.
        reference: (r, d), rows of random architectures, which show the distribution of the columns to a combiner with
            sources; None where they are not known.
    """

    names: tuple[str, ...]
    groups: tuple[FeatureGroup, ...] = ()
    stratum: str | None = None
    reference: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_space(
        cls,
        space: SearchSpace[Any],
        proxies: Sequence[str] = (),
        sources: Sequence[str] = (),
        curve: Sequence[str] = (),
    ) -> "Columns":
        """Describe the feature tables of a space.

        Args:
            space: the search space. One that is not encoded has no structural features, one that is not costed no
                costs.
            proxies: names of the proxies.
            sources: names of the sources.
            curve: names of the features of a training curve.
        """
        names = [PROXY + proxy for proxy in proxies] + [SOURCE + source for source in sources]
        names += [CURVE + feature for feature in curve]
        costs = tuple(COSTS) if isinstance(space, CostedSpace) else ()
        if not isinstance(space, EncodedSpace):
            return cls((*names, *costs))
        return cls((*names, *space.feature_names, *costs), space.feature_groups, space.stratum_feature)

    @cached_property
    def proxies(self) -> tuple[str, ...]:
        """Names of the proxy columns."""
        return tuple(name for name in self.names if name.startswith(PROXY))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names of the columns of sources."""
        return tuple(name for name in self.names if name.startswith(SOURCE))

    @cached_property
    def curve(self) -> tuple[str, ...]:
        """Names of the columns of a training curve."""
        return tuple(name for name in self.names if name.startswith(CURVE))

    @cached_property
    def architectural(self) -> tuple[str, ...]:
        """Names of the columns that the architecture alone sets: structural features and costs."""
        return tuple(name for name in self.names if not name.startswith((PROXY, SOURCE, CURVE)))

    @cached_property
    def structure(self) -> tuple[str, ...]:
        """Names of the columns of structural features, without costs."""
        return tuple(name for name in self.architectural if name not in COSTS)

    def select(self, names: Sequence[str]) -> "Columns":
        """Describe a table of some of the columns, in the order of `names`."""
        stratum = self.stratum if self.stratum in names else None
        reference = None if self.reference is None else self.reference[:, self.indices(names)]
        return replace(self, names=tuple(names), stratum=stratum, reference=reference)

    def indices(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of columns, given by name; names without a column are left out."""
        return tuple(self._positions[name] for name in names if name in self._positions)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}
