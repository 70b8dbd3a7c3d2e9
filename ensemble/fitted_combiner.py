"""One combiner of an ensemble, fitted, with what is known of its errors and of the population that it learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble.calibration.conformal import ConformalResiduals
from ensemble.combiners import Combiner, CombinerInfo, State
from ensemble.data.features import FeatureTable
from ensemble.evaluation.cross_validation import fit_combiner, predict_combiner
from ensemble.explanation import Reference

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedCombiner:
    """A fitted combiner.

    Attributes:
        info: which one.
        model: the estimator.
        errors: from residuals of rows that it was fitted without.
        held_out: (n,), sorted: its predictions for the population, each made without that architecture's fold.
            Percentiles are taken among them: predictions for rows that it was fitted on spread wider than for new ones.
        depths: (n,), numbers of layers of those that `held_out` is for, in its order.
        typical: its mean contributions, where it has any.
    """

    info: CombinerInfo
    model: Combiner
    errors: ConformalResiduals
    held_out: Array
    depths: Array
    typical: Reference | None

    @classmethod
    def fit(cls, info: CombinerInfo, table: FeatureTable, y: Array, held_out: Array, seed: int) -> "FittedCombiner":
        """Fit on a whole table. `held_out`, (n,), are cross-validated predictions for it; NaN where there are none."""
        model, errors = fit_combiner(info, table, y, seed)
        depths, typical = table.select(["depth"])[:, 0], None
        if model.additive:
            X = table.select(info.columns(table.names))
            rows = ~np.isnan(X).any(axis=1)
            typical = Reference.of(model, X[rows], depths[rows])
        order = np.argsort(held_out, kind="stable")[: np.count_nonzero(~np.isnan(held_out))]  # NaN comes last
        return cls(info, model, errors, held_out[order], depths[order], typical)

    def predict(self, table: FeatureTable) -> Array:
        """Accuracies, (m,), fractions; NaN for the rows that lack scores which it needs."""
        return np.clip(predict_combiner(self.info, self.model, table), 0, 1)

    def rank(self, table: FeatureTable) -> Array:
        """Order of the table's architectures, larger is better, (m,)."""
        return self.model.rank(table.select(self.info.columns(table.names)))

    def percentiles(self, accuracy: Array) -> Array:
        """Percent of the population that is predicted to be worse, (m,)."""
        below, upto = (np.searchsorted(self.held_out, accuracy, side=side) for side in ("left", "right"))
        return np.asarray(50.0 * (below + upto) / max(len(self.held_out), 1))

    def get_state(self) -> State:
        """All of it, for an artifact."""
        parts = {"model": self.model.get_state(), "errors": self.errors.get_state()}
        if self.typical is not None:
            parts["typical"] = State({"depths": self.typical.depths, "means": self.typical.means})
        return State.merged({**parts, "population": State({"held_out": self.held_out, "depths": self.depths})})

    @classmethod
    def of_state(cls, info: CombinerInfo, columns: Sequence[str], seed: int, state: State) -> "FittedCombiner":
        """What `get_state` gave. Raises `KeyError` or `ValueError` where it is not that."""
        model = info.build(columns, seed).set_state(state.part("model"))
        typical = None
        if model.additive:
            arrays = state.part("typical").floats
            typical = Reference(arrays["depths"], arrays["means"])
            if typical.means.shape != (len(typical.depths) + 1, len(info.columns(columns)) + 1):
                raise ValueError("the mean contributions do not fit the columns")
        population = state.part("population").floats
        held_out, depths = population["held_out"], population["depths"]
        if held_out.shape != depths.shape:
            raise ValueError("the held-out predictions do not fit their numbers of layers")
        return cls(info, model, ConformalResiduals.of_state(state.part("errors")), held_out, depths, typical)
