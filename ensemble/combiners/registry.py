"""Registry of combiners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ensemble.combiners.base import Combiner
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.forest import Forest
from ensemble.combiners.gaussian_process import AdditiveGaussianProcess
from ensemble.combiners.mean import WeightedMean
from ensemble.combiners.ranknet import RankNet
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stacked import NamedEstimator, Stacked
from ensemble.combiners.stratum_residual import StratumResidual
from ensemble.combiners.vote import MajorityVote
from ensemble.combiners.xgboost import Boosting
from ensemble.data.features import PROXY
from models import UnknownNameError

DEFAULT = "stacked"
"""Default combiner for architectures with proxy scores."""
STRUCTURE = "structure"
"""Default combiner for architectures without proxy scores, and the fallback if a score is missing."""

Columns = tuple[str, ...]


@dataclass(frozen=True)
class CombinerInfo:
    """Registry entry of a combiner.

    Attributes:
        name: name for users.
        factory: makes the bare estimator from its column names and a seed.
        inputs: kinds of columns that it uses.
        output: whether its predictions are accuracies or only ranking scores.
        accepts_missing: whether it predicts with some of its scores missing.
        depends_on_set: whether its ranking scores compare the architectures of a set with each other. Its accuracies
            never depend on other architectures.
    """

    name: str
    factory: Callable[[Columns, int], Combiner]
    inputs: Literal["proxies", "proxies+structure", "structure"]
    output: Literal["ranking", "accuracy"]
    accepts_missing: bool = False
    depends_on_set: bool = False

    @property
    def needs_proxies(self) -> bool:
        """True if it uses proxy scores."""
        return self.inputs != "structure"

    def columns(self, names: Sequence[str]) -> Columns:
        """Select the columns that it uses from the names of a feature table's columns."""
        return _select_columns(self.inputs, tuple(names))

    def build(self, names: Sequence[str], seed: int = 0) -> Combiner:
        """Make an unfitted estimator of accuracy for a feature table; ranking scores are calibrated.

        Args:
            names: names of the table's columns.
            seed: seed of the estimator.
        """
        estimator = self.factory(self.columns(names), seed)
        return estimator if self.output == "accuracy" else Calibrated(estimator, random_state=seed)


@lru_cache(maxsize=64)
def _select_columns(inputs: str, names: Columns) -> Columns:
    proxies, structure = "proxies" in inputs, "structure" in inputs
    return tuple(name for name in names if (proxies if name.startswith(PROXY) else structure))


def _stacked(columns: Columns, seed: int) -> Combiner:
    """Stack of trees on the structure and of a process that also uses the proxies (trees gain nothing from them)."""
    structure = tuple(i for i, name in enumerate(columns) if not name.startswith(PROXY))
    names = tuple(columns[i] for i in structure)
    trees = Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True, random_state=seed)
    estimators: tuple[NamedEstimator, ...] = (
        ("gaussian_process", AdditiveGaussianProcess(columns), tuple(range(len(columns)))),
        ("extra_trees", _stratum_residual(trees, names), structure),
        ("xgboost", _stratum_residual(Boosting(random_state=seed), names), structure),
    )
    return Stacked(estimators, random_state=seed)


def _stratum_residual(estimator: Combiner, columns: Columns) -> Combiner:
    return StratumResidual(estimator, columns.index("depth"))


def _vote(columns: Columns, seed: int) -> Combiner:
    return MajorityVote(random_state=seed)


def _mean(columns: Columns, seed: int) -> Combiner:
    return WeightedMean()


def _ranknet(columns: Columns, seed: int) -> Combiner:
    return RankNet(random_state=seed)


def _forest(columns: Columns, seed: int) -> Combiner:
    return _stratum_residual(Forest(random_state=seed), columns)


def _xgboost(columns: Columns, seed: int) -> Combiner:
    return _stratum_residual(Boosting(random_state=seed), columns)


def _ridge(columns: Columns, seed: int) -> Combiner:
    return Ridge()


def _check_unique(infos: tuple[CombinerInfo, ...]) -> tuple[CombinerInfo, ...]:
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        raise ValueError(f"combiner names are not unique: {names}")
    return infos


COMBINERS = _check_unique(
    (
        CombinerInfo("stacked", _stacked, "proxies+structure", "accuracy"),
        CombinerInfo("structure", _stacked, "structure", "accuracy"),
        CombinerInfo("vote", _vote, "proxies", "ranking", accepts_missing=True, depends_on_set=True),
        CombinerInfo("mean", _mean, "proxies", "ranking", accepts_missing=True),
        CombinerInfo("ranknet", _ranknet, "proxies+structure", "ranking"),
        CombinerInfo("forest", _forest, "proxies+structure", "accuracy"),
        CombinerInfo("xgboost", _xgboost, "proxies+structure", "accuracy"),
        CombinerInfo("ridge", _ridge, "structure", "accuracy"),
    )
)


def get_combiner(name: str) -> CombinerInfo:
    """Return the registry entry of a combiner.

    Args:
        name: name of the combiner.

    Raises:
        UnknownNameError: there is no combiner of that name.
    """
    for info in COMBINERS:
        if info.name == name:
            return info
    raise UnknownNameError("combiner", name, combiner_names())


def combiner_names() -> list[str]:
    """Names of all combiners."""
    return [info.name for info in COMBINERS]
