"""What was computed before, for whoever asks again."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from ensemble import Ensemble, Prediction
from proxies import Score
from service.storage.score_key import ScoreKey

K = TypeVar("K")
V = TypeVar("V")
SCORES_PER_PREDICTION = 8


class Cache(Generic[K, V]):
    """Keeps the entries that were used last; threads may share it.

    Args:
        size: how many entries it holds at most; with 0 it keeps none.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, keys: Iterable[K]) -> dict[K, V]:
        """What it holds under these keys."""
        with self._lock:
            found = {key: self._entries[key] for key in keys if key in self._entries}
            for key in found:
                self._entries.move_to_end(key)
        return found

    def put(self, entries: Mapping[K, V]) -> None:
        """Keep the entries, in place of those that were not used for the longest time."""
        with self._lock:
            for key, value in entries.items():
                self._entries[key] = value
                self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


class PredictionKey(NamedTuple):
    """All that an ensemble's prediction for an architecture depends on.

    Attributes:
        ensemble: itself: an ensemble never changes, and two are never equal.
        combiner: as asked for; None for the ensemble's own choice.
        seed: of the scores, as one that the ensemble was not fitted on makes intervals wider.
        architecture: fingerprint.
        features: by proxy, what the ensemble is given.
    """

    ensemble: Ensemble
    combiner: str | None
    seed: int
    architecture: str
    features: tuple[tuple[str, float | None], ...]


class Memory:
    """The scores and the predictions of earlier requests.

    Args:
        size: how many scores at most, of about half a kilobyte each. A prediction takes a dozen times that, and goes
            with a score by each proxy, so fewer of them are kept.
    """

    def __init__(self, size: int) -> None:
        self.scores: Cache[ScoreKey, Score] = Cache(size)
        self.predictions: Cache[PredictionKey, Prediction] = Cache(math.ceil(size / SCORES_PER_PREDICTION))


NOTHING = Memory(0)
