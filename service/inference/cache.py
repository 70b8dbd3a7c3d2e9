"""In-memory caches of scores and predictions."""

import math
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from cachetools import LRUCache

from ensemble import Ensemble, Prediction
from models import Architecture
from proxies import Score
from service.storage.score_key import ScoreKey

K = TypeVar("K")
V = TypeVar("V")
SCORES_PER_PREDICTION = 8


class Cache(Generic[K, V]):
    """Thread-safe least-recently-used cache with bulk access.

    Args:
        size: maximum number of entries; 0 disables the cache.
    """

    def __init__(self, size: int) -> None:
        self._entries: LRUCache[K, V] = LRUCache(size)
        self._lock = Lock()

    def get(self, keys: Iterable[K]) -> dict[K, V]:
        """Return the cached entries among these keys."""
        with self._lock:
            return {key: self._entries[key] for key in keys if key in self._entries}

    def put(self, entries: Mapping[K, V]) -> None:
        """Add the entries; the least recently used ones are evicted."""
        if self._entries.maxsize:
            with self._lock:
                self._entries.update(entries)


class PredictionKey(NamedTuple):
    """Everything that an ensemble's prediction of an architecture depends on.

    Attributes:
        ensemble: the ensemble itself, which is immutable and compared by identity.
        combiner: name of the requested combiner; None for the ensemble's default.
        seed: seed of the scores: one that the ensemble was not fitted on widens the intervals.
        architecture: the architecture.
        features: feature by proxy.
    """

    ensemble: Ensemble
    combiner: str | None
    seed: int
    architecture: Architecture
    features: tuple[tuple[str, float | None], ...]


class ResultCache:
    """Scores and predictions of earlier requests.

    Args:
        size: maximum number of scores, of about half a kilobyte each. A prediction takes twelve times as much and
            belongs to several scores, so fewer of them are kept.
    """

    def __init__(self, size: int) -> None:
        self.scores: Cache[ScoreKey, Score] = Cache(size)
        self.predictions: Cache[PredictionKey, Prediction] = Cache(math.ceil(size / SCORES_PER_PREDICTION))


NO_CACHE = ResultCache(0)
