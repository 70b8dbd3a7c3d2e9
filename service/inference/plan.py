"""Resolution of a query against the search spaces and the loaded ensembles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.errors import ArchrankError, InputError
from models import BuildableSpace, get_space, require, space_names
from proxies import proxy_names, proxy_versions
from service.inference.limits import SizeLimits
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
        query: the query, with the names of space and ensemble.
        context: conditions of the scores.
        proxies: versions by name of the proxies to compute.
        basis: ensemble and proxies that a job with this plan is bound to.
        ensemble: the ensemble that predicts; None if only scores are requested.
    """

    query: Query
    context: ScoringContext
    proxies: Mapping[str, str]
    basis: Basis
    ensemble: LoadedEnsemble | None = None

    @property
    def combiner(self) -> str | None:
        """Name of the requested combiner; None for the ensemble's default."""
        return self.query.combiner if isinstance(self.query, PredictionQuery) else None

    @property
    def explain(self) -> bool:
        """True to add explanations and suggested mutations."""
        return isinstance(self.query, PredictionQuery) and self.query.explain

    @classmethod
    def from_query(cls, query: Query, ensembles: EnsembleRegistry, limits: SizeLimits | None = None) -> "Plan":
        """Resolve a query. The first query of a context makes its probe batch.

        Args:
            query: the query.
            ensembles: the loaded ensembles.
            limits: limits on the size of a requested probe batch.

        Raises:
            InputError: a name is unknown, a value is not allowed, or the space lacks what the query needs.
        """
        if isinstance(query, PredictionQuery):
            return cls._resolve(query, _predicting_ensemble(query, ensembles), ensembles)
        space = query.space or ensembles.default_space
        if limits is not None and query.batch is not None:
            limits.check_batch(get_space(space, **(query.settings or {})), query.batch)
        fitting = ensembles.of_space(space, query.settings)
        return cls._resolve(replace(query, space=space), fitting[0] if fitting else None, ensembles)

    @classmethod
    def from_basis(cls, query: Query, basis: Basis, ensembles: EnsembleRegistry) -> "Plan":
        """Resolve the query of a job. Raises `BasisError` if its basis is no longer available."""
        ensemble = None if basis.ensemble is None else ensembles.ensembles.get(basis.ensemble)
        if ensemble is None and basis.ensemble is not None:
            raise BasisError(f"ensemble {basis.ensemble!r} is not installed")
        if ensemble is not None and ensemble.hash != basis.ensemble_hash:
            raise BasisError(f"ensemble {ensemble.name!r} has hash {ensemble.hash}, not {basis.ensemble_hash}")
        query = replace(query, space=query.space or space_names()[0])
        if query.space not in space_names():
            raise BasisError(f"search space {query.space!r} is not installed")
        bound, available = basis.proxies or {}, proxy_versions(proxy_names())
        changed = [name for name, version in bound.items() if available.get(name) != version]
        if changed:
            raise BasisError(f"other versions are installed of the proxies {', '.join(changed)}")
        return cls._resolve(replace(query, proxies=list(bound)), ensemble, ensembles)

    @classmethod
    def _resolve(cls, query: Query, ensemble: LoadedEnsemble | None, ensembles: EnsembleRegistry) -> "Plan":
        """Resolve a query, given its ensemble, or its space if there is none."""
        if ensemble is None:
            context = ensembles.contexts.get(get_space(str(query.space), **(query.settings or {})))
            name, hash_ = None, None
        else:
            context, name, hash_ = ensemble.context, ensemble.name, ensemble.hash
        used = query.proxies
        if isinstance(query, ScoreQuery):
            if query.batch is not None:
                context = ensembles.contexts.with_batch(context, query.batch)
        elif ensemble is not None:
            ensemble.check_combiner(query.combiner)
            used = ensemble.proxies if used is None else used
        proxies = proxy_versions(used)
        if proxies:
            require(context.space, BuildableSpace)
        context = context if query.seed is None else replace(context, seed=query.seed)
        predicts = isinstance(query, PredictionQuery)
        return cls(query, context, proxies, Basis(name, hash_, proxies), ensemble if predicts else None)


def with_space(query: Query, architectures: Sequence[Any], ensembles: EnsembleRegistry) -> Query:
    """Return the query with the space of its architectures: the first installed one, for predictions with an ensemble.

    A query that names a space or an ensemble is returned as it is.
    """
    predicts = isinstance(query, PredictionQuery)
    if query.space is not None or (isinstance(query, PredictionQuery) and query.ensemble is not None):
        return query
    named = (data.get("space") for data in architectures if isinstance(data, Mapping))
    installed = [name for name in dict.fromkeys(filter(_is_text, named)) if name in space_names()]
    predictable = [name for name in installed if predicts and ensembles.of_space(name)]
    return replace(query, space=next(iter(predictable or installed), None))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _predicting_ensemble(query: PredictionQuery, ensembles: EnsembleRegistry) -> LoadedEnsemble:
    """Return the named ensemble, or the first one of the query's space and settings.

    Raises:
        InputError: there is none, or the named one is of another space or has other settings.
    """
    named = None
    if query.ensemble is not None or not ensembles.ensembles:
        named = ensembles.get(query.ensemble)
        if query.space not in (None, named.space.name):
            raise InputError("space", query.space, f"{named.space.name!r}, the space of ensemble {named.name!r}")
    space = query.space or (ensembles.default_space if named is None else named.space.name)
    fitting = [each for each in ensembles.of_space(space, query.settings) if named in (None, each)]
    if fitting:
        return fitting[0]
    of_space = ensembles.of_space(space) if named is None else [named]
    if of_space:
        allowed = "; ".join(f"{each.name}: {json.dumps(each.space.settings)}" for each in of_space)
        raise InputError("settings", query.settings, f"those of an ensemble, {allowed}")
    spaces = dict.fromkeys(each.space.name for each in ensembles.ensembles.values())
    raise InputError("space", space, f"one with an ensemble: {', '.join(spaces)}")
