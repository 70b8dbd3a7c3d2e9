"""Evaluators of a search: an ensemble in this process, or one of a server."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from threading import Thread
from typing import Any

from pydantic import ValidationError

from models import (
    Architecture,
    ArchrankError,
    BuildableSpace,
    CostedSpace,
    InputError,
    SearchSpace,
    Shapes,
    UnknownNameError,
    get_space,
    require,
)
from proxies import proxy_versions
from search import Interval, TrialResult
from service.api.cards import EnsembleCard
from service.api.documents import ensemble_card, result_item
from service.api.schemas import FailedItem
from service.app import make_backend, make_context
from service.inference.context import AppContext
from service.inference.pipeline import run_plan
from service.inference.plan import Plan
from service.inference.queries import PredictionQuery
from service.inference.registry import EnsembleRegistry
from service.inference.scheduler import Requester
from service.inference.scoring_context import batch_spec
from service.settings import Settings

IDENTITY_FIELDS = ("name", "hash", "created_by", "benchmark", "proxies", "batch_fingerprint", "seed")
"""Fields of an ensemble's card that identify the ensemble."""


class EvaluatorError(ArchrankError):
    """The server cannot be used: no client, no connection, or an unusable response."""


@dataclass(frozen=True)
class Evaluator:
    """An ensemble that predicts the accuracy of architectures.

    Attributes:
        card: card of the ensemble.
        space: its search space.
        shapes: shapes of its probe batch, which FLOPs are counted for; None for the space's reference input.
        predict: returns the fields of a `TrialResult` for each architecture.
        surrogate: returns accuracies predicted from structure alone.
    """

    card: Mapping[str, Any]
    space: SearchSpace[Any]
    shapes: Shapes | None
    predict: Callable[[Sequence[Architecture]], list[dict[str, Any]]]
    surrogate: Callable[[Sequence[Architecture]], list[float]]

    @property
    def identity(self) -> dict[str, Any]:
        """Fields of the card that identify the ensemble."""
        return {name: self.card[name] for name in IDENTITY_FIELDS}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[TrialResult]:
        """Predict architectures and count their cost, in their order; None in a space without costs."""
        return [
            TrialResult(architecture=arch, **self._cost(arch), **prediction)
            for arch, prediction in zip(architectures, self.predict(architectures), strict=True)
        ]

    def _cost(self, architecture: Architecture) -> dict[str, Any]:
        if not isinstance(self.space, CostedSpace):
            return {"flops": None, "params": None}
        return asdict(self.space.cost(architecture, self.shapes))


@contextmanager
def local_evaluator(settings: Settings, query: PredictionQuery) -> Iterator[Evaluator]:
    """Evaluate with an ensemble in this process.

    Args:
        settings: ensembles, and the backend that computes proxies.
        query: parameters of the predictions.

    Yields:
        The evaluator.

    Raises:
        InputError: there is no such space, ensemble, combiner or proxy, or the ensemble is of another space.
    """
    if query.proxies is not None and not query.proxies:  # nothing to score, so no worker process is needed
        settings = settings.model_copy(update={"backend": "inline"})
    registry = EnsembleRegistry.load(settings)
    plan = Plan.from_query(query, registry)
    loaded = plan.ensemble
    assert loaded is not None, "the plan of a prediction has an ensemble"
    _check_accuracies(loaded.name, loaded.ensemble.ranks_only)
    backend = make_backend(settings, registry)

    async def open_context() -> AppContext:
        return make_context(settings, registry, backend, None)

    def surrogate(architectures: Sequence[Architecture]) -> list[float]:
        predictions = loaded.ensemble.predict(architectures, combiner=query.combiner)
        return [prediction.accuracy for prediction in predictions if prediction.accuracy is not None]

    backend.start()
    try:
        with _event_loop() as run, closing(run(open_context())) as context:

            def predict(architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
                results = run(run_plan(plan, architectures, context, Requester(is_batch=True)))
                items = [result_item(result, i) for i, result in enumerate(results)]
                return [
                    _failure(item.error.detail) if isinstance(item, FailedItem) else _success(item) for item in items
                ]

            card, scoring = ensemble_card(loaded.manifest).model_dump(mode="json"), plan.context
            yield Evaluator(card, scoring.space, scoring.shapes, predict, surrogate)
    finally:
        backend.stop()


@contextmanager
def remote_evaluator(url: str, query: PredictionQuery) -> Iterator[Evaluator]:
    """Evaluate with an ensemble of a server; its API key is read from `ARCHRANK_KEY`.

    Args:
        url: address of the server.
        query: parameters of the predictions. By default, the first ensemble of the first space that fits them predicts.

    Yields:
        The evaluator.

    Raises:
        InputError: there is no such space, ensemble, combiner or proxy, or the ensemble is of another space.
        EvaluatorError: the client is not installed, or a request failed for good.
    """
    try:
        import archrank_client
    except ImportError as error:
        raise EvaluatorError("--url needs archrank's client, which is not installed: pip install ./client") from error
    logging.getLogger("stamina").addHandler(logging.NullHandler())  # retries are reported once, by the final error
    try:
        connection = archrank_client.Client(url)
    except ValueError as error:
        raise EvaluatorError(str(error)) from error
    try:
        with connection as client:
            name, card = _select_card(client.ensembles(), query, client.spaces)
            space, shapes = _read_card(name, card)
            _check_accuracies(name, card.get("ranks_only", False))
            if query.combiner is not None and query.combiner not in card["combiners"]:
                raise UnknownNameError("combiner", query.combiner, card["combiners"])
            proxy_versions(query.proxies)

            def request(architectures: Sequence[Architecture], proxies: Sequence[str] | None) -> Any:
                documents = [space.to_json(arch) for arch in architectures]
                return client.predict(documents, proxies=proxies, ensemble=name, combiner=query.combiner)

            def predict(architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
                items = request(architectures, query.proxies)
                return [_success(item) if item.ok else _failure(str(item.error)) for item in items]

            def surrogate(architectures: Sequence[Architecture]) -> list[float]:
                # `accuracy` of a failed item raises its error.
                return [item.accuracy for item in request(architectures, [])]

            yield Evaluator(card, space, shapes, predict, surrogate)
    except archrank_client.ArchrankError as error:
        raise EvaluatorError(f"{url}: {error}") from error


@contextmanager
def _event_loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run coroutines in an event loop of another thread.

    In the main thread asyncio would handle Ctrl-C itself, which can end in a traceback.
    """
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="event loop", daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def cancel_tasks() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield run
    finally:
        run(cancel_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _select_card(
    cards: Mapping[str, Any], query: PredictionQuery, spaces: Callable[[], Mapping[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """Name and card of the named ensemble, or of the first one of the space and settings.

    `spaces` returns the server's spaces, which list their ensembles in order; it is called if several ensembles fit.
    """
    settings = query.settings or {}
    fitting = {
        name: card
        for name, card in cards.items()
        if query.space in (None, card.space) and settings.items() <= card.settings.items()
    }
    if not fitting and query.space is not None and query.space not in [card.space for card in cards.values()]:
        raise UnknownNameError("space", query.space, list(dict.fromkeys(card.space for card in cards.values())))
    name = query.ensemble
    if name is None and fitting:
        listed = _listed_ensembles(spaces()) if len(fitting) > 1 else []
        name = min(fitting, key=lambda each: listed.index(each) if each in listed else len(listed))
    if name is None or name not in fitting:
        raise UnknownNameError("ensemble", name, list(fitting) or ["(none is installed)"])
    return name, dict(fitting[name].model_dump(mode="json"))


def _listed_ensembles(spaces: Mapping[str, Any]) -> list[Any]:
    """Ensembles that the cards of a server's spaces list, in order."""
    lists = (card.get("ensembles") for card in spaces.values())
    return [name for names in lists if isinstance(names, list) for name in names]


def _read_card(name: str, card: Mapping[str, Any]) -> tuple[SearchSpace[Any], Shapes | None]:
    """Search space of a server's ensemble, and shapes of its probe batch.

    Raises:
        EvaluatorError: this version cannot read the card.
    """
    try:
        EnsembleCard.model_validate(card)
        space = get_space(card["space"], **card["settings"])
        spec = batch_spec(space, card["batch"])
        return space, None if spec is None else spec.shapes(require(space, BuildableSpace).task)
    except (ValidationError, InputError) as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise EvaluatorError(f"the server's ensemble {name!r} cannot be used by this version: {reason}") from error


def _check_accuracies(name: str, ranks_only: bool) -> None:
    """Raise `InputError` for an ensemble without accuracies, which a search compares and logs."""
    if ranks_only:
        raise InputError("ensemble", name, "one that predicts accuracies: this one was fitted to too few architectures")


def _success(prediction: Any) -> dict[str, Any]:
    """Fields of a `TrialResult` from a prediction of this process or of the client; both have the same attributes."""
    interval = Interval(prediction.interval.low, prediction.interval.high, prediction.interval.level)
    warnings = tuple(map(_printable, prediction.warnings))
    return {"accuracy": prediction.accuracy, "interval": interval, "warnings": warnings}


def _failure(error: str) -> dict[str, Any]:
    return {"accuracy": None, "error": error}


def _printable(text: str) -> str:
    """Replace control characters: a server's texts must not control the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)
