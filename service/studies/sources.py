"""Sources of studies: the loaded ensembles, with their latest scores in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from common.errors import InputError
from ensemble.source import Source
from models import Architecture
from service.inference.registry import EnsembleRegistry
from study import StudyDefinition

CACHE_SIZE = 2**14
"""Number of architectures whose scores a source keeps: all of a study, its reference set and its candidates."""


@dataclass(frozen=True)
class CachedSource(Source):
    """Source that keeps its latest scores, as each refit asks for those of nearly the same architectures. Thread-safe.

    A score does not depend on the architectures that are scored with it, to the last bit.
    """

    _cache: LRUCache[str, float] = field(default_factory=lambda: LRUCache(CACHE_SIZE), compare=False, repr=False)
    _lock: Lock = field(default_factory=Lock, compare=False, repr=False)

    def scores(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Score architectures as `Source.scores`."""
        with self._lock:
            cached = {arch: self._cache.get(arch.fingerprint) for arch in architectures}
        missing = [arch for arch, score in cached.items() if score is None]
        known = {arch: score for arch, score in cached.items() if score is not None}
        if missing:
            computed = dict(zip(missing, super().scores(missing).tolist(), strict=True))
            known |= computed
            with self._lock:
                self._cache.update({arch.fingerprint: score for arch, score in computed.items()})
        return np.array([known[arch] for arch in architectures], dtype=np.float64)


class LoadedSources:
    """The loaded ensembles as sources.

    Args:
        ensembles: the loaded ensembles.
    """

    def __init__(self, ensembles: EnsembleRegistry) -> None:
        self._by_name: dict[str, CachedSource] = {}
        self._errors: dict[str, InputError] = {}
        for name, loaded in ensembles.ensembles.items():
            try:
                source = loaded.ensemble.as_source()
            except InputError as error:
                self._errors[name] = error
            else:
                self._by_name[name] = CachedSource(name, source.space, source.fitted)

    def of_study(self, definition: StudyDefinition) -> tuple[list[Source], list[str]]:
        """Return the sources of a study that are loaded, and a note for each other one."""
        sources: list[Source] = []
        notes = []
        for name in definition.sources:
            source = self._by_name.get(name)
            if source is not None and source.space.name == definition.space:
                sources.append(source)
            elif name in self._errors:
                notes.append(f"source {name} cannot be used ({self._errors[name]}); predictions do without it")
            else:
                notes.append(f"source {name} is not loaded by the server; predictions do without it")
        return sources, notes
