"""Resolution of a query against the loaded ensembles."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.errors import ArchrankError
from proxies import proxy_versions
from service.inference.queries import PredictionQuery, Query, ScoreQuery
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.inference.scoring_context import ScoringContext
from service.storage import Basis


class BasisError(ArchrankError):
    """The ensemble or the proxies that a job is bound to are no longer available."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the job cannot continue: {reason}; submit the remaining architectures as a new job")


@dataclass(frozen=True)
class Plan:
    """A query with all names resolved.

    Attributes:
        context: conditions of the scores.
        proxies: versions by name of the proxies to compute.
        basis: ensemble and proxies that a job with this plan is bound to.
        ensemble: the ensemble that predicts; None if only scores are requested.
        combiner: name of the requested combiner; None for the ensemble's default.
        explain: add explanations and suggested mutations.
    """

    context: ScoringContext
    proxies: Mapping[str, str]
    basis: Basis
    ensemble: LoadedEnsemble | None = None
    combiner: str | None = None
    explain: bool = False

    @classmethod
    def from_query(cls, query: Query, ensembles: EnsembleRegistry) -> "Plan":
        """Resolve a query. Raises `InputError` for an unknown name."""
        if isinstance(query, ScoreQuery):
            return cls._resolve(query, ensembles.ensembles.get(ensembles.default), ensembles)
        return cls._resolve(query, ensembles.get(query.ensemble), ensembles)

    @classmethod
    def from_basis(cls, query: Query, basis: Basis, ensembles: EnsembleRegistry) -> "Plan":
        """Resolve the query of a job. Raises `BasisError` if its basis is no longer available."""
        ensemble = None if basis.ensemble is None else ensembles.ensembles.get(basis.ensemble)
        if ensemble is None and (basis.ensemble is not None or ensembles.ensembles):
            missing = f"ensemble {basis.ensemble!r} is not installed"
            raise BasisError(missing if basis.ensemble else "it was created on a server without ensembles")
        if ensemble is not None and ensemble.hash != basis.ensemble_hash:
            raise BasisError(f"ensemble {ensemble.name!r} has hash {ensemble.hash}, not {basis.ensemble_hash}")
        bound, available = basis.proxies or {}, proxy_versions()
        changed = [name for name, version in bound.items() if available.get(name) != version]
        if changed:
            raise BasisError(f"other versions are installed of the proxies {', '.join(changed)}")
        return cls._resolve(replace(query, proxies=list(bound)), ensemble, ensembles)

    @classmethod
    def _resolve(cls, query: Query, ensemble: LoadedEnsemble | None, ensembles: EnsembleRegistry) -> "Plan":
        context = ensembles.default_context if ensemble is None else ensemble.context
        context = context if query.seed is None else replace(context, seed=query.seed)
        name, hash_ = (None, None) if ensemble is None else (ensemble.name, ensemble.hash)
        if ensemble is None or not isinstance(query, PredictionQuery):
            proxies = proxy_versions(query.proxies)
            return cls(context, proxies, Basis(name, hash_, proxies))
        proxies = proxy_versions(ensemble.proxies if query.proxies is None else query.proxies)
        ensemble.check_combiner(query.combiner)
        return cls(context, proxies, Basis(name, hash_, proxies), ensemble, query.combiner, query.explain)
