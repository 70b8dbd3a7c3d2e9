"""Registry of combiners: those built in, then plug-ins of the entry point group `archrank.combiners`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from common.plugins import load_plugins, refuse_plugin
from ensemble.combiners.base import Combiner
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.forest import Forest
from ensemble.combiners.gaussian_process import AdditiveGaussianProcess
from ensemble.combiners.logrank import LogRank
from ensemble.combiners.mean import WeightedMean
from ensemble.combiners.rank_trees import RankTrees
from ensemble.combiners.ranknet import RankNet
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.robot import Robot
from ensemble.combiners.stacked import NamedEstimator, Stacked
from ensemble.combiners.stratum_residual import StratumResidual
from ensemble.combiners.transfer import Transfer
from ensemble.combiners.vote import MajorityVote
from ensemble.combiners.xgboost import Boosting
from ensemble.data.columns import CURVE, PROXY, SOURCE, Columns
from models import UnknownNameError

DEFAULT = "stacked"
"""Default combiner for architectures with proxy scores."""
STRUCTURE = "structure"
"""Default combiner for architectures without proxy scores, unless an ensemble is fitted with another one."""
TRANSFER = "transfer"
"""Default combiner of an ensemble with sources, with and without proxy scores."""
EARLY_CURVE = "early_curve"
"""Default combiner for architectures with the curve of their first epochs."""
OMNI = "omni"
"""Default combiner for architectures with both proxy scores and the curve of their first epochs."""

Names = tuple[str, ...]


@dataclass(frozen=True)
class CombinerInfo:
    """Registry entry of a combiner.

    Attributes:
        name: name for users.
        factory: makes the bare estimator from a description of its columns and a seed.
        inputs: kinds of columns that it uses; costs count as structure.
        output: whether its predictions are accuracies or only ranking scores.
        accepts_missing: whether it predicts with some of its scores missing.
        depends_on_set: whether its ranking scores compare the architectures of a set with each other. Its accuracies
            never depend on other architectures.
    """

    name: str
    factory: Callable[[Columns, int], Combiner]
    inputs: Literal[
        "proxies",
        "proxies+structure",
        "structure",
        "sources+structure",
        "curve+structure",
        "curve+proxies+structure",
    ]
    output: Literal["ranking", "accuracy"]
    accepts_missing: bool = False
    depends_on_set: bool = False

    @property
    def needs_proxies(self) -> bool:
        """True if it uses proxy scores."""
        return "proxies" in self.inputs

    @property
    def needs_sources(self) -> bool:
        """True if it uses scores of sources."""
        return "sources" in self.inputs

    @property
    def needs_curve(self) -> bool:
        """True if it uses the curve of the first epochs of a training."""
        return "curve" in self.inputs

    @property
    def needs_structure(self) -> bool:
        """True if it uses structural features."""
        return "structure" in self.inputs

    def columns(self, names: Sequence[str]) -> Names:
        """Select the columns that it uses from the names of a feature table's columns."""
        needed = {PROXY: self.needs_proxies, SOURCE: self.needs_sources, CURVE: self.needs_curve}
        prefixes = tuple(prefix for prefix, is_needed in needed.items() if not is_needed)
        return _select_columns(prefixes, self.needs_structure, tuple(names))

    def missing_input(self, columns: Columns) -> str | None:
        """Return what it needs and a feature table lacks, in words; None if the table has everything."""
        if self.needs_proxies and not columns.proxies:
            return "it needs proxy scores"
        if self.needs_sources and not columns.sources:
            return "it needs sources: ensembles of other tasks of the same search space"
        if self.needs_curve and not columns.curve:
            return "it needs training curves, and a number of their first epochs to learn from"
        if self.needs_structure and not columns.structure:
            return "it needs structural features, which the search space does not have"
        return None

    def build(self, columns: Columns, seed: int = 0) -> Combiner:
        """Make an unfitted estimator of accuracy for a feature table; ranking scores are calibrated.

        Args:
            columns: description of the table's columns.
            seed: seed of the estimator.
        """
        columns = columns.select(self.columns(columns.names))
        estimator = self.factory(columns if self.needs_sources else replace(columns, reference=None), seed)
        return estimator if self.output == "accuracy" else Calibrated(estimator, random_state=seed)


@lru_cache(maxsize=64)
def _select_columns(left_out: Names, structure: bool, names: Names) -> Names:
    """Select columns without those of some prefixes, and without structure and costs unless `structure`."""
    prefixes = (PROXY, SOURCE, CURVE)
    return tuple(name for name in names if not name.startswith(left_out) and (structure or name.startswith(prefixes)))


def _stacked(columns: Columns, seed: int) -> Combiner:
    """Stack of trees on the structure and of a process that also uses the proxies (trees gain nothing from them)."""
    structure = columns.select(columns.architectural)
    indices = columns.indices(structure.names)
    trees = Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True, random_state=seed)
    estimators: tuple[NamedEstimator, ...] = (
        ("gaussian_process", AdditiveGaussianProcess(columns), tuple(range(len(columns.names)))),
        ("extra_trees", _stratum_residual(trees, structure), indices),
        ("xgboost", _stratum_residual(Boosting(random_state=seed), structure), indices),
    )
    return Stacked(estimators, random_state=seed)


def _with_curve(columns: Columns, seed: int) -> Combiner:
    """Stack of ridge regression on the curve alone, and of trees and a process that also use the structure.

    As in `_stacked`, only the process uses the proxies.
    """
    own = columns.select((*columns.curve, *columns.architectural))
    indices = columns.indices(own.names)
    trees = Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True, random_state=seed)
    estimators: tuple[NamedEstimator, ...] = (
        ("ridge", Ridge(), columns.indices(columns.curve)),
        ("gaussian_process", AdditiveGaussianProcess(columns), tuple(range(len(columns.names)))),
        ("extra_trees", _stratum_residual(trees, own), indices),
        ("xgboost", _stratum_residual(Boosting(random_state=seed), own), indices),
    )
    return Stacked(estimators, random_state=seed)


def _stratum_residual(estimator: Combiner, columns: Columns) -> Combiner:
    """Fit an estimator to the residuals of the stratum means, where there are strata."""
    if columns.stratum is None:
        return estimator
    return StratumResidual(estimator, columns.names.index(columns.stratum))


def _vote(columns: Columns, seed: int) -> Combiner:
    return MajorityVote(random_state=seed)


def _mean(columns: Columns, seed: int) -> Combiner:
    return WeightedMean()


def _logrank(columns: Columns, seed: int) -> Combiner:
    return LogRank()


def _robot(columns: Columns, seed: int) -> Combiner:
    return Robot(random_state=seed)


def _ranknet(columns: Columns, seed: int) -> Combiner:
    return RankNet(random_state=seed)


def _forest(columns: Columns, seed: int) -> Combiner:
    return _stratum_residual(Forest(random_state=seed), columns)


def _xgboost(columns: Columns, seed: int) -> Combiner:
    return _stratum_residual(Boosting(random_state=seed), columns)


def _rank_trees(columns: Columns, seed: int) -> Combiner:
    trees = Forest(min_samples_leaf=2, max_features=0.5, extra_trees=True, random_state=seed)
    return RankTrees((trees, Boosting(n_estimators=600, max_depth=6, learning_rate=0.03, random_state=seed)))


def _transfer(columns: Columns, seed: int) -> Combiner:
    return Transfer(len(columns.sources), seed, columns.reference)


def _ridge(columns: Columns, seed: int) -> Combiner:
    return Ridge()


ENTRY_POINTS = "archrank.combiners"
BUILT_IN = (
    CombinerInfo("stacked", _stacked, "proxies+structure", "accuracy"),
    CombinerInfo("structure", _stacked, "structure", "accuracy"),
    CombinerInfo("vote", _vote, "proxies", "ranking", accepts_missing=True, depends_on_set=True),
    CombinerInfo("mean", _mean, "proxies", "ranking", accepts_missing=True),
    CombinerInfo("logrank", _logrank, "proxies", "ranking", accepts_missing=True),
    CombinerInfo("robot", _robot, "proxies", "ranking", accepts_missing=True),
    CombinerInfo("ranknet", _ranknet, "proxies+structure", "ranking"),
    CombinerInfo("forest", _forest, "proxies+structure", "accuracy"),
    CombinerInfo("xgboost", _xgboost, "proxies+structure", "accuracy"),
    CombinerInfo("ridge", _ridge, "structure", "accuracy"),
    CombinerInfo("rank_trees", _rank_trees, "structure", "ranking"),
    CombinerInfo(TRANSFER, _transfer, "sources+structure", "ranking"),
    CombinerInfo(EARLY_CURVE, _with_curve, "curve+structure", "accuracy"),
    CombinerInfo(OMNI, _with_curve, "curve+proxies+structure", "accuracy"),
)


@lru_cache(maxsize=1)
def combiner_infos() -> tuple[CombinerInfo, ...]:
    """Return all registered combiners: those built in, then plug-ins of the entry point group `archrank.combiners`."""
    infos = list(BUILT_IN)
    for plugin in load_plugins(ENTRY_POINTS, [info.name for info in infos]):
        info = plugin.value
        if not isinstance(info, CombinerInfo):
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, "it is no CombinerInfo")
        elif info.name != plugin.name:
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, f"the name of its combiner is {info.name!r}")
        else:
            infos.append(info)
    return tuple(infos)


def get_combiner(name: str) -> CombinerInfo:
    """Return the registry entry of a combiner.

    Args:
        name: name of the combiner.

    Raises:
        UnknownNameError: there is no combiner of that name.
    """
    for info in combiner_infos():
        if info.name == name:
            return info
    raise UnknownNameError("combiner", name, combiner_names())


def combiner_names() -> list[str]:
    """Names of all combiners."""
    return [info.name for info in combiner_infos()]
