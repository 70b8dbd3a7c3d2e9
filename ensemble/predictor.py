"""A fitted ensemble: all combiners of one benchmark, and the population that percentiles refer to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ensemble.artifact import load_artifact, save_artifact
from ensemble.benchmark import Benchmark
from ensemble.combiners import DEFAULT, STRUCTURE, Combiner, State, get_combiner
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.vote import MajorityVote
from ensemble.crossval import Progress, fit_combiner, held_out_predictions, predict_combiner
from ensemble.errors import ArtifactError, BenchmarkError
from ensemble.evaluate import benchmark_features, require_rows, usable_combiners
from ensemble.features import FeatureTable, as_number, feature_names, feature_table
from ensemble.folds import seeded_folds
from ensemble.scores import ScoreTable
from models import Architecture, ArchrankError, InputError, SearchSpace, UnknownNameError, get_space
from models.batches import BatchSpec, ProbeBatch
from models.version import archrank_version

Array = NDArray[np.float64]
Answer = dict[str, float] | None
Scores = Sequence[Mapping[str, float | None]]


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says about one architecture.

    Attributes:
        accuracy: predicted validation accuracy, a fraction from 0 to 1.
        percentile: share of the benchmark's architectures that are predicted to be worse, 0 … 100.
        combiner: which combiner the two are from.
        order: what to rank a set by, larger is better: the accuracy; for the vote, contests won inside the set.
        combiners: `{"accuracy", "percentile"}` by combiner; None for one that cannot tell without the proxies.
        warnings: what should make one trust the prediction less.
    """

    accuracy: float
    percentile: float
    combiner: str
    order: float
    combiners: dict[str, Answer]
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
        models: dict[str, Combiner],
        reference: dict[str, Array],
        batch: ProbeBatch | None = None,
    ) -> None:
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.space = space
        self.proxies: tuple[str, ...] = tuple(manifest["proxies"])
        self.batch = batch
        self._models = models
        self._reference = reference

    @property
    def combiners(self) -> tuple[str, ...]:
        """Names of the combiners that it holds."""
        return tuple(self._models)

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
            folds: folds of the held-out predictions that percentiles are taken among. Predictions for architectures
                that a combiner was fitted on spread wider than for new ones, so these would misplace new ones.
            combiners: names of those to fit, all if not given; `structure` is always among them.
            metrics: results of a cross-validation, to keep in the manifest.
            jobs: worker processes for the held-out predictions.
            progress: called after each fold.
        """
        require_rows(benchmark)
        scores = scores.without_silent(benchmark) if scores is not None else None
        header = scores.header if scores is not None else {}
        batch = _batch(header, benchmark.space)  # before the minutes of fitting: it may be refused
        names = combiners if combiners is None or STRUCTURE in combiners else [*combiners, STRUCTURE]
        infos = usable_combiners(scores, names)
        table, y = benchmark_features(benchmark, scores), benchmark.accuracy
        splits = seeded_folds(table.values, y, folds, seed)
        held_out = held_out_predictions(infos, table, y, [splits], seed, jobs, progress)
        manifest = {
            "name": name or benchmark.name,
            "space": benchmark.space.name,
            "settings": benchmark.space.settings,
            "proxies": header.get("proxies", {}),
            "batch": header.get("batch"),
            "batch_fingerprint": header.get("batch_fingerprint"),
            "proxy_seed": header.get("seed"),
            "proxy_draws": header.get("draws"),
            "seed": seed,
            "benchmark": {"name": benchmark.name, "data_hash": benchmark.data_hash, "architectures": len(benchmark)},
            "combiners": [info.name for info in infos],
            "columns": list(table.names),
            "created_by": f"archrank {archrank_version()}",
            "metrics": dict(metrics or {}),
        }
        models = {info.name: fit_combiner(info, table, y, seed) for info in infos}
        reference = {name: np.sort(rows[0][~np.isnan(rows[0])]) for name, rows in held_out.items()}
        return cls(manifest, benchmark.space, models, reference, batch)

    def save(self, folder: str | Path) -> None:
        """Write the ensemble as a folder, in one step; an artifact that was there is replaced."""
        states = State.merged({name: model.get_state() for name, model in self._models.items()})
        parts = {"reference": State(dict(self._reference))}
        if self.batch is not None:
            parts["batch"] = State({"x": self.batch.x.cpu().numpy(), "y": self.batch.y.cpu().numpy()})
        stored = State.merged(parts)
        save_artifact(Path(folder), self.manifest, State({**states.arrays, **stored.arrays}, states.blobs))

    @classmethod
    def load(cls, folder: str | Path) -> "Ensemble":
        """Read an ensemble. Raises `ArtifactError` unless it is exactly what was saved, in a format that is known."""
        manifest, state = load_artifact(Path(folder))
        try:
            space = get_space(manifest["space"], **manifest["settings"])
            columns = tuple(manifest["columns"])
            if columns != feature_names(space, tuple(manifest["proxies"])):
                raise ArtifactError(f"{folder}: it was fitted on other features than this version computes")
            models = {
                name: get_combiner(name).build(columns, manifest["seed"]).set_state(state.part(name))
                for name in manifest["combiners"]
            }
            reference = {name: state.part("reference").arrays[name] for name in models}
            batch = _stored_batch(manifest, state.part("batch"))
        except ArtifactError:
            raise
        except (ArchrankError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{folder}: its parts do not make an ensemble ({error!r})") from error
        return cls(manifest, space, models, reference, batch)

    def predict(
        self, architectures: Sequence[Architecture], scores: Scores | None = None, combiner: str | None = None
    ) -> list[Prediction]:
        """Predict many architectures.

        Args:
            architectures: architectures of the ensemble's space.
            scores: one mapping from proxy to score an architecture (None where it failed), computed as the manifest
                says; or None to predict from structure alone.
            combiner: which combiner `accuracy` and `percentile` are from; by default `stacked` with scores,
                `structure` without. Where it cannot tell, `structure` answers, with a warning.

        Raises:
            UnknownNameError: no combiner of that name is in the ensemble.
        """
        if combiner is not None and combiner not in self._models:
            raise UnknownNameError("combiner", combiner, self.combiners)
        if scores is not None and len(scores) != len(architectures):
            raise InputError(
                "scores", f"{len(scores)} items", f"one for each of the {len(architectures)} architectures"
            )
        if not architectures:
            return []
        headline = combiner or (DEFAULT if scores is not None and DEFAULT in self._models else STRUCTURE)
        table = feature_table(self.space, architectures, scores, self.proxies)
        accuracies = self._accuracies(table, with_proxies=scores is not None)
        percentiles = {name: self._percentiles(name, values) for name, values in accuracies.items()}
        contests = self.vote_ranks(scores) if headline == "vote" and scores is not None else None
        if contests is not None and np.isnan(accuracies["vote"]).any():
            contests = None  # some are from another combiner: only accuracies compare
        return [
            self._prediction(
                headline,
                None if contests is None else float(contests[i]),
                {name: _answer(values[i], percentiles[name][i]) for name, values in accuracies.items()},
                self._missing(table, i) if scores is not None else None,
                self.space.warnings(arch),
            )
            for i, arch in enumerate(architectures)
        ]

    def vote_ranks(self, scores: Scores) -> Array:
        """Copeland scores of the vote inside a set, shape (m,): how many of the others each beats, ties as half."""
        vote = self._models.get("vote")
        if not isinstance(vote, Calibrated) or not isinstance(vote.model_, MajorityVote):
            raise UnknownNameError("combiner", "vote", self.combiners)
        rows = [[as_number(row.get(proxy)) for proxy in self.proxies] for row in scores]
        return vote.model_.rank(np.array(rows))

    def _accuracies(self, table: FeatureTable, with_proxies: bool) -> dict[str, Array]:
        """By combiner, (m,); NaN where it cannot tell."""
        silent = np.full(len(table.values), np.nan)
        accuracies: dict[str, Array] = {}
        for name, model in self._models.items():
            info = get_combiner(name)
            can_tell = with_proxies or not info.needs_proxies
            accuracies[name] = np.clip(predict_combiner(info, model, table), 0, 1) if can_tell else silent
        return accuracies

    def _percentiles(self, name: str, accuracies: Array) -> Array:
        reference = self._reference[name]
        below, upto = (np.searchsorted(reference, accuracies, side=side) for side in ("left", "right"))
        return 50.0 * (below + upto) / max(len(reference), 1)

    def _missing(self, table: FeatureTable, row: int) -> list[str]:
        return [proxy for proxy, gap in zip(self.proxies, np.isnan(table.values[row]), strict=False) if gap]

    def _prediction(
        self,
        headline: str,
        contests: float | None,
        answers: dict[str, Answer],
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
        order = answer["accuracy"] if contests is None else contests
        return Prediction(answer["accuracy"], answer["percentile"], chosen, order, answers, warnings)


def _answer(accuracy: float, percentile: float) -> Answer:
    return {"accuracy": float(accuracy), "percentile": float(percentile)} if np.isfinite(accuracy) else None


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
