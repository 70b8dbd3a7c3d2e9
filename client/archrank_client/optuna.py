"""Sampler of Optuna that asks a study; needs `pip install archrank_client[optuna]`."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, TrialState

from archrank_client.errors import ArchrankError, InvalidRequestError
from archrank_client.payloads import canonical_json
from archrank_client.results import Failure
from archrank_client.study import Study
from archrank_client.study_schemas import StudyPrediction

Params = dict[str, Any]
ToArchitecture = Callable[[Params], Any]
logger = logging.getLogger(__name__)


class ArchrankSampler(BaseSampler):
    """Sampler that draws candidates by another sampler and returns the one that a study predicts to be best.

    After each trial it adds the trial to the study: the value; no value and an error if it failed or was pruned. While
    the server cannot be reached, parameters are the other sampler's own, a warning is logged, and observations are kept
    until a later trial. Processes that share an Optuna storage need different seeds.

    Args:
        study: study of the server. Its metric has the direction of the Optuna study.
        search_space: distributions of all parameters that an architecture can have, by name. A parameter outside, or
            one that is suggested with another range, is drawn by `inner`.
        to_architecture: returns the architecture of a trial's parameters as JSON; None for parameters that stand for
            none. Candidates have all parameters of `search_space`; a finished trial has those that it suggested.
        inner: sampler of the candidates; uniform if None.
        candidates: number of candidates.
        seed: seed of the default `inner`; None for an arbitrary one.
        wait: seconds that a prediction waits for a fit to all observations.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        study: Study,
        search_space: Mapping[str, BaseDistribution],
        to_architecture: ToArchitecture,
        *,
        inner: BaseSampler | None = None,
        candidates: int = 64,
        seed: int | None = None,
        wait: float = 10.0,
    ) -> None:
        if candidates < 1:
            raise ValueError(f"candidates: got {candidates}; allowed: 1 or more")
        if inner is not None and seed is not None:
            raise ValueError(f"seed: got {seed}; allowed: None, as the inner sampler has a seed of its own")
        self._study, self._search_space, self._to_architecture = study, dict(search_space), to_architecture
        self._inner = RandomSampler(seed) if inner is None else inner
        self._candidates, self._wait = candidates, wait
        self._keys: dict[int, str | None] = {}
        """Canonical JSON of the architectures of trials, by the trial's number."""
        self._unsent = deque[dict[str, Any]]()

    def reseed_rng(self) -> None:
        """Reseed the inner sampler."""
        self._inner.reseed_rng()

    def before_trial(self, study: OptunaStudy, trial: FrozenTrial) -> None:
        """Prepare the inner sampler.

        Raises:
            ValueError: the Optuna study has several objectives, or another direction than the metric of the study.
        """
        self._check_direction(study)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: OptunaStudy, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the search space."""
        return dict(self._search_space)

    def sample_relative(
        self, study: OptunaStudy, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Return the parameters of the candidate with the best prediction.

        Architectures of other trials are drawn again only where no candidate is new.
        """
        self._check_direction(study)
        if not search_space:
            return {}
        joint = {
            name: distribution
            for name, distribution in self._inner.infer_relative_search_space(study, trial).items()
            if search_space.get(name) == distribution
        }
        drawn = [self._candidate(study, trial, search_space, joint) for _ in range(self._candidates)]
        params, self._keys[trial.number] = self._best(drawn, self._taken(study, trial))
        return params

    def sample_independent(
        self, study: OptunaStudy, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the inner sampler's value of one parameter."""
        self._check_direction(study)
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: OptunaStudy, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Add the trial to the study. Trials that failed before they had an architecture are left out."""
        self._inner.after_trial(study, trial, state, values)
        architecture = self._architecture_of(trial, state)
        self._keys[trial.number] = _key(architecture)
        if architecture is not None:
            self._unsent.append(_observation(architecture, trial, state, values))
        self.flush()

    def flush(self) -> bool:
        """Send observations that could not be sent so far.

        Returns:
            True if none is left. One that the server refuses is logged and dropped; the trial remains with Optuna.
        """
        while self._unsent:
            observation = self._unsent.popleft()  # threads may flush at once
            try:
                self._study.observe_many([observation])
            except InvalidRequestError as error:
                logger.error("study %r refuses an observation: %s", self._study.name, error)
            except ArchrankError as error:
                self._unsent.appendleft(observation)
                logger.warning("%d observations wait for study %r: %s", len(self._unsent), self._study.name, error)
                return False
            except BaseException:
                self._unsent.appendleft(observation)
                raise
        return True

    def _check_direction(self, study: OptunaStudy) -> None:
        if len(study.directions) > 1:
            raise ValueError(f"study: got {len(study.directions)} objectives; allowed: one")
        direction, expected = study.direction.name.lower(), self._study.metric.direction
        if direction != expected:
            raise ValueError(f"direction: got {direction!r}; allowed: {expected!r}, as of study {self._study.name!r}")

    def _candidate(
        self,
        study: OptunaStudy,
        trial: FrozenTrial,
        search_space: Mapping[str, BaseDistribution],
        joint: dict[str, BaseDistribution],
    ) -> Params:
        """Return one draw of the inner sampler."""
        params = self._inner.sample_relative(study, trial, joint)
        for name, distribution in search_space.items():
            if name not in params:
                params[name] = self._inner.sample_independent(study, trial, name, distribution)
        return params

    def _best(self, drawn: Sequence[Params], taken: set[str | None]) -> tuple[Params, str | None]:
        """Return the best candidate and the canonical JSON of its architecture."""
        architectures = [self._architecture(params) for params in drawn]
        keys = [_key(architecture) for architecture in architectures]
        possible = [i for i, key in enumerate(keys) if key is not None]
        new = [i for i in possible if keys[i] not in taken] or possible
        try:
            predictions = self._study.predict([architectures[i] for i in new], wait=self._wait)
        except ArchrankError as error:
            logger.warning("no prediction of study %r, so the draw is random: %s", self._study.name, error)
            return drawn[0], keys[0]
        utilities = [(_utility(p), -i) for i, p in zip(new, predictions, strict=True) if isinstance(p, StudyPrediction)]
        if not utilities:
            reason = next((str(p.error) for p in predictions if isinstance(p, Failure)), "none is an architecture")
            logger.warning("study %r predicts no candidate, so the draw is random: %s", self._study.name, reason)
            return drawn[0], keys[0]
        best = -max(utilities)[1]
        return drawn[best], keys[best]

    def _taken(self, study: OptunaStudy, trial: FrozenTrial) -> set[str | None]:
        """Return the canonical JSON of the architectures of the study's other trials."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        for other in study.get_trials(deepcopy=False, states=states):
            if other.number not in self._keys:
                self._keys[other.number] = _key(self._architecture_of(other, other.state))
        return {key for number, key in self._keys.items() if number != trial.number}

    def _architecture(self, params: Params) -> Any:
        try:
            return self._to_architecture(dict(params))
        except LookupError:
            if self._search_space.keys() <= params.keys():
                raise
            return None  # another sampler fixes some of the parameters

    def _architecture_of(self, trial: FrozenTrial, state: TrialState) -> Any:
        try:
            return self._to_architecture(dict(trial.params))
        except LookupError:
            if state == TrialState.COMPLETE:
                raise
            return None  # it ended before all parameters were suggested


def _key(architecture: Any) -> str | None:
    return None if architecture is None else canonical_json(architecture)


def _observation(
    architecture: Any, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
) -> dict[str, Any]:
    observation: dict[str, Any] = {"architecture": architecture, "value": None}
    if state == TrialState.COMPLETE and values is not None:
        observation["value"] = values[0]
    else:
        observation["error"] = "pruned" if state == TrialState.PRUNED else "the trial failed"
    curve = [value for _, value in sorted(trial.intermediate_values.items())]
    if curve and all(map(isfinite, curve)):
        observation["curve"] = curve
    return observation


def _utility(prediction: StudyPrediction) -> tuple[float, float]:
    """Return the expected percentile, in which a failed training counts as the worst; the score breaks ties."""
    return prediction.percentile * (1 - (prediction.failure_probability or 0.0)), prediction.score
