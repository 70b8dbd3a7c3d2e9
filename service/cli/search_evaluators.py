"""Who says how good the architectures of a search are: an ensemble in this process, or one of a server."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

from pydantic import ValidationError

from models import Architecture, ArchrankError, SearchSpace, UnknownNameError, get_space
from models.base import Shape
from models.batches import BatchSpec
from proxies import proxy_versions
from search.log import TrialResult
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
from service.settings import Settings

Proxies = list[str] | None
"""Names; none where empty, all that the ensemble uses where None."""
IDENTITY = ("name", "hash", "created_by", "benchmark", "proxies", "batch_fingerprint", "seed")
"""Fields of a card that tell one ensemble from another."""


class JudgeError(ArchrankError):
    """The server or its client is not there, or does not answer as a search needs it."""


@dataclass(frozen=True)
class Evaluator:
    """An ensemble that says how good architectures are.

    Attributes:
        card: of the ensemble.
        space: whose architectures it knows.
        shape: of its probe batch, which FLOPs are counted for.
        predict: what is said of each architecture, as fields of a `Finding`.
        guide: accuracies predicted from structure alone.
    """

    card: Mapping[str, Any]
    space: SearchSpace[Architecture]
    shape: Shape
    predict: Callable[[Sequence[Architecture]], list[dict[str, Any]]]
    guide: Callable[[Sequence[Architecture]], list[float]]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the ensemble from others."""
        return {name: self.card[name] for name in IDENTITY}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[TrialResult]:
        """What the ensemble says of each, and what each costs."""
        costs = [self.space.cost(arch, self.shape) for arch in architectures]
        return [
            TrialResult(architecture=arch, flops=cost.flops, params=cost.params, **said)
            for arch, cost, said in zip(architectures, costs, self.predict(architectures), strict=True)
        ]


@contextmanager
def in_process(
    settings: Settings, space: str, ensemble: str | None, combiner: str | None, proxies: Proxies
) -> Iterator[Evaluator]:
    """An ensemble of this machine; proxies are computed as the settings say.

    Raises `InputError` where there is no such ensemble, combiner or proxy, or the ensemble knows another space.
    """
    if not proxies and proxies is not None:  # then no process is needed that scores
        settings = settings.model_copy(update={"backend": "inline"})
    library = EnsembleRegistry.load(settings)
    query = PredictionQuery(proxies=proxies, ensemble=ensemble, combiner=combiner)
    plan, loaded = Plan.from_query(query, library), library.get(ensemble)
    _check_space(space, loaded.context.space)
    backend = make_backend(settings, library)

    async def context() -> AppContext:
        return make_context(settings, library, backend, None)

    def guide(architectures: Sequence[Architecture]) -> list[float]:
        return [one.accuracy for one in loaded.ensemble.predict(architectures, combiner=combiner)]

    backend.start()
    try:
        with _event_loop() as run, closing(run(context())) as ours:

            def predict(architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
                results = run(run_plan(plan, architectures, ours, Requester(is_batch=True)))
                items = [result_item(result, i) for i, result in enumerate(results)]
                return [_failed(item.error.detail) if isinstance(item, FailedItem) else _said(item) for item in items]

            card, context_ = ensemble_card(loaded.manifest).model_dump(mode="json"), plan.context
            yield Evaluator(card, context_.space, context_.shape, predict, guide)
    finally:
        backend.stop()


@contextmanager
def over_http(
    url: str, space: str, ensemble: str | None, combiner: str | None, proxies: Proxies
) -> Iterator[Evaluator]:
    """An ensemble of a server. Its API key is in `ARCHRANK_KEY`, where it needs one.

    Raises `InputError` as `in_process` does, and `JudgeError` where the client is not installed, or gives up.
    """
    try:
        import archrank_client
    except ImportError as error:
        raise JudgeError("--url needs archrank's client, which is not installed: pip install ./client") from error
    logging.getLogger("stamina").addHandler(logging.NullHandler())  # a command says once what is wrong, at the end
    try:
        connection = archrank_client.Client(url)
    except ValueError as error:
        raise JudgeError(str(error)) from error
    try:
        with connection as client:
            name, card = _card(client.ensembles(), ensemble)
            knows, batch = _probe(name, card)
            if combiner is not None and combiner not in card["combiners"]:
                raise UnknownNameError("combiner", combiner, card["combiners"])
            proxy_versions(proxies)
            _check_space(space, knows)

            def ask(architectures: Sequence[Architecture], proxies: Proxies) -> Any:
                texts = [knows.to_json(arch) for arch in architectures]
                return client.predict(texts, proxies=proxies, ensemble=name, combiner=combiner)

            def predict(architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
                return [_said(one) if one.ok else _failed(str(one.error)) for one in ask(architectures, proxies)]

            def guide(architectures: Sequence[Architecture]) -> list[float]:
                # Of a failure this raises its error.
                return [one.accuracy for one in ask(architectures, [])]

            yield Evaluator(card, knows, knows.input_shape(batch.batch_size, batch.frames), predict, guide)
    except archrank_client.ArchrankError as error:
        raise JudgeError(f"{url}: {error}") from error


@contextmanager
def _event_loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """What runs coroutines, in a thread of its own: asyncio takes the main one's Ctrl-C, and may end in a traceback."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="event loop", daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def end() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield run
    finally:
        run(end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _card(cards: Mapping[str, Any], ensemble: str | None) -> tuple[str, dict[str, Any]]:
    """Name and card of the ensemble that is asked for, or of the only one: which is the default no server says."""
    name = next(iter(cards)) if ensemble is None and len(cards) == 1 else ensemble
    if name is None or name not in cards:
        raise UnknownNameError("ensemble", name, list(cards) or ["(none is installed)"])
    return name, dict(cards[name].model_dump(mode="json"))


def _probe(name: str, card: Mapping[str, Any]) -> tuple[SearchSpace[Architecture], BatchSpec]:
    """Space and probe batch of a server's ensemble. Raises `JudgeError` for a card that this version cannot read."""
    try:
        EnsembleCard.model_validate(card)
        return get_space(card["space"], **card["settings"]), BatchSpec.model_validate(card["batch"] or {})
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise JudgeError(
            f"the server's ensemble {name!r} is none that this can use: {place}: {fault['msg']}"
        ) from error


def _check_space(space: str, knows: SearchSpace[Architecture]) -> None:
    if space != knows.name:
        raise UnknownNameError("space", space, [knows.name])


def _said(prediction: Any) -> dict[str, Any]:
    """Of a prediction of ours or of the client: they have the same fields."""
    bounds = prediction.interval
    numbers = {"accuracy": prediction.accuracy, "low": bounds.low, "high": bounds.high}
    return {**numbers, "warnings": tuple(map(_printable, prediction.warnings))}


def _printable(text: str) -> str:
    """Without control characters, which a terminal may obey: a server may say anything."""
    return "".join(one if one.isprintable() else " " for one in text)


def _failed(error: str) -> dict[str, Any]:
    return {"accuracy": None, "error": error}
