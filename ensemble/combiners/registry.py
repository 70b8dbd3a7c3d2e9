"""The combiners that there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ensemble.combiners.base import Combiner
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.forest import Forest
from ensemble.combiners.gaussian_process import SlotProcess
from ensemble.combiners.mean import WeightedMean
from ensemble.combiners.ranknet import RankNet
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stacked import Stacked
from ensemble.combiners.stratum_residual import WithinDepth
from ensemble.combiners.vote import MajorityVote
from ensemble.combiners.xgboost import Boosting
from ensemble.data.features import PROXY
from models import UnknownNameError

DEFAULT = "stacked"
"""The combiner that answers where proxies were computed."""
STRUCTURE = "structure"
"""The combiner that answers where they were not, or where they failed."""

Columns = tuple[str, ...]


@dataclass(frozen=True)
class CombinerInfo:
    """One combiner.

    Attributes:
        name: how users ask for it.
        make: builds the bare estimator from its column names and a seed.
        inputs: which columns it sees.
        output: whether its predictions are accuracies, or only an order.
        missing: whether it can predict with some of its scores missing.
        depends_on_set: True where it ranks a set by comparing its architectures with each other. Accuracies depend on
            no other architecture, whichever the combiner.
    """

    name: str
    make: Callable[[Columns, int], Combiner]
    inputs: Literal["proxies", "proxies+structure", "structure"]
    output: Literal["order", "accuracy"]
    missing: bool = False
    depends_on_set: bool = False

    @property
    def needs_proxies(self) -> bool:
        return self.inputs != "structure"

    def columns(self, names: Sequence[str]) -> Columns:
        """Those of a feature table's columns that the combiner sees."""
        return _seen(self.inputs, tuple(names))

    def build(self, names: Sequence[str], seed: int = 0) -> Combiner:
        """An unfitted estimator of accuracy for a table with these columns; orders come calibrated."""
        model = self.make(self.columns(names), seed)
        return model if self.output == "accuracy" else Calibrated(model, random_state=seed)


@lru_cache(maxsize=64)
def _seen(inputs: str, names: Columns) -> Columns:
    proxies, structure = "proxies" in inputs, "structure" in inputs
    return tuple(name for name in names if (proxies if name.startswith(PROXY) else structure))


def _stack(columns: Columns, seed: int) -> Combiner:
    """Trees on the structure; the process also sees the proxies, which the trees gained nothing from."""
    structure = tuple(i for i, name in enumerate(columns) if not name.startswith(PROXY))
    seen = tuple(columns[i] for i in structure)
    members: tuple[tuple[str, Combiner, tuple[int, ...]], ...] = (
        ("process", SlotProcess(columns), tuple(range(len(columns)))),
        ("trees", _within_depth(Forest(leaf=2, share=0.5, extra=True, random_state=seed), seen), structure),
        ("xgboost", _within_depth(Boosting(random_state=seed), seen), structure),
    )
    return Stacked(members, random_state=seed)


def _within_depth(model: Combiner, columns: Columns) -> Combiner:
    return WithinDepth(model, columns.index("depth"))


def _vote(columns: Columns, seed: int) -> Combiner:
    return MajorityVote(random_state=seed)


def _forest(columns: Columns, seed: int) -> Combiner:
    return _within_depth(Forest(random_state=seed), columns)


def _boosting(columns: Columns, seed: int) -> Combiner:
    return _within_depth(Boosting(random_state=seed), columns)


def _unique(infos: tuple[CombinerInfo, ...]) -> tuple[CombinerInfo, ...]:
    names = [info.name for info in infos]
    if len(set(names)) < len(names):
        raise ValueError(f"combiner names are not unique: {names}")
    return infos


COMBINERS = _unique(
    (
        CombinerInfo("stacked", _stack, "proxies+structure", "accuracy"),
        CombinerInfo("structure", _stack, "structure", "accuracy"),
        CombinerInfo("vote", _vote, "proxies", "order", missing=True, depends_on_set=True),
        CombinerInfo("mean", lambda _, seed: WeightedMean(), "proxies", "order", missing=True),
        CombinerInfo("ranknet", lambda _, seed: RankNet(random_state=seed), "proxies+structure", "order"),
        CombinerInfo("forest", _forest, "proxies+structure", "accuracy"),
        CombinerInfo("xgboost", _boosting, "proxies+structure", "accuracy"),
        CombinerInfo("ridge", lambda _, seed: Ridge(), "structure", "accuracy"),
    )
)


def get_combiner(name: str) -> CombinerInfo:
    """The combiner of that name. Raises `UnknownNameError`."""
    for info in COMBINERS:
        if info.name == name:
            return info
    raise UnknownNameError("combiner", name, combiner_names())


def combiner_names() -> list[str]:
    """Names of all combiners."""
    return [info.name for info in COMBINERS]
