"""Request → architecture → network → passes → proxies → features → ensemble → answer."""

import logging
from collections.abc import Generator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from models import Architecture, InputError
from proxies import proxy_versions, score
from service import answers
from service.answers import Results, Said
from service.errors import ProblemError
from service.library import Library, Model, Probe
from service.schemas import PredictionRequest, PredictionResponse, ScoreRequest, ScoreResponse
from service.worker import Work

log = logging.getLogger(__name__)


def predict(request: PredictionRequest, library: Library) -> Work[PredictionResponse]:
    """The work that answers the request. Raises `InputError` or `ProblemError` before any of it is done."""
    model = library.model(request.ensemble)
    combiner = model.combiner(request.combiner)
    proxies = _chosen(request.proxies, model.proxies)
    probe = _seeded(model.probe, request.seed)
    results = _read(request.architectures, probe)

    def steps() -> Generator[None, None, PredictionResponse]:
        started = perf_counter()
        yield from _score(results, probe, proxies)
        said = Said(model.predict(results.scores, combiner, probe))
        if request.explain:
            yield from _explain(results, said, model, combiner)
        return answers.predictions(results, said, model, probe, request.compare, perf_counter() - started)

    return Work(_networks(results, proxies), steps())


def score_all(request: ScoreRequest, library: Library) -> Work[ScoreResponse]:
    """As `predict`, but the answer is the proxies' scores."""
    proxies = _chosen(request.proxies, None)
    probe = _seeded(library.probe, request.seed)
    results = _read(request.architectures, probe)

    def steps() -> Generator[None, None, ScoreResponse]:
        started = perf_counter()
        yield from _score(results, probe, proxies)
        return answers.scores(results, probe, perf_counter() - started)

    return Work(_networks(results, proxies), steps())


def _chosen(names: Sequence[str] | None, default: Sequence[str] | None) -> list[str]:
    """Names of the proxies to compute, each once. Raises `UnknownNameError`."""
    return list(proxy_versions(default if names is None else names))


def _seeded(probe: Probe, seed: int | None) -> Probe:
    return probe if seed is None else replace(probe, seed=seed)


def _read(texts: Sequence[Any], probe: Probe) -> Results:
    """Each architecture, or what is wrong with it. Raises `ProblemError` where all are wrong."""
    read: list[Architecture | InputError] = []
    for i, text in enumerate(texts):
        try:
            read.append(probe.space.parse(text))
        except InputError as error:
            read.append(error.within(f"architectures[{i}]"))
    errors = [one for one in read if isinstance(one, InputError)]
    if len(errors) == len(read):
        raise ProblemError(422, "; ".join(map(str, errors[:3])), errors)
    return Results(read)


def _networks(results: Results, proxies: Sequence[str]) -> int:
    """How many networks have to be built."""
    return len(results.architectures) if proxies else 0


def _score(results: Results, probe: Probe, proxies: Sequence[str]) -> Generator[None, None, None]:
    """Every architecture once, one a step. What fails stays with its architecture."""
    for arch in results.architectures:
        if not proxies:
            results.scores[arch] = {}  # structure alone: nothing to build
            continue
        try:
            network = probe.space.build(arch, probe.seed).to(probe.device)
            batch = probe.batch
            results.scores[arch] = score(network, batch.x, batch.y, proxies, probe.seed, probe.draws)
        except Exception as error:
            log.exception("architecture %s could not be scored", arch.fingerprint)
            results.failures[arch] = error
        yield


def _explain(results: Results, said: Said, model: Model, combiner: str | None) -> Generator[None, None, None]:
    """What moved each prediction, and which edits would raise it, one architecture a step."""
    for arch in said.predictions:
        said.explanations[arch] = model.explain(arch, results.scores[arch], combiner)
        said.edits[arch] = model.ensemble.edits(arch)
        yield
