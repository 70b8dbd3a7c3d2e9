"""A fitted combiner with its residuals and its predictions for the reference set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensemble.calibration.conformal import ConformalResiduals
from ensemble.combiners import Combiner, CombinerInfo, State
from ensemble.combiners.stacked import Stacked
from ensemble.data.columns import Columns
from ensemble.data.features import FeatureTable
from ensemble.evaluation.cross_validation import fit_combiner, predict_combiner
from ensemble.explanation import MeanContributions
from ensemble.ranks import doubled_ranks

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedCombiner:
    """A fitted combiner.

    Attributes:
        info: registry entry of the combiner.
        estimator: the fitted estimator.
        residuals: distribution of its errors on held-out rows; None for one that only ranks.
        held_out: (n,), sorted predictions for the reference set, each by an estimator fitted without that
            architecture's fold. Percentiles are taken among them, because predictions for training rows spread wider
            than those for new rows. Ranking scores of random architectures for a combiner that only ranks.
        strata: (n,), stratum of each architecture of `held_out`.
        mean_contributions: over the reference set; None for a combiner that is not to be explained.
    """

    info: CombinerInfo
    estimator: Combiner
    residuals: ConformalResiduals | None
    held_out: Array
    strata: Array
    mean_contributions: MeanContributions | None

    @classmethod
    def fit(cls, info: CombinerInfo, table: FeatureTable, y: Array, held_out: Array, seed: int) -> "FittedCombiner":
        """Fit on a whole table.

        Args:
            info: registry entry of the combiner.
            table: features of n architectures.
            y: (n,), accuracies.
            held_out: (n,), cross-validated predictions for the table; NaN where there is none.
            seed: seed of the estimator.
        """
        estimator, residuals = fit_combiner(info, table, y, seed)
        strata, mean_contributions = table.strata, None
        if estimator.additive:
            X = table.select(info.columns(table.names))
            rows = ~np.isnan(X).any(axis=1)
            mean_contributions = MeanContributions.from_training_rows(estimator, X[rows], strata[rows])
        order = np.argsort(held_out, kind="stable")[: np.count_nonzero(~np.isnan(held_out))]  # NaN comes last
        return cls(info, estimator, residuals, held_out[order], strata[order], mean_contributions)

    @classmethod
    def fit_ranking(
        cls, info: CombinerInfo, table: FeatureTable, y: Array, reference: FeatureTable, seed: int
    ) -> "FittedCombiner":
        """Fit a combiner that only ranks, as the rows are too few for accuracies.

        Args:
            info: registry entry of the combiner.
            table: features of n ≥ 0 architectures.
            y: (n,), accuracies.
            reference: features of the reference set.
            seed: seed of the estimator.
        """
        columns = table.columns.select(info.columns(table.names))
        estimator = info.factory(columns, seed).fit(table.select(columns.names), y)
        scores = estimator.predict(reference.select(columns.names))
        order = np.argsort(scores, kind="stable")
        return cls(info, estimator, None, scores[order], reference.strata[order], None)

    @property
    def ranks_only(self) -> bool:
        """True if its predictions are ranking scores instead of accuracies."""
        return self.residuals is None

    @property
    def left_out(self) -> dict[str, str]:
        """Reasons, by name, why estimators of a stack are left out."""
        return self.estimator.left_out_ if isinstance(self.estimator, Stacked) else {}

    def predict(self, table: FeatureTable) -> Array:
        """Predict accuracies, (m,), fractions; NaN for rows that lack a required score.

        Raises:
            ValueError: it only ranks.
        """
        if self.ranks_only:
            raise ValueError(f"{self.info.name} only ranks")
        return np.clip(predict_combiner(self.info, self.estimator, table), 0, 1)

    def ranking_scores(self, table: FeatureTable) -> Array:
        """Sort keys of the table's architectures, larger is better, (m,)."""
        return self.estimator.ranking_scores(table.select(self.info.columns(table.names)))

    def percentiles(self, predictions: Array) -> Array:
        """Fraction of the reference set that is predicted to be worse, (m,); ties count half."""
        return np.asarray(0.5 * doubled_ranks(self.held_out, predictions) / max(len(self.held_out), 1))

    def get_state(self) -> State:
        """Return the fitted state for an artifact."""
        parts = {"estimator": self.estimator.get_state()}
        if self.residuals is not None:
            parts["residuals"] = self.residuals.get_state()
        if self.mean_contributions is not None:
            means = self.mean_contributions
            parts["mean_contributions"] = State({"strata": means.strata, "means": means.means})
        return State.merged({**parts, "reference_set": State({"held_out": self.held_out, "strata": self.strata})})

    @classmethod
    def from_state(
        cls,
        info: CombinerInfo,
        columns: Columns,
        seed: int,
        state: State,
        *,
        ranks_only: bool = False,
        explained: bool = True,
    ) -> "FittedCombiner":
        """Restore a combiner from the result of `get_state`.

        Args:
            info: registry entry of the combiner.
            columns: description of the feature table that it was fitted to.
            seed: seed of the estimator.
            state: the fitted state.
            ranks_only: it only ranks.
            explained: an additive combiner has mean contributions.

        Raises:
            KeyError: a part is missing.
            ValueError: the parts do not fit each other.
        """
        build = info.factory if ranks_only else info.build
        estimator = build(columns.select(info.columns(columns.names)), seed).set_state(state.part("estimator"))
        means, residuals = None, None
        if not ranks_only:
            residuals = ConformalResiduals.from_state(state.part("residuals"))
        if estimator.additive and explained and not ranks_only:
            arrays = state.part("mean_contributions").floats
            means = MeanContributions(arrays["strata"], arrays["means"])
            if means.means.shape != (len(means.strata) + 1, len(info.columns(columns.names)) + 1):
                raise ValueError("the mean contributions do not fit the columns")
        reference = state.part("reference_set").floats
        held_out, strata = reference["held_out"], reference["strata"]
        if held_out.shape != strata.shape:
            raise ValueError("the held-out predictions do not fit their strata")
        return cls(info, estimator, residuals, held_out, strata, means)
