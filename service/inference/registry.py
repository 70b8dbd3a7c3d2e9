"""Loaded ensembles, and the device on which networks run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from ensemble import Ensemble, Explanation, Prediction, SuggestedMutation
from models import Architecture, CapabilityError, InputError, SearchSpace, UnknownNameError, get_space, space_names
from proxies import Score, proxy_names, proxy_versions
from proxies.runner import DEFAULT_REPEATS
from service.inference.cache import PredictionKey
from service.inference.scoring_context import ScoringContext, ScoringContexts
from service.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedEnsemble:
    """A loaded ensemble.

    Attributes:
        name: name of its folder.
        ensemble: the ensemble.
        context: conditions of the scores that it was fitted on.
    """

    name: str
    ensemble: Ensemble
    context: ScoringContext

    @property
    def manifest(self) -> dict[str, Any]:
        """Provenance of the ensemble, as JSON data."""
        return self.ensemble.manifest

    @property
    def space(self) -> SearchSpace[Any]:
        """Search space of its architectures."""
        return self.context.space

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest, which in turn holds the hashes of all parts of the artifact."""
        return str(self.manifest["manifest_sha256"])

    @property
    def proxies(self) -> list[str]:
        """Names of the proxies that the ensemble uses."""
        return list(self.manifest["proxies"])

    @property
    def combiners(self) -> list[str]:
        """Names of its combiners."""
        return list(self.ensemble.combiners)

    def check_combiner(self, name: str | None) -> None:
        """Raise `UnknownNameError` unless the name is None or that of a combiner."""
        if name is not None and name not in self.combiners:
            raise UnknownNameError("combiner", name, self.combiners)

    def predict(
        self,
        scores: Mapping[Architecture, Mapping[str, Score]],
        combiner: str | None,
        context: ScoringContext,
    ) -> dict[Architecture, Prediction]:
        """Predict architectures from their structure and scores.

        Args:
            scores: scores by architecture and proxy.
            combiner: name of the combiner; None for the ensemble's default.
            context: conditions of the scores.

        Returns:
            The predictions by architecture.
        """
        features = [_features(by_proxy) for by_proxy in scores.values()]
        predictions = self.ensemble.predict(
            list(scores), features if any(features) else None, combiner, self._mismatches(context)
        )
        return dict(zip(scores, predictions, strict=True))

    def prediction_key(
        self, architecture: Architecture, scores: Mapping[str, Score], combiner: str | None, context: ScoringContext
    ) -> PredictionKey:
        """Return the cache key of the prediction that `predict` makes of the same arguments."""
        features = tuple(_features(scores).items())
        return PredictionKey(self.ensemble, combiner, context.seed, architecture, features)

    def explain(
        self, architecture: Architecture, scores: Mapping[str, Score], combiner: str | None
    ) -> tuple[Explanation, list[SuggestedMutation] | None]:
        """Explain the prediction of an architecture.

        Returns:
            The explanation, and the mutations that raise the prediction; None in a space without neighbors.

        Raises:
            CapabilityError: the space has no structural features.
            InputError: no combiner that could be explained has contributions.
        """
        explanation = self.ensemble.explain(architecture, _features(scores) or None, combiner)
        try:
            return explanation, self.ensemble.suggest_mutations(architecture)
        except CapabilityError:
            return explanation, None

    def _mismatches(self, context: ScoringContext) -> list[str]:
        """Differences between the context and that of the ensemble's training, as sentences."""
        versions = proxy_versions(proxy_names())
        changed = [name for name, version in self.manifest["proxies"].items() if versions.get(name) != version]
        mismatches = [f"proxy {name} has changed since the ensemble was fitted" for name in changed]
        if context.seed != self.context.seed:
            mismatches.append(
                f"the ensemble was fitted on scores of seed {self.context.seed}, these are of seed {context.seed}"
            )
        return mismatches


@dataclass(frozen=True)
class EnsembleRegistry:
    """Loaded ensembles by name.

    Attributes:
        ensembles: the ensembles; none are needed for scores.
        default: name of the ensemble of requests that name none.
        device: device on which networks run.
    """

    ensembles: Mapping[str, LoadedEnsemble]
    default: str
    device: torch.device

    @classmethod
    def load(cls, settings: Settings) -> "EnsembleRegistry":
        """Load every ensemble of the settings' folder.

        An ensemble whose search space is not installed is left out with a warning.

        Raises:
            InputError: the device does not exist, or the default ensemble is not in the folder.
            ArtifactError: an ensemble is broken.
        """
        device = find_device(settings.device)
        folder = settings.ensembles_dir
        ensembles = {}
        for path in sorted(folder.glob("[!.]*/manifest.json")):
            name = path.parent.name
            try:
                ensembles[name] = _load(name, Ensemble.load(path.parent), device)
            except UnknownNameError as error:
                if name == settings.default_ensemble:
                    raise
                log.warning("ensemble %s is left out: %s", name, error)
        if not ensembles:
            log.warning("%s holds no ensemble: scores are available, predictions are not", folder)
        elif settings.default_ensemble not in ensembles:
            raise UnknownNameError("default_ensemble", settings.default_ensemble, list(ensembles))
        return cls(ensembles, settings.default_ensemble, device)

    def get(self, name: str | None = None) -> LoadedEnsemble:
        """Return an ensemble, by default the default one. Raises `UnknownNameError`."""
        name = self.default if name is None else name
        if name not in self.ensembles:
            raise UnknownNameError("ensemble", name, list(self.ensembles) or ["(none is installed)"])
        return self.ensembles[name]

    @property
    def default_space(self) -> str:
        """Name of the default ensemble's search space; without ensembles that of the first space."""
        default = self.ensembles.get(self.default)
        return space_names()[0] if default is None else default.space.name

    def of_space(self, space: str, settings: Mapping[str, Any] | None = None) -> list[LoadedEnsemble]:
        """Return the ensembles of a search space: the default one, those of the space's default settings, all others.

        Args:
            space: name of the space.
            settings: settings that the ensembles have; None for any.

        Raises:
            UnknownNameError: there is no such space.
            InputError: the space does not take a setting.
        """
        defaults, wanted = get_space(space).settings, {}
        if settings:
            complete = get_space(space, **settings).settings  # in the form that ensembles have them
            wanted = {name: complete[name] for name in settings}
        fitting = (
            each
            for each in self.ensembles.values()
            if each.space.name == space and wanted.items() <= each.space.settings.items()
        )
        return sorted(fitting, key=lambda each: (each.name != self.default, each.space.settings != defaults))

    @cached_property
    def contexts(self) -> ScoringContexts:
        """Contexts of scores that belong to no ensemble."""
        return ScoringContexts(self.device)


def find_device(name: str) -> torch.device:
    """Return the device meant by `auto`, `cpu` or `cuda`. Raises `InputError`."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError("device", name, "one of auto, cpu, cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device", name, "cpu or auto: this PyTorch sees no GPU")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def _features(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {name: score.feature for name, score in scores.items()}


def _load(name: str, ensemble: Ensemble, device: torch.device) -> LoadedEnsemble:
    manifest = ensemble.manifest
    context = ScoringContext(ensemble.space, ensemble.batch, device)
    if ensemble.batch is None:  # fitted without proxies
        context = ScoringContexts(device).get(ensemble.space)
    seed, repeats = manifest["proxy_seed"] or 0, manifest.get("proxy_repeats") or DEFAULT_REPEATS
    return LoadedEnsemble(name, ensemble, replace(context, seed=seed, repeats=repeats))
