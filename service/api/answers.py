"""Serialised answers to repeated requests for predictions, by the bytes of the request's body."""

from dataclasses import dataclass
from time import perf_counter

from cachetools import LRUCache
from fastapi import Response
from pydantic_core import to_json

from service.api.schemas import PredictionResponse
from service.inference.context import AppContext
from service.inference.registry import EnsembleRegistry
from service.inference.results import PredictedArchitecture, PredictionResult

MAX_ENTRY_BYTES = 2**15
"""Maximum size of an entry: larger ones would displace many small ones, and gain less."""
OBJECT_BYTES = 512
"""Approximate size of an entry besides its body and its answer."""


@dataclass(frozen=True)
class _Answer:
    """An answer, and the numbers that the metrics count.

    Attributes:
        head: the document up to its last field, `seconds`.
        ensembles: ensembles of the server that made it.
        requested: number of architectures.
        predictions: number of different architectures.
        scores: number of their scores.
    """

    head: bytes
    ensembles: EnsembleRegistry
    requested: int
    predictions: int
    scores: int


class AnswerCache:
    """Least-recently-used cache of answers. For one event loop.

    Once all predictions of a request are cached, its answers differ in `seconds` only. Explanations are left out, as a
    full queue refuses them.

    Args:
        max_bytes: maximum size of all entries; 0 disables the cache.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._answers: LRUCache[bytes, tuple[_Answer, int]] = LRUCache(max_bytes, lambda entry: entry[1])

    @property
    def size(self) -> int:
        """Size of all entries, in bytes."""
        return int(self._answers.currsize)

    def get(self, body: bytes, context: AppContext) -> Response | None:
        """Answer a request again, and count it in the metrics as before.

        Args:
            body: body of the request.
            context: resources of the request.

        Returns:
            The response; None if there is no answer to this body by these ensembles.
        """
        started = perf_counter()
        answer, _ = self._answers.get(body, (None, 0))
        if answer is None or answer.ensembles is not context.ensembles:
            return None
        metrics = context.metrics
        metrics.record_requested("predictions", "request", answer.requested)
        metrics.record_cache_requests("score", memory=answer.scores)
        metrics.record_cache_requests("prediction", memory=answer.predictions)
        metrics.record_completed("predictions", "request", {"succeeded": answer.requested})
        content = b'%b,"seconds":%b}' % (answer.head, to_json(perf_counter() - started))
        return Response(content, media_type="application/json")

    def put(self, body: bytes, document: PredictionResponse, result: PredictionResult, context: AppContext) -> None:
        """Add the answer to a request, unless something was computed or failed, or it is large.

        Args:
            body: body of the request.
            document: answer to the request.
            result: result of the request.
            context: resources of the request.
        """
        if len(body) > MAX_ENTRY_BYTES:
            return
        items = [item for item in result.items if isinstance(item, PredictedArchitecture)]
        if len(items) < len(result.items) or not all(item.cached and item.explanation is None for item in items):
            return
        head = document.model_dump_json(exclude={"seconds"}).encode().removesuffix(b"}")
        size = len(body) + len(head) + OBJECT_BYTES
        if size <= min(MAX_ENTRY_BYTES, self._max_bytes):
            distinct = {item.architecture: len(item.scores) for item in items}
            answer = _Answer(head, context.ensembles, len(items), len(distinct), sum(distinct.values()))
            self._answers[body] = answer, size
