"""A fitted ensemble: all combiners of one benchmark, and the population that they learned from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import check_seed
from common.version import archrank_version
from ensemble.artifact import load_artifact, save_artifact
from ensemble.calibration.applicability import FAR, Population
from ensemble.card import card
from ensemble.combiners import DEFAULT, STRUCTURE, State, get_combiner
from ensemble.data.benchmark import Benchmark
from ensemble.data.features import FeatureTable, feature_names, feature_table
from ensemble.data.scores import ScoreTable
from ensemble.errors import ArtifactError, BenchmarkError
from ensemble.evaluation.crossval import Progress, held_out_predictions
from ensemble.evaluation.evaluate import (
    BASELINES,
    benchmark_features,
    require_rows,
    structural_folds,
    summary,
    usable_combiners,
)
from ensemble.explanation import Edit, Explanation, explanation, single_edits
from ensemble.fitted_combiner import FittedCombiner
from models import Architecture, InputError, SearchSpace, UnknownNameError, get_space
from models.batches import BatchSpec, ProbeBatch

Array = NDArray[np.float64]
Scores = Sequence[Mapping[str, float | None]]


@dataclass(frozen=True)
class Answer:
    """What one combiner says: fractions, percent of the population that is predicted worse, and an interval that holds
    the accuracy with a probability of 90 %."""

    accuracy: float
    percentile: float
    low: float
    high: float


@dataclass(frozen=True)
class Prediction(Answer):
    """What an ensemble says about one architecture.

    Attributes:
        combiner: which combiner the answer is from.
        order: what to rank a set by, larger is better: the accuracy; of a combiner that compares a set's architectures
            with each other, contests won inside the set.
        combiners: every combiner's answer; None for one that cannot tell without the proxies.
        stretch: 1 for an architecture and scores like the population's; else how many times as wide the interval is at
            least.
        warnings: what should make one trust the prediction less.
    """

    combiner: str
    order: float
    combiners: dict[str, Answer | None]
    stretch: float
    warnings: list[str] = field(default_factory=list)


class Ensemble:
    """Fitted combiners. `fit` or `load` one, then `predict`; it does not change, so threads may share it.

    Attributes:
        name: what users call it.
        space: the search space whose architectures it knows.
        proxies: names of the proxies that it was fitted with, which `predict` takes scores of.
        manifest: where it comes from, as plain data: space, batch, seed, proxy versions, benchmark, metrics.
        batch: the probe batch that its scores were computed with; None for one without scores of ours.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        space: SearchSpace[Architecture],
        members: Mapping[str, FittedCombiner],
        population: Population,
        batch: ProbeBatch | None = None,
    ) -> None:
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.space = space
        self.proxies: tuple[str, ...] = tuple(manifest["proxies"])
        self.batch = batch
        self._members = dict(members)
        self._population = population

    @property
    def combiners(self) -> tuple[str, ...]:
        """Names of the combiners that it holds."""
        return tuple(self._members)

    def depends_on_set(self, combiner: str | None) -> bool:
        """True where the `order` of its predictions depends on what else is predicted in the same call.

        Nothing else of a prediction does, to the last bit. None stands for the ensemble's own choice.
        """
        names = [combiner] if combiner is not None else [DEFAULT, STRUCTURE]
        return any(self._members[name].info.depends_on_set for name in names if name in self._members)

    @property
    def held_out(self) -> dict[str, tuple[Array, Array]]:
        """By combiner, its predictions for the reference population, increasing, each made without that architecture's
        fold, and the numbers of layers of those that they are for."""
        return {name: (member.held_out, member.depths) for name, member in self._members.items()}

    @property
    def quantiles(self) -> dict[str, Array]:
        """By proxy, the quantiles of its scores over the reference population, (101,), from 0 to 100 %: of logarithms
        for a proxy whose scores are used as logarithms."""
        return self._population.proxies

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
        metrics: Mapping[str, Any] | None = None,
        jobs: int = 2,
        progress: Progress | None = None,
    ) -> "Ensemble":
        """Fit every combiner on a whole benchmark.

        Args:
            benchmark: the trained architectures.
            scores: our proxy scores of them; without, only combiners that need none are fitted.
            name: what to call it; the benchmark's name if not given.
            seed: of the combiners and of the folds.
            folds: folds of the cross-validation that goes before, for percentiles and metrics.
            combiners: names of those to fit, all if not given; `structure` is always among them.
            metrics: results of `evaluate`, to keep in the manifest in place of those of this one cross-validation.
            jobs: worker processes for the held-out predictions.
            progress: called after each fold.
        """
        check_seed(seed)
        require_rows(benchmark)
        scores = scores.without_silent(benchmark) if scores is not None else None
        header = scores.header if scores is not None else {}
        batch = _batch(header, benchmark.space)  # before the minutes of fitting: it may be refused
        names = combiners if combiners is None or STRUCTURE in combiners else [*combiners, STRUCTURE]
        infos = usable_combiners(scores, names)
        table, y = benchmark_features(benchmark, scores), benchmark.accuracy
        splits = structural_folds(table, y, folds, seed)
        held_out = held_out_predictions([*BASELINES, *infos], table, y, [splits], seed, jobs, progress)
        measured = summary(held_out, benchmark) | {"method": {"repeats": 1, "folds": folds, "seed": seed}}
        manifest = {
            "name": name or benchmark.name,
            "space": benchmark.space.name,
            "settings": benchmark.space.settings,
            "proxies": header.get("proxies", {}),
            "batch": header.get("batch"),
            "batch_fingerprint": header.get("batch_fingerprint"),
            "proxy_seed": header.get("seed"),
            "proxy_repeats": header.get("repeats"),
            "seed": seed,
            "benchmark": benchmark.summary,
            "combiners": [info.name for info in infos],
            "columns": list(table.names),
            "created_by": f"archrank {archrank_version()}",
            "metrics": dict(metrics or measured),
        }
        members = {
            info.name: FittedCombiner.fit(info, table, y, held_out[info.name].accuracy[0], seed) for info in infos
        }
        return cls(manifest, benchmark.space, members, Population.of(table), batch)

    def save(self, folder: str | Path) -> None:
        """Write the ensemble as a folder, in one step; an artifact that was there is replaced."""
        parts = {name: member.get_state() for name, member in self._members.items()}
        parts["population"] = self._population.get_state()
        if self.batch is not None:
            parts["batch"] = State({"x": self.batch.x.cpu().numpy(), "y": self.batch.y.cpu().numpy()})
        save_artifact(Path(folder), self.manifest, State.merged(parts))

    @classmethod
    def load(cls, folder: str | Path) -> "Ensemble":
        """Read an ensemble. Raises `ArtifactError` unless it is exactly what was saved, in a format that is known."""
        manifest, state = load_artifact(Path(folder))
        try:
            space = get_space(manifest["space"], **manifest["settings"])
            columns = tuple(manifest["columns"])
            if columns != feature_names(space, tuple(manifest["proxies"])):
                raise ArtifactError(f"{folder}: it was fitted on other features than this version computes")
            members = {
                name: FittedCombiner.of_state(get_combiner(name), columns, manifest["seed"], state.part(name))
                for name in manifest["combiners"]
            }
            population = Population.of_state(state.part("population"), columns)
            ensemble = cls(manifest, space, members, population, _stored_batch(manifest, state.part("batch")))
            ensemble._rehearse()
        except ArtifactError:
            raise
        except Exception as error:  # of libraries, too: any part may be anything
            raise ArtifactError(f"{folder}: its parts do not make an ensemble ({error!r})") from error
        return ensemble

    def _rehearse(self) -> None:
        """Make the card, a prediction by every combiner and an explanation: what is loaded has to answer.

        Raises `ValueError` where a prediction is no fraction, and anything else where a part does not fit the others.
        """
        card(self.manifest)
        architecture, scores = self.space.largest, {name: row[50] for name, row in self.quantiles.items()}
        for given in (None, [scores]):
            (said,) = self.predict([architecture], given)
            for answer in (said, *said.combiners.values()):
                if answer is not None and not (0 <= answer.low <= answer.high <= 1 and 0 <= answer.accuracy <= 1):
                    raise ValueError(f"a prediction of {answer.accuracy} from {answer.low} to {answer.high}")
        self.explain(architecture)

    def predict(
        self,
        architectures: Sequence[Architecture],
        scores: Scores | None = None,
        combiner: str | None = None,
        unlike: Sequence[str] = (),
    ) -> list[Prediction]:
        """Predict many architectures.

        Args:
            architectures: architectures of the ensemble's space.
            scores: one mapping from proxy to score an architecture (None where it failed), computed as the manifest
                says; or None to predict from structure alone.
            combiner: which combiner the answer is from; by default `stacked` with scores, `structure` without. Where it
                cannot tell, `structure` answers, with a warning.
            unlike: in which ways the scores were computed otherwise than the manifest says: each is a warning, and
                makes the intervals wider.

        Raises:
            UnknownNameError: no combiner of that name is in the ensemble.
        """
        self._check(architectures, scores, combiner)
        if not architectures:
            return []
        headline = combiner or self._default(scores)
        table = feature_table(self.space, architectures, scores, self.proxies)
        stretch, warnings = self._unlike(table, architectures, unlike if scores is not None else ())
        answers = self._answers(table, stretch, with_proxies=scores is not None)
        orders: Sequence[float | None] = [None] * len(architectures)
        if self.depends_on_set(headline) and all(one[headline] is not None for one in answers):
            orders = self._members[headline].rank(table).tolist()  # else some are from another combiner
        return [
            self._prediction(
                headline,
                orders[i],
                answers[i],
                float(stretch[i]),
                self._missing(table, i) if scores is not None else None,
                warnings[i],
            )
            for i in range(len(architectures))
        ]

    def beats(self, architectures: Sequence[Architecture], predictions: Sequence[Prediction]) -> Array:
        """Probability that the row's architecture is better than the column's, (m, m), ½ on the diagonal.

        By the combiner of both predictions; where they are from two, by `structure`, which answers for all. So no third
        architecture changes it.
        """
        depths = feature_table(self.space, architectures).select(["depth"])[:, 0]
        stretch = np.array([one.stretch for one in predictions])

        def by(name: str, rows: Sequence[int]) -> Array:
            said = [predictions[i].combiners[name] for i in rows]
            accuracy = np.array([one.accuracy for one in said if one is not None])
            return self._members[name].errors.beats(accuracy, depths[rows], stretch[rows])

        result = by(STRUCTURE, range(len(predictions)))
        for name in {one.combiner for one in predictions}:
            rows = [i for i, one in enumerate(predictions) if one.combiner == name]
            result[np.ix_(rows, rows)] = by(name, rows)
        return result

    def explain(
        self, architecture: Architecture, scores: Mapping[str, float | None] | None = None, combiner: str | None = None
    ) -> Explanation:
        """What moved one prediction. The arguments are those of `predict`.

        By the combiner that answers, or by `structure` where that one has no contributions (it only orders) or lacks
        scores: the explanation names it.
        """
        given = None if scores is None else [scores]
        self._check([architecture], given, combiner)
        table = feature_table(self.space, [architecture], given, self.proxies)
        member = self._members[combiner or self._default(given)]
        columns = member.info.columns(table.names)
        if member.typical is None or np.isnan(table.select(columns)).any():
            member = self._members[STRUCTURE]
            columns = member.info.columns(table.names)
        assert member.typical is not None, "structure is additive"
        row = table.select(columns)
        return explanation(member.info.name, member.model, columns, row, member.typical, self.space, architecture)

    def edits(self, architecture: Architecture) -> list[Edit]:
        """The edits of one module that raise the prediction from structure, best first."""

        def predicted(architectures: Sequence[Architecture]) -> Array:
            return self._members[STRUCTURE].predict(feature_table(self.space, architectures, None, self.proxies))

        return single_edits(self.space, architecture, predicted)

    def _check(self, architectures: Sequence[Architecture], scores: Scores | None, combiner: str | None) -> None:
        if combiner is not None and combiner not in self._members:
            raise UnknownNameError("combiner", combiner, self.combiners)
        if scores is not None and len(scores) != len(architectures):
            raise InputError(
                "scores", f"{len(scores)} items", f"one for each of the {len(architectures)} architectures"
            )

    def _default(self, scores: Scores | None) -> str:
        return DEFAULT if scores is not None and DEFAULT in self._members else STRUCTURE

    def _unlike(
        self, table: FeatureTable, architectures: Sequence[Architecture], given: Sequence[str]
    ) -> tuple[Array, list[list[str]]]:
        """How far from the population each row is, (m,), and its warnings."""
        stretch, warnings = np.ones(len(architectures)), []
        for i, (arch, found) in enumerate(
            zip(architectures, self._population.unlike(table, self.space.meaning), strict=True)
        ):
            warnings.append([*self.space.warnings(arch), *found.reasons, *given])
            stretch[i] = max(found.stretch, FAR if warnings[i] else 1.0)
        return stretch, warnings

    def _answers(self, table: FeatureTable, stretch: Array, with_proxies: bool) -> list[dict[str, Answer | None]]:
        """By architecture, what every combiner says; None where it cannot tell."""
        answers: list[dict[str, Answer | None]] = [dict.fromkeys(self._members) for _ in stretch]
        depths = table.select(["depth"])[:, 0]
        for name, member in self._members.items():
            if member.info.needs_proxies and not with_proxies:
                continue
            accuracy = member.predict(table)
            columns = (accuracy, member.percentiles(accuracy), *member.errors.intervals(accuracy, depths, stretch).T)
            for answer, values in zip(answers, zip(*(column.tolist() for column in columns), strict=True), strict=True):
                if math.isfinite(values[0]):
                    answer[name] = Answer(*values)
        return answers

    def _missing(self, table: FeatureTable, row: int) -> list[str]:
        return [proxy for proxy, gap in zip(self.proxies, np.isnan(table.values[row]), strict=False) if gap]

    def _prediction(
        self,
        headline: str,
        order: float | None,
        answers: dict[str, Answer | None],
        stretch: float,
        missing: list[str] | None,
        warnings: list[str],
    ) -> Prediction:
        """`missing`: proxies that were asked for and have no score; None where none were asked for."""
        reason = "proxy scores" if missing is None else f"scores of {', '.join(missing)}"
        chosen, answer = headline, answers[headline]
        if answer is None:
            warnings.append(f"{headline} cannot tell without {reason}: the prediction is from {STRUCTURE}")
            chosen, answer = STRUCTURE, answers[STRUCTURE]
        elif missing:
            warnings.append(f"no {reason}")
        assert answer is not None, "structure has no missing columns"
        order = answer.accuracy if order is None else order
        return Prediction(
            answer.accuracy, answer.percentile, answer.low, answer.high, chosen, order, answers, stretch, warnings
        )


def _batch(header: Mapping[str, Any], space: SearchSpace[Architecture]) -> ProbeBatch | None:
    """The batch that a table of scores was computed with. Raises `BenchmarkError` where it is not the same any more."""
    if header.get("batch") is None:
        return None
    batch = BatchSpec(**header["batch"]).make(space)
    if batch.fingerprint != header["batch_fingerprint"]:
        raise BenchmarkError("scores, batch_fingerprint", header["batch_fingerprint"], f"{batch.fingerprint}, as now")
    return batch


def _stored_batch(manifest: Mapping[str, Any], state: State) -> ProbeBatch | None:
    if manifest["batch"] is None:
        return None
    x, y = (torch.from_numpy(state.arrays[name].copy()) for name in ("x", "y"))
    spec = BatchSpec(**manifest["batch"])
    batch = ProbeBatch(x, y, f"{spec.source}, seed {spec.seed}")
    if batch.fingerprint != manifest["batch_fingerprint"]:
        raise ValueError("the probe batch has another fingerprint than the manifest states")
    return batch
