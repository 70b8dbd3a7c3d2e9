"""What the service has loaded: the device, and the ensembles with the space and the batch that each was fitted on."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ensemble import Ensemble, Explanation, Prediction, SuggestedMutation
from models import Architecture, InputError, SearchSpace, UnknownNameError, get_space, space_names
from models.base import Shape
from models.batches import BatchSpec, ProbeBatch
from proxies import Score, proxy_versions
from proxies.runner import DEFAULT_REPEATS
from service.api.cards import EnsembleCard, HeldOutPredictions, ReferenceSet
from service.api.documents import ensemble_card
from service.inference.cache import PredictionKey
from service.settings import Settings
from service.storage.score_key import ScoreKey

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """What a network is measured with.

    Attributes:
        space: the search space.
        batch: the probe batch, on the device.
        device: where networks run.
        seed: of the initial weights and of the draws.
        repeats: number of random draws that zen averages.
    """

    space: SearchSpace[Architecture]
    batch: ProbeBatch
    device: torch.device
    seed: int = 0
    repeats: int = DEFAULT_REPEATS

    @classmethod
    def of(cls, space: SearchSpace[Architecture], batch: ProbeBatch, device: torch.device, **drawn: int) -> "Probe":
        """The probe; a batch on the CPU stays there, until a backend brings it to its device."""
        return cls(space, batch, device, **drawn)

    @property
    def shape(self) -> Shape:
        """Of the batch, (N, C, T, V, M)."""
        batch_size, coordinates, frames, joints, num_persons = self.batch.x.shape
        return (batch_size, coordinates, frames, joints, num_persons)

    def keys(self, arch: Architecture, proxies: Mapping[str, str]) -> dict[str, ScoreKey]:
        """By proxy, under which its score of the architecture is kept. `proxies`: their versions by name."""
        batch, drawn, where = self.batch.fingerprint, (self.seed, self.repeats), self._where
        return {
            name: ScoreKey(self._space, arch.fingerprint, batch, *drawn, name, version, *where)
            for name, version in proxies.items()
        }

    @cached_property
    def _space(self) -> str:
        """The space with its settings: what makes networks of one fingerprint the same."""
        return json.dumps({"name": self.space.name, **self.space.settings}, sort_keys=True)

    @cached_property
    def _where(self) -> tuple[str, str]:
        return self.device.type, str(self.batch.x.dtype).removeprefix("torch.")


@dataclass(frozen=True)
class LoadedEnsemble:
    """A loaded ensemble and its probe."""

    name: str
    ensemble: Ensemble
    probe: Probe

    @property
    def manifest(self) -> dict[str, Any]:
        """How the ensemble was fitted, as plain JSON."""
        return self.ensemble.manifest

    @property
    def hash(self) -> str:
        """SHA-256 of the artifact: of its manifest, which states those of all parts."""
        return str(self.manifest["manifest_sha256"])

    @cached_property
    def card(self) -> EnsembleCard:
        """What the ensemble was fitted on, how good it is, and what it is not good for."""
        return ensemble_card(self.manifest)

    @cached_property
    def reference_set(self) -> ReferenceSet:
        """The reference set that its percentiles refer to."""
        held_out = {
            name: HeldOutPredictions(accuracy=accuracy.tolist(), layers=depths.astype(int).tolist())
            for name, (accuracy, depths) in self.ensemble.held_out_predictions.items()
        }
        proxies = {name: row.tolist() for name, row in self.ensemble.reference_set.proxy_quantiles.items()}
        return ReferenceSet(size=self.card.benchmark["size"], combiners=held_out, proxies=proxies)

    @property
    def proxies(self) -> list[str]:
        """Names of the proxies that the ensemble uses."""
        return list(self.manifest["proxies"])

    @property
    def combiners(self) -> list[str]:
        """Names of the combiners that can be asked for."""
        return list(self.ensemble.combiners)

    def combiner(self, name: str | None) -> str | None:
        """The name itself. Raises `UnknownNameError`."""
        if name is not None and name not in self.combiners:
            raise UnknownNameError("combiner", name, self.combiners)
        return name

    def predict(
        self, scores: Mapping[Architecture, Mapping[str, Score]], combiner: str | None, probe: Probe
    ) -> dict[Architecture, Prediction]:
        """What the ensemble says of each architecture, from its structure and the scores that the probe gave."""
        features = [_features(given) for given in scores.values()]
        given = features if any(features) else None
        said = self.ensemble.predict(list(scores), given, combiner, self._unlike(probe))
        return dict(zip(scores, said, strict=True))

    def key(self, arch: Architecture, scores: Mapping[str, Score], combiner: str | None, probe: Probe) -> PredictionKey:
        """Under which the prediction that `predict` makes of the same is kept."""
        return PredictionKey(self.ensemble, combiner, probe.seed, arch.fingerprint, tuple(_features(scores).items()))

    def explained(
        self, arch: Architecture, scores: Mapping[str, Score], combiner: str | None
    ) -> tuple[Explanation, list[SuggestedMutation]]:
        """The explanation of the prediction that `predict` makes of the same, and the edits that raise it."""
        return self.ensemble.explain(arch, _features(scores) or None, combiner), self.ensemble.suggest_mutations(arch)

    def _unlike(self, probe: Probe) -> list[str]:
        """In which ways the probe's scores may differ from those that the ensemble was fitted on."""
        versions = proxy_versions()
        changed = [name for name, version in self.manifest["proxies"].items() if versions.get(name) != version]
        reasons = [f"proxy {name} has changed since the ensemble was fitted" for name in changed]
        if probe.seed != self.probe.seed:
            reasons.append(
                f"the ensemble was fitted on scores of seed {self.probe.seed}, these are of seed {probe.seed}"
            )
        return reasons


@dataclass(frozen=True)
class EnsembleRegistry:
    """Everything that a request may name. Holds no other state, so threads may share it."""

    models: Mapping[str, LoadedEnsemble]
    default: str
    device: torch.device

    @classmethod
    def load(cls, settings: Settings) -> "EnsembleRegistry":
        """Load every ensemble of the folder.

        Raises:
            InputError: the device is not there, or the default ensemble is not among the ensembles.
            ArtifactError: an ensemble is broken.
        """
        device = find_device(settings.device)
        folder = settings.ensembles_dir
        models = {
            path.parent.name: _load(path.parent.name, Ensemble.load(path.parent), device)
            for path in sorted(folder.glob("[!.]*/manifest.json"))
        }
        if not models:
            log.warning("%s holds no ensemble: scores can be had, predictions cannot", folder)
        elif settings.default_ensemble not in models:
            raise UnknownNameError("default_ensemble", settings.default_ensemble, list(models))
        return cls(models, settings.default_ensemble, device)

    def model(self, name: str | None = None) -> LoadedEnsemble:
        """The ensemble of that name, the default one for None. Raises `UnknownNameError`."""
        name = self.default if name is None else name
        if name not in self.models:
            raise UnknownNameError("ensemble", name, list(self.models) or ["(none is installed)"])
        return self.models[name]

    @cached_property
    def probe(self) -> Probe:
        """What scores are computed with where no ensemble is asked for: the default ensemble's probe."""
        if self.default in self.models:
            return self.models[self.default].probe
        space = get_space(space_names()[0])
        return Probe.of(space, BatchSpec().make(space), self.device)


def _features(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {name: score.feature for name, score in scores.items()}


def find_device(wanted: str) -> torch.device:
    """The device meant by `auto`, `cpu` or `cuda`. Raises `InputError`."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise InputError("device", wanted, "one of auto, cpu, cuda")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise InputError("device", wanted, "cpu or auto: this PyTorch sees no GPU")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def _load(name: str, ensemble: Ensemble, device: torch.device) -> LoadedEnsemble:
    fitted = ensemble.manifest
    batch = ensemble.batch or BatchSpec().make(ensemble.space)  # one that uses no proxies has no batch
    drawn = {"seed": fitted["proxy_seed"] or 0, "repeats": fitted.get("proxy_repeats") or DEFAULT_REPEATS}
    return LoadedEnsemble(name, ensemble, Probe.of(ensemble.space, batch, device, **drawn))
