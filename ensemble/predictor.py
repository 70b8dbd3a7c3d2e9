"""`Ensemble`: the fitted combiners of one benchmark."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import check_seed
from ensemble.artifact import load_artifact, save_artifact
from ensemble.calibration.applicability import FITTED_ON, MIN_INTERVAL_SCALE, SAMPLED, ReferenceSet
from ensemble.card import card, ranking_note, ranks_only
from ensemble.combiners import DEFAULT, EARLY_CURVE, OMNI, STRUCTURE, TRANSFER, State, get_combiner
from ensemble.data.benchmark import Benchmark
from ensemble.data.columns import Columns
from ensemble.data.curve import Curve, CurveFeatures
from ensemble.data.features import FeatureTable, feature_table
from ensemble.data.scores import ScoreTable
from ensemble.embedded_sources import check_source, restore_sources, source_entry, source_scores, sources_state
from ensemble.errors import ArtifactError
from ensemble.evaluation.cross_validation import Progress
from ensemble.evaluation.protocol import (
    MIN_ARCHITECTURES,
)
from ensemble.explanation import Explanation, SuggestedMutation, explain_row, improving_mutations
from ensemble.fitted_combiner import FittedCombiner
from ensemble.prediction import Estimate, Interval, Prediction
from ensemble.source import Source
from ensemble.training import feature_version, fit_combiners, fit_ranking
from models import (
    Architecture,
    BuildableSpace,
    EncodedSpace,
    InputError,
    ProbeBatch,
    SearchSpace,
    UnknownNameError,
    get_space,
    require,
)

Array = NDArray[np.float64]
Scores = Sequence[Mapping[str, float | None]]
FIRST_FEATURE_VERSION = "1"
"""Version of the features of an artifact that does not name one."""


class Ensemble:
    """Fitted combiners of one benchmark, immutable and therefore safe to share between threads.

    Create one with `fit` or `load`.

    Attributes:
        name: name for users.
        space: search space of the architectures.
        proxies: names of the proxies whose scores `predict` takes.
        manifest: origin of the ensemble as plain data: space and task, batch, seed, proxy versions, benchmark, metrics,
            and what was left out.
        reference_set: structure, costs and scores of the architectures that it was fitted on; of random ones for an
            ensemble that only ranks.
        batch: probe batch of the scores; None for an ensemble fitted without our own scores.
        sources: embedded sources, whose scores are inputs of the combiner `transfer`.
        curve_features: features of the training curves that `predict` takes; None for an ensemble fitted without.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        space: SearchSpace[Any],
        fitted: Mapping[str, FittedCombiner],
        reference_set: ReferenceSet,
        batch: ProbeBatch | None = None,
        sources: Sequence[Source] = (),
    ) -> None:
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.space = space
        self.proxies: tuple[str, ...] = tuple(manifest["proxies"])
        self.reference_set = reference_set
        self.batch = batch
        self.sources = tuple(sources)
        curve = manifest.get("curve")
        self.curve_features = None if curve is None else CurveFeatures.from_json(curve)
        self._fitted = dict(fitted)

    @property
    def combiners(self) -> tuple[str, ...]:
        """Names of the combiners."""
        return tuple(self._fitted)

    @property
    def ranks_only(self) -> bool:
        """True if it was fitted to too few architectures for accuracies: its predictions are ranks and percentiles."""
        return ranks_only(self.manifest)

    @property
    def default_combiner(self) -> str | None:
        """Name of the combiner that predicts from structure by default; None if all combiners need proxy scores."""
        name: str = self.manifest.get("default", STRUCTURE)
        return name if name in self._fitted else None

    def depends_on_set(self, combiner: str | None) -> bool:
        """Return whether the `ranking_score` of a prediction depends on the other architectures of the same call.

        Everything else in a prediction is the same, bit for bit, in any call.

        Args:
            combiner: name of a combiner; None for the default.
        """
        names = [combiner] if combiner is not None else [self._default([]), self.default_combiner]
        return any(self._fitted[name].info.depends_on_set for name in names if name in self._fitted)

    @property
    def held_out_predictions(self) -> dict[str, tuple[Array, Array]]:
        """Predictions for the reference set by combiner: sorted accuracies, (n,), and their strata, (n,).

        Each is made by an estimator that was fitted without that architecture's fold. Empty for an ensemble that only
        ranks.
        """
        if self.ranks_only:
            return {}
        return {name: (fitted.held_out, fitted.strata) for name, fitted in self._fitted.items()}

    @classmethod
    def fit(
        cls,
        benchmark: Benchmark,
        scores: ScoreTable | None = None,
        name: str | None = None,
        *,
        seed: int = 0,
        folds: int = 10,
        combiners: Sequence[str] | None = None,
        default: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        sources: Sequence["Ensemble"] = (),
        curve_epochs: int | None = None,
        jobs: int = 2,
        progress: Progress | None = None,
    ) -> "Ensemble":
        """Fit every combiner on a whole benchmark.

        With sources, ensembles of other tasks of the same search space, the combiner `transfer` also learns from their
        predictions. They allow a benchmark of fewer than 20 architectures, or of none: the ensemble then consists of
        `transfer` alone and only ranks.

        Args:
            benchmark: the trained architectures.
            scores: proxy scores of them; without scores, only combiners that need none are fitted.
            name: name of the ensemble, by default that of the benchmark.
            seed: seed of the combiners and of the folds.
            folds: number of folds of the cross-validation that yields percentiles and metrics.
            combiners: names of the combiners to fit, by default all. One that needs what the benchmark or its space
                lacks is left out, with the reason in the manifest.
            default: name of the combiner that predicts from structure by default; it is always included. None for
                `transfer` with sources, else `structure`.
            metrics: result of `evaluate`, stored in the manifest instead of the metrics of this cross-validation.
            sources: ensembles to learn from; one that has seen accuracies of the benchmark is refused. Of each, the
                one combiner that predicts from structure alone becomes part of the new ensemble.
            curve_epochs: number of first epochs whose training curve becomes an input of the combiners `early_curve`
                and `omni`; None for none. All rows need the same recipe: epochs, batch size and learning rates.
            jobs: number of worker processes for the cross-validation.
            progress: called after each fold.

        Raises:
            InputError: the seed or the number of epochs is out of range, the default needs inputs that are not always
                there, or a source is of another space, repeated, without such a combiner, or has seen accuracies of the
                benchmark.
            BenchmarkError: the benchmark is too small, no combiner can be fitted to it, fewer than half of its
                architectures have a curve as long, or the scores' probe batch cannot be made again.
            UnknownNameError: a combiner does not exist.

        Example:
            >>> import numpy as np
            >>> from ensemble import Benchmark, Ensemble, Entry
            >>> from models import get_space
            >>> space, rng = get_space("gcn-nas"), np.random.default_rng(0)
            >>> entries = [Entry(space.sample(rng), accuracy) for accuracy in np.linspace(0.92, 0.95, 20)]
            >>> benchmark = Benchmark("example", space, tuple(entries))
            >>> ensemble = Ensemble.fit(benchmark, combiners=["ridge"], folds=2, jobs=1)
            >>> ensemble.combiners
            ('ridge', 'structure')
        """
        check_seed(seed)
        entries, embedded = _embed(benchmark, sources)
        default = default or (TRANSFER if sources else STRUCTURE)
        if sources and len(benchmark) < MIN_ARCHITECTURES:
            if curve_epochs is not None:
                rows = f"nothing below {MIN_ARCHITECTURES} trained architectures"
                raise InputError("curve_epochs", curve_epochs, rows)
            return cls(*fit_ranking(benchmark, scores, name, seed, combiners, default, entries, embedded))
        return cls(
            *fit_combiners(
                *(benchmark, scores, name, seed, folds, combiners, default, metrics, entries, embedded),
                *(curve_epochs, jobs, progress),
            )
        )

    def save(self, folder: str | Path) -> None:
        """Write the ensemble to a folder atomically, replacing an ensemble that is there.

        Args:
            folder: path of the artifact.

        Raises:
            ArtifactError: the folder holds anything else.
        """
        parts = {name: fitted.get_state() for name, fitted in self._fitted.items()}
        parts["reference_set"] = self.reference_set.get_state()
        parts["sources"] = sources_state(self.sources)
        if self.batch is not None:
            parts["batch"] = State({name: tensor.cpu().numpy() for name, tensor in self.batch.tensors.items()})
        save_artifact(Path(folder), self.manifest, State.merged(parts))

    @classmethod
    def load(cls, folder: str | Path) -> "Ensemble":
        """Load an ensemble from a folder.

        Args:
            folder: path of the artifact.

        Raises:
            ArtifactError: the artifact is missing, incomplete, altered or of an unknown format.

        Example:
            >>> from ensemble import Ensemble
            >>> ensemble = Ensemble.load("ensemble/artifacts/gcn-nas-ntu")
            >>> ensemble.combiners
            ('stacked', 'structure', 'vote', 'mean', 'ranknet', 'forest', 'xgboost', 'ridge')
        """
        manifest, state = load_artifact(Path(folder))
        try:
            space = get_space(manifest["space"], **manifest["settings"])
            entries = manifest.get("sources", [])
            proxies, curve = tuple(manifest["proxies"]), manifest.get("curve")
            curve_names = () if curve is None else CurveFeatures.from_json(curve).names
            columns = Columns.from_space(space, proxies, [entry["name"] for entry in entries], curve_names)
            _check_features(folder, manifest, space, columns)
            ranking = ranks_only(manifest)
            fitted = {
                name: FittedCombiner.from_state(
                    get_combiner(name), columns, manifest["seed"], state.part(name), ranks_only=ranking
                )
                for name in manifest["combiners"]
            }
            reference_set = ReferenceSet.from_state(
                state.part("reference_set"),
                Columns.from_space(space, proxies, (), curve_names),
                SAMPLED if ranking else FITTED_ON,
            )
            batch = _stored_batch(manifest, space, state.part("batch"))
            sources = restore_sources(entries, space, state.part("sources"))
            ensemble = cls(manifest, space, fitted, reference_set, batch, sources)
            ensemble._smoke_test()
        except ArtifactError:
            raise
        except Exception as error:  # including those of libraries: a part may contain anything
            raise ArtifactError(f"{folder}: its parts do not make an ensemble ({error!r})") from error
        return ensemble

    def _smoke_test(self) -> None:
        """Make the card, a prediction by every combiner and an explanation.

        Raises:
            ValueError: a prediction is no fraction. Parts that do not fit each other raise other exceptions.
        """
        card(self.manifest)
        architecture = self.space.sample(np.random.default_rng(0))
        medians = {name: row[50] for name, row in self.reference_set.proxy_quantiles.items()}
        inputs: list[tuple[Scores | None, Sequence[Curve] | None]] = [(None, None), ([medians], None)]
        if self.curve_features is not None:
            parts = dict.fromkeys(self.curve_features.parts, (0.5,) * self.curve_features.epochs)
            inputs += [(None, [Curve(**parts)]), ([medians], [Curve(**parts)])]
        for scores, curves in inputs:
            if (scores is None and curves is None) and self.default_combiner is None:
                continue
            (prediction,) = self.predict([architecture], scores, curves=curves)
            for estimate in (prediction, *prediction.combiners.values()):
                if estimate is None:
                    continue
                if estimate.accuracy is None or estimate.interval is None:
                    if not (self.ranks_only and 0 <= estimate.percentile <= 1):
                        raise ValueError(f"a prediction without accuracy, at the percentile {estimate.percentile}")
                    continue
                low, high = estimate.interval.low, estimate.interval.high
                if not (0 <= low <= high <= 1 and 0 <= estimate.accuracy <= 1):
                    raise ValueError(f"a prediction of {estimate.accuracy} from {low} to {high}")
        if any(fitted.mean_contributions is not None for fitted in self._structural):
            self.explain(architecture)

    def predict(
        self,
        architectures: Sequence[Architecture],
        scores: Scores | None = None,
        combiner: str | None = None,
        score_mismatches: Sequence[str] = (),
        curves: Sequence[Curve | None] | None = None,
    ) -> list[Prediction]:
        """Predict the accuracies of architectures.

        Args:
            architectures: architectures of the ensemble's space.
            scores: for each architecture, its proxy scores by name (None for a failed one), computed as the manifest
                states; None to predict from structure alone.
            combiner: name of the combiner whose estimate is the prediction; by default `omni` with curves and scores,
                `early_curve` with curves, else `transfer` with sources, else `stacked` with scores and
                `default_combiner` without. Where it lacks a score, `early_curve` replaces it if there is a curve, else
                `default_combiner`; where it lacks a curve, `default_combiner`. Either with a warning.
            score_mismatches: differences between the computation of the scores and the manifest. Each becomes a
                warning, and the intervals are widened.
            curves: for each architecture, the curve of its training so far, with the recipe of the benchmark, or None.
                The first `curve_features.epochs` epochs count; a shorter curve is as none.

        Returns:
            One prediction for each architecture; without accuracy and interval from an ensemble that only ranks.

        Raises:
            UnknownNameError: the ensemble has no combiner of that name.
            InputError: the number of scores or curves is not that of the architectures, or the ensemble was fitted
                without curves.

        Example:
            >>> from ensemble import Ensemble
            >>> ensemble = Ensemble.load("ensemble/artifacts/gcn-nas-ntu")
            >>> layers = [["L", "ST"], ["L4", "S", "ST"], ["L4", "L3", "T"], ["L", "L4n", "L3", "L2", "ST"]]
            >>> architecture = ensemble.space.parse(layers)
            >>> (prediction,) = ensemble.predict([architecture])
            >>> prediction.combiner, round(prediction.accuracy, 3), round(prediction.interval.low, 3)
            ('structure', 0.937, 0.934)
        """
        self._check(architectures, scores, combiner, curves)
        if not architectures:
            return []
        headline = combiner or self._default(scores, curves)
        table = self._table(architectures, scores, curves)
        scale, warnings = self._mismatches(table, architectures, score_mismatches if scores is not None else ())
        estimates = self._estimates(table, scale, with_proxies=scores is not None, with_curves=curves is not None)
        ranking_scores: Sequence[float | None] = [None] * len(architectures)
        ranks = self.ranks_only or self.depends_on_set(headline)
        if ranks and all(by_combiner[headline] is not None for by_combiner in estimates):
            ranking_scores = self._fitted[headline].ranking_scores(table).tolist()  # else combiners would be mixed
        return [
            self._prediction(
                headline,
                ranking_scores[i],
                estimates[i],
                float(scale[i]),
                self._lacking(table, i, headline, with_proxies=scores is not None, with_curves=curves is not None),
                warnings[i],
            )
            for i in range(len(architectures))
        ]

    def win_probability(self, architectures: Sequence[Architecture], predictions: Sequence[Prediction]) -> Array:
        """Compute the probability that one architecture is better than another, for all pairs.

        A pair is compared by the combiner of both predictions; if these differ, by `default_combiner`, or by the
        first combiner of an ensemble without. The probability of a pair therefore does not depend on any third
        architecture.

        Args:
            architectures: m architectures.
            predictions: the result of `predict` for them.

        Returns:
            Probabilities that the row's architecture is better than the column's, (m, m), ½ on the diagonal.

        Raises:
            InputError: the ensemble only ranks.
        """
        self._check_accuracies("win probabilities")
        strata = feature_table(self.space, architectures).strata
        scale = np.array([prediction.interval_scale for prediction in predictions])

        def win_probability(combiner: str, rows: Sequence[int]) -> Array:
            estimates = [predictions[i].combiners[combiner] for i in rows]
            accuracy = np.array([estimate.accuracy for estimate in estimates if estimate is not None], dtype=np.float64)
            residuals = self._fitted[combiner].residuals
            assert residuals is not None, "the ensemble predicts accuracies"
            return residuals.win_probability(accuracy, strata[rows], scale[rows])

        common = self.default_combiner or self.combiners[0]
        result = win_probability(common, range(len(predictions)))
        for name in {prediction.combiner for prediction in predictions}:
            rows = [i for i, prediction in enumerate(predictions) if prediction.combiner == name]
            result[np.ix_(rows, rows)] = win_probability(name, rows)
        return result

    def explain(
        self,
        architecture: Architecture,
        scores: Mapping[str, float | None] | None = None,
        combiner: str | None = None,
        curve: Curve | None = None,
    ) -> Explanation:
        """Attribute a prediction to parts of the architecture, to proxies, to sources and to the training curve.

        `default_combiner` is explained in place of a combiner that lacks scores or a curve, or has no additive
        contributions, or the first combiner with contributions that predicts from structure if it has none either.

        Args:
            architecture: an architecture of the ensemble's space.
            scores: its proxy scores by name; None to explain the prediction from structure alone.
            combiner: name of the combiner, by default as in `predict`.
            curve: curve of its training so far; None for none.

        Returns:
            The explanation, which names the explained combiner.

        Raises:
            UnknownNameError: the ensemble has no combiner of that name.
            CapabilityError: the space has no structural features.
            InputError: no combiner has contributions, or the ensemble only ranks.

        Example:
            >>> from ensemble import Ensemble
            >>> ensemble = Ensemble.load("ensemble/artifacts/gcn-nas-ntu")
            >>> layers = [["L", "ST"], ["L4", "S", "ST"], ["L4", "L3", "T"], ["L", "L4n", "L3", "L2", "ST"]]
            >>> architecture = ensemble.space.parse(layers)
            >>> explanation = ensemble.explain(architecture)
            >>> round(explanation.base_value, 3)
            0.942
            >>> for attribution in explanation.attributions[:2]:
            ...     print(attribution.feature_group, round(attribution.contribution, 4))
            4 layers -0.0068
            layers[3] (L, L4n, L3, L2, ST) 0.0017
        """
        space = require(self.space, EncodedSpace)
        score_rows = None if scores is None else [scores]
        curves = None if curve is None else [curve]
        self._check([architecture], score_rows, combiner, curves)
        self._check_accuracies("explanations")
        table = self._table([architecture], score_rows, curves)
        fitted = self._fitted[combiner or self._default(score_rows, curves)]
        columns = fitted.info.columns(table.names)
        if fitted.mean_contributions is None or np.isnan(table.select(columns)).any():
            additive = [other for other in self._structural if other.mean_contributions is not None]
            fitted = next(iter(additive), fitted)
            columns = fitted.info.columns(table.names)
        if fitted.mean_contributions is None:
            raise InputError("combiner", fitted.info.name, "a combiner with contributions, to explain a prediction")
        return explain_row(
            fitted.info.name,
            fitted.estimator,
            columns,
            table.select(columns),
            fitted.mean_contributions,
            space,
            architecture,
        )

    def as_source(self) -> Source:
        """Return what another task of the same space can learn from.

        Raises:
            InputError: no combiner predicts accuracies from structure alone.
        """
        for fitted in self._structural:
            if not fitted.info.needs_sources:
                return Source(self.name, self.space, replace(fitted, mean_contributions=None))
        raise InputError("source", self.name, "an ensemble with a combiner that predicts from structure alone")

    def suggest_mutations(self, architecture: Architecture) -> list[SuggestedMutation]:
        """Return the changes to a neighbor that raise the prediction from structure, best first.

        Args:
            architecture: an architecture of the ensemble's space.

        Raises:
            CapabilityError: the space has no neighbors or no structural features.
            InputError: the ensemble only ranks.
        """
        require(self.space, EncodedSpace)
        self._check_accuracies("suggested mutations")
        fitted = self._fitted[self.default_combiner or self.combiners[0]]

        def predict(architectures: Sequence[Architecture]) -> Array:
            return fitted.predict(self._table(architectures))

        return improving_mutations(self.space, architecture, predict)

    @property
    def _structural(self) -> list[FittedCombiner]:
        """Combiners that predict accuracies without proxy scores and curve, the default first."""
        names = sorted(self._fitted, key=lambda name: name != self.default_combiner)
        fitted = (self._fitted[name] for name in names)
        return [each for each in fitted if not (each.info.needs_proxies or each.info.needs_curve or each.ranks_only)]

    def _table(
        self,
        architectures: Sequence[Architecture],
        scores: Scores | None = None,
        curves: Sequence[Curve | None] | None = None,
    ) -> FeatureTable:
        from_sources = source_scores(self.sources, architectures)
        return feature_table(self.space, architectures, scores, self.proxies, from_sources, self.curve_features, curves)

    def _check_accuracies(self, wanted: str) -> None:
        if self.ranks_only:
            allowed = f"an ensemble of at least {MIN_ARCHITECTURES} trained architectures: this one only ranks"
            raise InputError("ensemble", self.name, f"{allowed}, without {wanted}")

    def _check(
        self,
        architectures: Sequence[Architecture],
        scores: Scores | None,
        combiner: str | None,
        curves: Sequence[Curve | None] | None,
    ) -> None:
        if combiner is not None and combiner not in self._fitted:
            raise UnknownNameError("combiner", combiner, self.combiners)
        for field, items in (("scores", scores), ("curves", curves)):
            if items is not None and len(items) != len(architectures):
                allowed = f"one for each of the {len(architectures)} architectures"
                raise InputError(field, f"{len(items)} items", allowed)
        if curves is not None and self.curve_features is None:
            allowed = f"none: {self.name} was fitted without training curves"
            raise InputError("curves", f"{len(curves)} items", allowed)

    def _default(self, scores: Scores | None, curves: Sequence[Curve | None] | None = None) -> str:
        if curves is not None:
            for name in (EARLY_CURVE,) if scores is None else (OMNI, EARLY_CURVE):
                if name in self._fitted:
                    return name
        default = self.default_combiner
        if default is not None and self._fitted[default].info.needs_sources:
            return default
        if scores is not None and DEFAULT in self._fitted:
            return DEFAULT
        return default or self.combiners[0]

    def _mismatches(
        self, table: FeatureTable, architectures: Sequence[Architecture], score_mismatches: Sequence[str]
    ) -> tuple[Array, list[list[str]]]:
        """Interval scales, (m,), and warnings of each architecture."""
        scale, warnings = np.ones(len(architectures)), []
        describe = self.space.describe_feature if isinstance(self.space, EncodedSpace) else str
        mismatches = self.reference_set.mismatches(table, describe)
        for i, (architecture, mismatch) in enumerate(zip(architectures, mismatches, strict=True)):
            warnings.append([*self.space.warnings(architecture), *mismatch.reasons, *score_mismatches])
            scale[i] = max(mismatch.interval_scale, MIN_INTERVAL_SCALE if warnings[i] else 1.0)
        if self.ranks_only:  # there is no interval to be widened
            scale[:] = 1.0
            warnings = [[ranking_note(self.manifest), *reasons] for reasons in warnings]
        return scale, warnings

    def _estimates(
        self, table: FeatureTable, scale: Array, *, with_proxies: bool, with_curves: bool
    ) -> list[dict[str, Estimate | None]]:
        """For each architecture, the estimate of every combiner; None for one that lacks scores or a curve."""
        estimates: list[dict[str, Estimate | None]] = [dict.fromkeys(self._fitted) for _ in scale]
        strata = table.strata
        for name, fitted in self._fitted.items():
            info = fitted.info
            if (info.needs_proxies and not with_proxies) or (info.needs_curve and not with_curves):
                continue
            if fitted.residuals is None:
                for by_combiner, percentile in zip(
                    estimates, fitted.percentiles(fitted.ranking_scores(table)).tolist(), strict=True
                ):
                    by_combiner[name] = Estimate(None, None, percentile)
                continue
            accuracy = fitted.predict(table)
            intervals = fitted.residuals.intervals(accuracy, strata, scale)
            columns = (accuracy, fitted.percentiles(accuracy), *intervals.T)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            for by_combiner, (value, percentile, low, high) in zip(estimates, rows, strict=True):
                if math.isfinite(value):
                    by_combiner[name] = Estimate(value, Interval(low, high), percentile)
        return estimates

    def _lacking(
        self, table: FeatureTable, row: int, headline: str, *, with_proxies: bool, with_curves: bool
    ) -> dict[str, str]:
        """Requested or necessary inputs that an architecture lacks, in words, by `scores` and `curves`."""
        info, values, lacking = self._fitted[headline].info, table.values[row], dict[str, str]()
        if with_proxies:
            missing = [proxy for proxy, is_nan in zip(self.proxies, np.isnan(values), strict=False) if is_nan]
            if missing:
                lacking["scores"] = f"scores of {', '.join(missing)}"
        elif info.needs_proxies:
            lacking["scores"] = "proxy scores"
        features = self.curve_features
        if features is not None and (with_curves or info.needs_curve):
            columns = list(table.columns.indices(table.columns.curve))
            if np.isnan(values[columns]).any():
                lacking["curves"] = features.description
        return lacking

    def _prediction(
        self,
        headline: str,
        ranking_score: float | None,
        estimates: dict[str, Estimate | None],
        scale: float,
        lacking: Mapping[str, str],
        warnings: list[str],
    ) -> Prediction:
        """Choose the estimate that is the prediction.

        `lacking` holds, by the name of an input, what the architecture lacks of it, in words.
        """
        combiner, estimate = headline, estimates[headline]
        if estimate is None:
            reason = " and ".join(lacking.values())
            fallbacks = (EARLY_CURVE, self.default_combiner)
            fallback = next((name for name in fallbacks if name is not None and estimates.get(name) is not None), None)
            if fallback is None:
                raise InputError(next(iter(lacking)), None, f"{reason}: {headline} does not predict without")
            warnings.append(f"{headline} cannot predict without {reason}: the prediction is from {fallback}")
            combiner, estimate = fallback, estimates[fallback]
        else:
            warnings += [f"no {reason}" for reason in lacking.values()]
        assert estimate is not None, "structural features are never missing"
        ranking_score = estimate.accuracy if ranking_score is None else ranking_score
        assert ranking_score is not None, "an estimate without accuracy has a ranking score"
        return Prediction(
            estimate.accuracy,
            estimate.interval,
            estimate.percentile,
            combiner,
            ranking_score,
            estimates,
            scale,
            warnings,
        )


def _embed(benchmark: Benchmark, ensembles: Sequence[Ensemble]) -> tuple[list[dict[str, Any]], list[Source]]:
    """Check ensembles as sources; returns their entries in the manifest, and the sources."""
    entries, sources = list[dict[str, Any]](), list[Source]()
    for i, ensemble in enumerate(ensembles):
        field = f"sources[{i}]"
        check_source(field, ensemble.manifest, [source.name for source in sources], benchmark)
        try:
            source = ensemble.as_source()
        except InputError as error:
            raise error.renamed(field, InputError) from error
        sources.append(source)
        entries.append(source_entry(source, ensemble.manifest))
    return entries, sources


def _check_features(folder: str | Path, manifest: Mapping[str, Any], space: SearchSpace[Any], columns: Columns) -> None:
    """Check that the features of this version are those that an artifact was fitted on."""
    fitted, current = manifest.get("feature_version", FIRST_FEATURE_VERSION), feature_version(space)
    if fitted != current:
        versions = f"version {fitted} of the features of {space.name}; this version computes {current}"
        raise ArtifactError(f"{folder}: it was fitted on {versions}: fit it again")
    if tuple(manifest["columns"]) != columns.names:
        raise ArtifactError(f"{folder}: it was fitted on other features than this version computes: fit it again")


def _stored_batch(manifest: Mapping[str, Any], space: SearchSpace[Any], state: State) -> ProbeBatch | None:
    if manifest["batch"] is None:
        return None
    task = require(space, BuildableSpace).task
    spec = task.batch_spec(**manifest["batch"])
    batch = ProbeBatch.from_arrays(state.arrays, f"{spec.source}, seed {spec.seed}", task.sample_axis)
    if batch.fingerprint != manifest["batch_fingerprint"]:
        raise ValueError("the probe batch has another fingerprint than the manifest states")
    return batch
